"""The command's exit statuses and words, as far as they need no model."""

import socket
from pathlib import Path

import pytest

from stream_service.cli import main


@pytest.fixture(autouse=True)
def _no_overrides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.environ", {"PATH": "/bin"})


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as done:
        main(["--version"])
    assert done.value.code == 0
    assert capsys.readouterr().out.startswith("omnidrop ")


@pytest.mark.parametrize(
    "arguments", [[], ["sing"], ["ask", "clip.mp4"], ["ask", "clip.mp4", "What?", "--retention", "x"]]
)
def test_bad_arguments_exit_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as done:
        main(arguments)
    assert done.value.code == 2
    assert "usage: omnidrop" in capsys.readouterr().err


def failed(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    status = main(arguments)
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("omnidrop: ")
    assert told.err.count("\n") == 1, "one line, no traceback"
    return status, told.err


def test_a_configuration_mistake_exits_with_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("server: {prot: 1}")
    status, told = failed(["serve", "--config", str(path)], capsys)
    assert status == 2
    assert "server.port" in told


def test_a_question_mistake_exits_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    for question in ("", "why " * 2_500):
        status, told = failed(["ask", "clip.mp4", question], capsys)
        assert status == 2
        assert "question" in told.lower()


def test_an_open_door_exits_with_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("server: {host: 0.0.0.0}")
    status, told = failed(["serve", "--config", str(path)], capsys)
    assert status == 1
    assert "server.tokens" in told


def test_a_port_in_use_exits_with_1_before_anything_is_loaded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        path = tmp_path / "config.yaml"
        path.write_text(f"server: {{port: {port}}}\nengine: {{model: /nowhere}}")
        status, told = failed(["serve", "--config", str(path)], capsys)
    assert status == 1
    assert f"{port} is in use" in told
    assert "OMNIDROP_SERVER__PORT" in told


def test_a_host_that_is_none_exits_with_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("server: {host: 256.0.0.1, tokens: [a-token-of-the-operator]}")
    status, told = failed(["serve", "--config", str(path)], capsys)
    assert status == 1
    assert "server.host" in told
