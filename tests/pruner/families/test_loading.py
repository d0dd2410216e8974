"""Loading out of whole Omni checkpoints in the layout Qwen publishes, and everything that is refused before it."""

from __future__ import annotations

import json
import os
import re
import shutil
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from pruner import DeviceMemoryError, InputError, LiveModel, LiveOptions, UnsupportedModelError, WeightsError
from pruner.families import checkpoint, hub
from pruner.families.checkpoint import INDEX, Checkpoint
from pruner.families.memory import available_bytes
from pruner.families.omni import MODEL_TYPES, OmniModel

CPU = torch.device("cpu")
TYPES = {"tiny_directory": ("qwen2_5_omni", "token2wav"), "tiny3_directory": ("qwen3_omni_moe", "code2wav")}


def _publish(thinker: Path, directory: Path, model_type: str, vocoder: str) -> Path:
    """A thinker as a part of a whole model: prefixed, beside a talker and a vocoder, in three shards and an index."""
    directory.mkdir()
    for file in thinker.iterdir():
        if file.suffix != ".safetensors":
            shutil.copy(file, directory / file.name)
    config = json.loads((thinker / "config.json").read_text(encoding="utf-8"))
    whole = {"model_type": model_type, "thinker_config": config, "talker_config": {}, "enable_audio_output": True}
    (directory / "config.json").write_text(json.dumps(whole), encoding="utf-8")
    with safe_open(next(thinker.glob("*.safetensors")), framework="pt") as file:
        tensors = {f"thinker.{name}": file.get_tensor(name).bfloat16() for name in sorted(file.keys())}
    names = list(tensors)
    half = len(names) // 2
    shards: list[dict[str, torch.Tensor]] = [
        {name: tensors[name] for name in names[:half]},
        {name: tensors[name] for name in names[half:]} | {"talker.model.norm.weight": torch.ones(64)},
        {"talker.codec_head.weight": torch.ones(64, 64), f"{vocoder}.dit.norm.weight": torch.ones(64)},
    ]
    placed = {}
    for number, shard in enumerate(shards, start=1):
        name = f"model-{number:05d}-of-00003.safetensors"
        save_file(shard, directory / name, metadata={"format": "pt"})
        placed |= dict.fromkeys(shard, name)
    (directory / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": placed}), encoding="utf-8")
    return directory


@pytest.fixture
def whole(tiny_directory: Path, tmp_path: Path) -> Path:
    return _publish(tiny_directory, tmp_path / "whole", *TYPES["tiny_directory"])


@pytest.mark.parametrize("name", list(TYPES))
def test_the_thinker_alone_is_read(
    name: str, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    thinker: Path = request.getfixturevalue(name)
    directory = _publish(thinker, tmp_path / "whole", *TYPES[name])
    (directory / "model-00003-of-00003.safetensors").unlink()  # holds nothing of the thinker: not even looked for
    opened: list[str] = []
    read: list[str] = []

    class Watched:
        def __init__(self, path: Path, framework: str) -> None:
            opened.append(path.name)
            self.file: Any = safe_open(path, framework=framework)

        def get_slice(self, name: str) -> Any:
            read.append(name)
            return self.file.get_slice(name)

    monkeypatch.setattr(checkpoint, "safe_open", Watched)
    model = OmniModel.load(directory)
    assert sorted(set(opened)) == ["model-00001-of-00003.safetensors", "model-00002-of-00003.safetensors"]
    assert all(name.startswith("thinker.") for name in read)
    alone = OmniModel.load(thinker)
    theirs = alone.thinker.state_dict()
    for key, weight in model.thinker.state_dict().items():
        assert torch.equal(weight, theirs[key].bfloat16().float()), key
    assert model.prompt.stop == alone.prompt.stop
    assert model.thinker.generation_config.eos_token_id == 2


def test_experts_are_not_read_ahead_of_being_put_together(
    tiny3_directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = _publish(tiny3_directory, tmp_path / "whole", *TYPES["tiny3_directory"])
    alive, most, threads = [0], [0], set[int]()
    read = checkpoint.LazyTensor.__getitem__

    def gone(size: int) -> None:
        alive[0] -= size

    def watched(part: checkpoint.LazyTensor, index: Any) -> torch.Tensor:
        tensor = read(part, index)
        weakref.finalize(tensor, gone, tensor.nbytes)
        alive[0] += tensor.nbytes
        most[0] = max(most[0], alive[0])
        threads.add(threading.get_ident())
        return tensor

    monkeypatch.setattr(checkpoint.LazyTensor, "__getitem__", watched)
    monkeypatch.setenv("HF_DEACTIVATE_ASYNC_LOAD", "0")
    OmniModel.load(directory)
    assert os.environ["HF_DEACTIVATE_ASYNC_LOAD"] == "0"
    assert threads == {threading.get_ident()}
    assert most[0] < Checkpoint.read(directory).nbytes(torch.float32) / 3


def test_the_size_is_known_from_the_headers(whole: Path, tiny_model: LiveModel) -> None:
    found = Checkpoint.read(whole)
    assert found.parameters == sum(weight.numel() for weight in tiny_model.model.thinker.parameters())
    assert found.nbytes(torch.bfloat16) == 2 * found.parameters


def test_too_little_memory_is_said_before_anything_is_read(whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    needed = Checkpoint.read(whole).nbytes(torch.float32)
    monkeypatch.setattr(checkpoint, "available_bytes", lambda device: needed - 1)
    monkeypatch.setattr(checkpoint, "safe_open", None)
    with pytest.raises(DeviceMemoryError, match=r"the weights of whole need 0\.00 GiB") as caught:
        OmniModel.load(whole)
    assert (caught.value.needed, caught.value.available, caught.value.device) == (needed, needed - 1, "cpu")


def test_memory_is_what_machine_and_container_leave(tmp_path: Path) -> None:
    meminfo, cgroup = tmp_path / "meminfo", tmp_path / "cgroup"
    meminfo.write_text("MemTotal: 2000 kB\nMemAvailable:    1000 kB\n")
    assert available_bytes(CPU, meminfo=meminfo, cgroup=cgroup) == 1_024_000
    cgroup.mkdir()
    for name, text in (("max", "900000"), ("current", "500000"), ("stat", "anon 1\ninactive_file 100000\n")):
        (cgroup / f"memory.{name}").write_text(text)
    assert available_bytes(CPU, meminfo=meminfo, cgroup=cgroup) == 500_000
    (cgroup / "memory.max").write_text("max\n")
    assert available_bytes(CPU, meminfo=meminfo, cgroup=cgroup) == 1_024_000


def _edit(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content)
    path.write_text(json.dumps(content), encoding="utf-8")


def test_quantised_weights_are_refused(whole: Path) -> None:
    quantised = {"quant_method": "gptq", "bits": 4}
    _edit(whole / "config.json", lambda config: config["thinker_config"].update(quantization_config=quantised))
    with pytest.raises(WeightsError, match="is quantised with gptq") as caught:
        OmniModel.load(whole)
    assert "unquantised" in caught.value.remedy


def test_a_missing_shard(whole: Path) -> None:
    (whole / "model-00002-of-00003.safetensors").unlink()
    with pytest.raises(WeightsError, match=r"lacks 1 of 2 weight files: model-00002-of-00003\.safetensors"):
        OmniModel.load(whole)


def test_a_shard_without_what_the_index_places_in_it(whole: Path) -> None:
    _edit(whole / INDEX, lambda index: index["weight_map"].update({"thinker.new": "model-00001-of-00003.safetensors"}))
    with pytest.raises(WeightsError, match=r"lacks 1 of the tensors .* such as thinker\.new"):
        OmniModel.load(whole)


@pytest.mark.parametrize(("length", "problem"), [(4, "is no safetensors file"), (500, "cut short"), (-1, "cut short")])
def test_a_shard_that_was_not_fetched_to_its_end(whole: Path, length: int, problem: str) -> None:
    shard = whole / "model-00001-of-00003.safetensors"
    shard.write_bytes(shard.read_bytes()[:length])
    with pytest.raises(WeightsError, match=problem) as caught:
        OmniModel.load(whole)
    assert caught.value.path == shard


def _text(**settings: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda config: config["thinker_config"]["text_config"].update(settings)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (_text(intermediate_size=64), r"holds layers\.0\.mlp\.down_proj\.weight with shape \[32, 48\], .* \[32, 64\]"),
        (
            _text(num_hidden_layers=8, layer_types=None),
            r"lacks weights .* such as layers\.6\..*: [\d,]+ numbers of [\d,]+;",
        ),
        (_text(num_hidden_layers="many"), r"config\.json: makes no sense"),
        (_text(num_hidden_layers=8), r"config\.json that transformers refuses \(.*layer_types"),
        (lambda config: config["thinker_config"].pop("vision_config"), r"config\.json: lacks 'vision_config'"),
        (lambda config: config["thinker_config"].pop("audio_config"), r"holds audio_tower\..* with shape"),
    ],
)
def test_weights_that_their_configuration_does_not_describe(
    change: Callable[[dict[str, Any]], Any], problem: str, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint, "safe_open", None)  # nothing is read
    _edit(whole / "config.json", change)
    with pytest.raises(WeightsError, match=re.compile(problem, re.DOTALL)):
        OmniModel.load(whole)


def test_a_shard_that_nothing_says_is_missing(whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "safe_open", None)
    (whole / INDEX).unlink()
    (whole / "model-00001-of-00003.safetensors").unlink()
    with pytest.raises(WeightsError, match=r"lacks weights that its config\.json describes"):
        OmniModel.load(whole)


def test_experts_are_counted_however_they_are_stored(tiny3_directory: Path, tmp_path: Path) -> None:
    directory = _publish(tiny3_directory, tmp_path / "whole", *TYPES["tiny3_directory"])
    shard = directory / "model-00001-of-00003.safetensors"
    with safe_open(shard, framework="pt") as file:
        kept = {name: file.get_tensor(name) for name in file.keys() if ".experts.3." not in name}  # noqa: SIM118
    assert OmniModel.load(directory).facts.layers == 6
    save_file(kept, shard, metadata={"format": "pt"})
    (directory / INDEX).unlink()
    with pytest.raises(WeightsError, match=r"lacks weights that its config\.json describes: [\d,]+ numbers of"):
        OmniModel.load(directory)


@pytest.mark.parametrize(
    "change",
    [{"use_sliding_window": True}, {"rope_parameters": {"rope_type": "linear", "factor": 2.0, "rope_theta": 1e4}}],
)
def test_attention_that_would_be_computed_wrongly(
    change: dict[str, Any], whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint, "safe_open", None)
    _edit(whole / "config.json", _text(**change))
    with pytest.raises(UnsupportedModelError, match="sliding window or scaled rotary angles"):
        OmniModel.load(whole)


def test_generation_settings_that_cannot_be_read(whole: Path) -> None:
    (whole / "generation_config.json").write_text("{", encoding="utf-8")
    with pytest.raises(WeightsError, match="cannot be read") as caught:
        OmniModel.load(whole)
    assert caught.value.path.name == "generation_config.json"


@pytest.mark.parametrize(
    ("where", "field"),
    [
        ({"device": "cuda:99"}, "device"),
        ({"device": "gpu"}, "device"),
        ({"dtype": torch.int8}, "dtype"),
        ({"dtype": "float32"}, "dtype"),
    ],
)
def test_a_place_where_no_weights_can_lie(where: dict[str, Any], field: str, whole: Path) -> None:
    with pytest.raises(InputError) as caught:
        OmniModel.load(whole, **where)
    assert caught.value.field == field


def test_other_formats_and_talkers(tiny_directory: Path, tmp_path: Path) -> None:
    shutil.copy(tiny_directory / "config.json", tmp_path)
    (tmp_path / "pytorch_model.bin").touch()
    with pytest.raises(WeightsError, match="convert the weights to safetensors"):
        OmniModel.load(tmp_path)
    save_file({"talker.norm": torch.ones(2)}, tmp_path / "model.safetensors")
    with pytest.raises(WeightsError, match="holds no tensors of a thinker"):
        OmniModel.load(tmp_path)


def test_frames_follow_the_source_within_the_pixel_limit(whole: Path) -> None:
    (whole / "omnidrop.json").unlink()
    facts = LiveModel.load(whole, options=LiveOptions(frame_size=(720, 1280), frame_tokens=576)).facts
    assert (facts.rows, facts.columns, facts.height, facts.width) == (18, 32, 504, 896)
    for options, field in (
        (LiveOptions(frame_tokens=769), "frame_tokens"),
        (LiveOptions(frame_size=(0, 10)), "frame_size"),
    ):
        with pytest.raises(InputError) as caught:
            LiveModel.load(whole, options=options)
        assert caught.value.field == field


def test_a_fusion_depth_among_the_deepstack_layers(tiny3_directory: Path) -> None:
    with pytest.raises(InputError, match=r"1 is outside 2…5; .* after the 2 that take visual features"):
        OmniModel.load(tiny3_directory, fusion_depth=1)


class _Hub:
    """A hub with one model; counts what is asked of it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.asked: list[tuple[str, str | None, list[str]]] = []

    def __call__(self, name: str, *, revision: str | None, allow_patterns: list[str]) -> str:
        self.asked.append((name, revision, allow_patterns))
        if name != "Qwen/Qwen2.5-Omni-7B":
            raise OSError("404: no such model\nwith a long story")
        return str(self.directory)


@pytest.fixture
def fake_hub(whole: Path, monkeypatch: pytest.MonkeyPatch) -> _Hub:
    found = _Hub(whole)
    monkeypatch.setattr("huggingface_hub.snapshot_download", found)
    return found


def test_of_a_hub_model_only_the_shards_of_the_thinker_are_fetched(fake_hub: _Hub) -> None:
    model = LiveModel.load("Qwen/Qwen2.5-Omni-7B", revision="main")
    assert model.facts.layers == 6
    described, weights = fake_hub.asked
    assert described[:2] == weights[:2] == ("Qwen/Qwen2.5-Omni-7B", "main")
    assert not any("safetensors" in pattern for pattern in described[2])
    shards = [pattern for pattern in weights[2] if pattern.endswith("safetensors")]
    assert shards == ["model-00001-of-00003.safetensors", "model-00002-of-00003.safetensors"]


def test_a_hub_model_that_cannot_work_is_refused_before_its_weights_are_fetched(fake_hub: _Hub, whole: Path) -> None:
    _edit(whole / "config.json", lambda config: config.update(model_type="bert"))
    with pytest.raises(UnsupportedModelError):
        hub.locate("Qwen/Qwen2.5-Omni-7B", MODEL_TYPES)
    _edit(whole / "config.json", lambda config: config.update(model_type="qwen2_5_omni", quantization_config={"a": 1}))
    with pytest.raises(WeightsError, match="quantised with an unknown method"):
        hub.locate("Qwen/Qwen2.5-Omni-7B", MODEL_TYPES)
    assert len(fake_hub.asked) == 2


def test_names_and_directories(fake_hub: _Hub, whole: Path) -> None:
    with pytest.raises(WeightsError, match=r"^Nobody/Nothing at revision v1: .*\(404: no such model\)"):
        hub.locate("Nobody/Nothing", MODEL_TYPES, revision="v1")
    assert hub.locate(whole, MODEL_TYPES) == whole
    with pytest.raises(WeightsError, match="has no revisions"):
        hub.locate(whole, MODEL_TYPES, revision="v1")
    assert hub.locate("/a/b/c", MODEL_TYPES) == Path("/a/b/c")
    assert len(fake_hub.asked) == 1
