from __future__ import annotations

from pathlib import Path

import pytest

from stream_service import cli
from stream_service.answers.log import Opening
from stream_service.answers.store_export import export
from stream_service.errors import NotFound, StartupError
from tests.stream_service.answers.stores import Time, durable, opened, session, url_of, write


async def test_a_session_is_exported_while_a_server_writes(tmp_path: Path) -> None:
    url = url_of("sqlite", tmp_path)
    time = Time()
    async with opened(url, now=time) as logs:
        await session(logs, "old", 2, "door")
        time.now += 1000
        log = logs.open(Opening("new", "door"))
        write(log, *[f'{{"type":"error","seq":{seq}}}' for seq in range(1, 1201)])
        await durable(log)
        assert list(export(url, "door")) == [f'{{"type":"error","seq":{seq}}}' for seq in range(1, 1201)]
        assert list(export(url, "old")) == ["error", "session.closed"]
        with pytest.raises(NotFound):
            list(export(url, "cellar"))


def test_without_a_log_there_is_nothing_to_export(tmp_path: Path) -> None:
    with pytest.raises(StartupError, match="no event log"):
        list(export(f"sqlite:///{tmp_path}/none.db", "door"))
    assert list(tmp_path.iterdir()) == []


async def test_the_command_prints_json_lines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    url = url_of("sqlite", tmp_path)
    async with opened(url) as logs:
        await session(logs, "s", 2)
    monkeypatch.setenv("OMNIDROP_ANSWERS__LOG", url)
    assert cli.main(["export", "s"]) == 0
    assert capsys.readouterr().out == "error\nsession.closed\n"
    assert cli.main(["export", "nobody"]) == 1
    monkeypatch.setenv("OMNIDROP_ANSWERS__LOG", "memory")
    assert cli.main(["export", "s"]) == 2
