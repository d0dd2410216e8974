"""The configuration: complete, true, and plain about mistakes."""

from pathlib import Path

import pytest
import yaml

from stream_service.api.tokens import digest_of
from stream_service.config import Config, load, reference
from stream_service.errors import InvalidConfig
from stream_service.types import TalkMode

NANO = Path(__file__).parents[2] / "configs" / "nano.yaml"


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_reference_is_complete_and_true() -> None:
    assert NANO.read_text(encoding="utf-8") == reference(), "run: python -m stream_service.config > configs/nano.yaml"
    document = yaml.safe_load(reference())
    assert {name: set(section) for name, section in document.items()} == {
        name: set(type(getattr(Config(), name)).model_fields) for name in Config.model_fields
    }
    assert load(NANO, {}) == Config()


@pytest.mark.parametrize("name", ["qwen2.5-omni-3b", "qwen2.5-omni-7b"])
def test_the_other_configurations_load_and_change_only_what_differs(name: str) -> None:
    path = NANO.with_name(f"{name}.yaml")
    config = load(path, {})
    assert config.engine.model.lower().endswith(name)
    for section, keys in yaml.safe_load(path.read_text(encoding="utf-8")).items():
        for key in keys:
            assert getattr(getattr(config, section), key) != getattr(getattr(Config(), section), key), (section, key)


def test_every_key_of_the_reference_is_explained() -> None:
    lines = reference().splitlines()
    for number, line in enumerate(lines):
        if line.startswith("  ") and not line.startswith("  #"):
            assert lines[number - 1].startswith("  # "), line


def test_no_more_questions_may_wait_than_the_engine_takes(tmp_path: Path) -> None:
    text = "sessions: {waiting_questions: 5}"
    with pytest.raises(InvalidConfig, match=r"waiting_questions is 5.* only 4") as refused:
        load(written(tmp_path, text), {})
    assert refused.value.field == "sessions.waiting_questions"
    assert "engine.question_queue to 5" in refused.value.remedy
    assert load(written(tmp_path, text + "\nengine: {question_queue: 5}"), {}).sessions.waiting_questions == 5


def test_the_environment_overrides_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, "server: {port: 9000, host: localhost}")
    environ = {
        "OMNIDROP_SERVER__PORT": "9001",
        "OMNIDROP_SERVER__TOKENS": '["a-token-of-the-operator"]',
        "OMNIDROP_SPEECH__MODE": "push_to_talk",
        "OMNIDROP_HOME": "ignored: it names no key",
        "PATH": "/bin",
    }
    config = load(path, environ)
    assert (config.server.port, config.server.host) == (9001, "localhost")
    assert [token.sha256 for token in config.server.tokens] == [digest_of("a-token-of-the-operator")]
    assert config.speech.mode is TalkMode.PUSH_TO_TALK


def test_off_is_a_word_and_false_a_boolean(tmp_path: Path) -> None:
    assert load(written(tmp_path, "speech: {mode: off}"), {}).speech.mode is TalkMode.OFF
    assert load(None, {"OMNIDROP_SPEECH__MODE": "off"}).speech.mode is TalkMode.OFF
    assert load(None, {"OMNIDROP_MEDIA__RELAY_ONLY": "false"}).media.relay_only is False
    password = load(None, {"OMNIDROP_MQTT__PASSWORD": "00123"}).mqtt.password
    assert password is not None
    assert password.get_secret_value() == "00123"
    hosts = load(None, {"OMNIDROP_SERVER__ALLOWED_HOSTS": "[camera.example, page.test]"}).server.allowed_hosts
    assert hosts == ("camera.example", "page.test")
    assert load(None, {"OMNIDROP_MQTT__HOST": "null"}).mqtt.host is None


@pytest.mark.parametrize(
    ("text", "field", "nearest"),
    [
        ("server: {prot: 1}", "server.prot", "server.port"),
        ("sever: {port: 1}", "sever", "server"),
        ("engine: {buget: 9}", "engine.buget", "engine.budget"),
        ("media: {ice_servers: [{urls: ['stun:x'], user_name: me}]}", "media.ice_servers.0.user_name", "username"),
    ],
)
def test_an_unknown_key_names_the_nearest(tmp_path: Path, text: str, field: str, nearest: str) -> None:
    with pytest.raises(InvalidConfig) as refused:
        load(written(tmp_path, text), {})
    assert refused.value.field == field
    assert nearest in refused.value.remedy


def test_a_key_like_no_other_lists_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfig) as refused:
        load(written(tmp_path, "server: {zzzz: 1}"), {})
    assert "host, port" in refused.value.remedy


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("server: {port: 70000}", "server.port"),
        ("server: {port: many}", "server.port"),
        ("server: {tokens: [short]}", "server.tokens.0"),
        ("sessions: {barge_in: shout}", "sessions.barge_in"),
        ("server: 7", "server"),
    ],
)
def test_a_value_out_of_range_names_its_key(tmp_path: Path, text: str, field: str) -> None:
    with pytest.raises(InvalidConfig) as refused:
        load(written(tmp_path, text), {})
    assert refused.value.field == field
    assert refused.value.remedy


def test_a_wrong_secret_is_named_but_not_repeated(tmp_path: Path) -> None:
    for token in ("'kept secret!!!!!!!'", "{token: 'kept secret!!!!!', scopes: [ask]}"):
        with pytest.raises(InvalidConfig, match="16 to 512") as refused:
            load(written(tmp_path, f"server: {{tokens: [{token}]}}"), {})
        assert "kept" not in str(refused.value) + refused.value.remedy


@pytest.mark.parametrize(
    "text",
    ["media: {turn_secret: hushhush}", "media: {ice_servers: {urls: ['turn:a'], credential: hushhush}}"],
)
def test_no_part_that_may_hold_a_secret_is_repeated(tmp_path: Path, text: str) -> None:
    with pytest.raises(InvalidConfig) as refused:
        load(written(tmp_path, text), {})
    assert refused.value.field.startswith("media")
    assert "hushhush" not in str(refused.value) + refused.value.remedy


@pytest.mark.parametrize("text", ["- a\n- b", "just words", "a: [", "a: b: c"])
def test_a_file_that_is_no_configuration(tmp_path: Path, text: str) -> None:
    with pytest.raises(InvalidConfig) as refused:
        load(written(tmp_path, text), {})
    assert refused.value.remedy


def test_a_file_that_is_not_there_or_not_text(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfig, match="Cannot read"):
        load(tmp_path / "none.yaml", {})
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InvalidConfig, match="UTF-8"):
        load(tmp_path / "binary.yaml", {})


def test_an_empty_file_is_all_defaults(tmp_path: Path) -> None:
    assert load(written(tmp_path, ""), {}) == Config()


@pytest.mark.parametrize(
    "environ", [{"OMNIDROP_SERVER__PORT": "["}, {"OMNIDROP_SERVER__PROT": "1"}, {"OMNIDROP_SERVER__PORT__X": "1"}]
)
def test_a_mistake_in_the_environment_is_one_too(environ: dict[str, str]) -> None:
    with pytest.raises(InvalidConfig):
        load(None, environ)
