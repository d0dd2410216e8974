"""Loading: facts, layouts of both transformers versions, and what is wrong with a directory."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from safetensors.torch import load_file, save_file

from pruner import InputError, LiveModel, UnsupportedModelError, WeightsError
from pruner.families.facts import read_facts
from pruner.families.omni import FAMILIES, OmniModel
from pruner.families.qwen2_5_omni import part, text_stack


def test_facts_come_from_configuration_and_omnidrop_json(tiny_directory: Path) -> None:
    facts = read_facts(tiny_directory, FAMILIES)
    assert (facts.layers, facts.fusion_depth, facts.kv_heads, facts.head_dim) == (6, 3, 2, 8)
    assert (facts.rows, facts.columns, facts.video_rate, facts.height, facts.width) == (3, 3, 9, 84, 84)
    assert (facts.segment_windows, facts.max_answer_tokens, facts.system) == (4, 12, "Watch.")
    assert facts.position_limit == 32_768
    assert not facts.fill_missing_tracks


def test_qwens_own_directory_has_no_facts_file(tiny_directory: Path, tmp_path: Path) -> None:
    thinker = json.loads((tiny_directory / "config.json").read_text(encoding="utf-8"))
    whole = {"model_type": "qwen2_5_omni", "thinker_config": thinker}
    (tmp_path / "config.json").write_text(json.dumps(whole), encoding="utf-8")
    facts = read_facts(tmp_path, FAMILIES, frame_size=(720, 1280))
    assert (facts.rows, facts.columns, facts.video_rate) == (9, 16, 144)
    assert facts.fusion_depth == 3
    assert facts.system.startswith("You are Qwen")


def test_the_older_layout_of_modules_is_found_too(tiny_model: LiveModel) -> None:
    thinker = tiny_model.model.thinker
    older = SimpleNamespace(
        config=thinker.config,
        lm_head=thinker.lm_head,
        model=getattr(thinker.model, "language_model", thinker.model),
        visual=part(thinker, "visual"),
        audio_tower=part(thinker, "audio_tower"),
    )
    assert text_stack(older, own=False).layers == 6
    assert part(older, "visual") is older.visual
    assert part(older, "audio_tower") is older.audio_tower


def test_a_fusion_depth_outside_the_decoder(tiny_directory: Path) -> None:
    with pytest.raises(InputError, match="outside 1…5") as caught:
        read_facts(tiny_directory, FAMILIES, fusion_depth=6)
    assert caught.value.field == "fusion_depth"


def test_missing_and_broken_directories(tiny_directory: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="is missing") as caught:
        OmniModel.load(tmp_path / "nowhere")
    assert caught.value.path.name == "config.json"
    (tmp_path / "config.json").write_text("{", encoding="utf-8")
    with pytest.raises(WeightsError, match="cannot be read"):
        OmniModel.load(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "bert"}', encoding="utf-8")
    with pytest.raises(UnsupportedModelError) as unknown:
        OmniModel.load(tmp_path)
    assert unknown.value.model_type == "bert"
    shutil.copy(tiny_directory / "config.json", tmp_path / "config.json")
    with pytest.raises(WeightsError, match=r"holds no \*\.safetensors"):
        OmniModel.load(tmp_path)


def test_a_truncated_weights_file(tiny_directory: Path, tmp_path: Path) -> None:
    directory = tmp_path / "cut"
    shutil.copytree(tiny_directory, directory)
    weights = next(directory.glob("*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(WeightsError, match="cut short"):
        OmniModel.load(directory)


def test_weights_that_lack_a_tensor_are_not_replaced_by_random_ones(tiny_directory: Path, tmp_path: Path) -> None:
    directory = tmp_path / "gap"
    shutil.copytree(tiny_directory, directory)
    weights = next(directory.glob("*.safetensors"))
    tensors = load_file(weights)
    gone = tensors.pop(next(name for name in tensors if name.endswith("q_proj.weight")))
    save_file(tensors, weights, metadata={"format": "pt"})
    with pytest.raises(WeightsError, match=r"lacks weights .* such as .*q_proj\.weight"):
        OmniModel.load(directory)
    save_file(tensors | {"of_another_name": gone}, weights, metadata={"format": "pt"})
    with pytest.raises(WeightsError, match="1 tensors are missing"):
        OmniModel.load(directory)
