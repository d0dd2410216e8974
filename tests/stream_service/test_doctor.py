"""``omnidrop doctor`` against a real broker and TURN server, and against what is wrong or missing."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from benchmarks.ports import free_port
from stream_service.config import Config
from stream_service.doctor import Finding, examine
from tests.stream_service.answers.broker import Mosquitto
from tests.stream_service.answers.stores import opened, session
from tests.stream_service.media.coturn import SECRET, Coturn

pytestmark = pytest.mark.default


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A folder that looks like a checkpoint."""
    folder = tmp_path / "model"
    folder.mkdir()
    text = {"num_hidden_layers": 4, "num_attention_heads": 4, "hidden_size": 64, "num_key_value_heads": 2}
    thinker = {"text_config": text, "vision_config": {}}
    whole = {"model_type": "qwen2_5_omni", "thinker_config": thinker}
    (folder / "config.json").write_text(json.dumps(whole))
    save_file({"thinker.lm_head.weight": np.zeros(500_000, np.float32)}, folder / "model.safetensors")
    return folder


@pytest.fixture
def coturn(tmp_path: Path) -> Iterator[Coturn]:
    running = Coturn(tmp_path)
    yield running
    running.stop()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    running = Mosquitto(tmp_path)
    yield running
    running.stop()


async def findings(model: Path, **sections: dict[str, Any]) -> dict[str, Finding]:
    """The last finding about each subject, for a server on a free port with these settings."""
    settings: dict[str, dict[str, Any]] = {"server": {"port": 0}, "engine": {"model": str(model)}}
    for name, section in sections.items():
        settings[name] = settings.get(name, {}) | section
    found = {one.subject: one async for one in examine(Config.model_validate(settings))}
    assert all(one.remedy for one in found.values() if one.level != "ok")
    return found


async def test_a_sound_deployment_passes(model: Path, coturn: Coturn, broker: Mosquitto, tmp_path: Path) -> None:
    found = await findings(
        model,
        media={"turn_urls": [coturn.url], "turn_secret": SECRET},
        mqtt={"host": "127.0.0.1", "port": broker.port},
        answers={"log": f"sqlite:///{tmp_path}/events.db"},
    )
    assert {name: one.level for name, one in found.items()} == dict.fromkeys(
        ["camera", "access", "port", "media", "events", "broker", "device", "weights", "speech", "turn"], "ok"
    )
    assert "127.0.0.1:" in found["turn"].message


async def test_a_log_of_an_earlier_run_opens_and_keeps_all_that_it_has(model: Path, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/events.db"
    async with opened(url) as logs:  # in the year 2023: too old for any retention
        await session(logs, "porch", 5)
    found = await findings(model, answers={"log": url, "keep_days": 1})
    assert (found["events"].level, found["events"].message) == ("ok", "the log opens")
    async with opened(url) as logs:
        assert [one.last for one in await logs.sessions(10)] == [5]


async def test_stun_is_asked_too(model: Path, coturn: Coturn) -> None:
    found = await findings(model, media={"ice_servers": [{"urls": [f"stun:127.0.0.1:{coturn.port}"]}]})
    assert found["turn"].level == "ok"


async def test_a_wrong_secret_and_a_missing_server_are_told_apart(model: Path, coturn: Coturn) -> None:
    refused = await findings(model, media={"turn_urls": [coturn.url], "turn_secret": "east-wind"})
    assert (refused["turn"].level, "refused" in refused["turn"].message) == ("fail", True)
    url = f"turn:127.0.0.1:{free_port()}?transport=tcp"
    absent = await findings(model, media={"turn_urls": [url], "turn_secret": SECRET})
    assert (absent["turn"].level, "refused by it" in absent["turn"].message) == ("fail", False)


async def test_a_broker_that_is_away_is_found(model: Path) -> None:
    found = await findings(model, mqtt={"host": "127.0.0.1", "port": free_port()})
    assert found["broker"].level == "fail"


async def test_a_port_in_use_is_found(model: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        found = await findings(model, server={"port": taken.getsockname()[1]})
    assert (found["port"].level, "in use" in found["port"].message) == ("fail", True)


async def test_the_network_without_tls_or_tokens_is_found(model: Path) -> None:
    open_to_all = await findings(model, server={"host": "0.0.0.0"})
    assert (open_to_all["camera"].level, open_to_all["access"].level) == ("warn", "fail")


@pytest.mark.parametrize("wrong", ["missing", "config.json", "model.safetensors", "type"])
async def test_weights_that_cannot_be_loaded_are_found(model: Path, wrong: str) -> None:
    if wrong == "missing":
        model = model / "nowhere"
    elif wrong == "type":
        (model / "config.json").write_text('{"model_type": "llama"}')
    else:
        (model / wrong).unlink()
    found = await findings(model)
    assert found["weights"].level == "fail"


async def test_a_gpu_that_is_not_there_is_found(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")  # nor on a machine that has one
    assert (await findings(model, engine={"device": "cuda"}))["device"].level == "fail"


async def test_whether_speech_itself_can_ask(model: Path) -> None:
    aloud = {"question": "speech"}
    found = await findings(model, speech=aloud)
    assert found["speech"].level == "ok"
    assert "the model understands it" in found["speech"].message
    found = await findings(Path("nano"), speech=aloud)
    assert (found["weights"].level, found["speech"].level) == ("ok", "fail")
    assert "never trained on spoken questions" in found["speech"].message
    found = await findings(Path("Qwen/Qwen2.5-Omni-7B"), speech=aloud)
    assert "checked at the start" in found["speech"].message
    found = await findings(Path("nano"), speech=aloud | {"mode": "off"})
    assert "typed" in found["speech"].message
    assert "transcript" in (await findings(Path("nano")))["speech"].message
