import argparse
import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from clients.python import cli
from clients.python.errors import NoAnswer
from tests.clients.python.clips import write_clip


def parsed(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    cli.add_arguments(parser)
    return parser.parse_args(words)


def event(kind: str, **fields: Any) -> dict[str, Any]:
    return {"type": kind, "at": 12.5, "seq": 3, "session": "s", "wall": "", **fields}


def test_a_question_is_typed_or_spoken_not_both() -> None:
    assert parsed("clip.mp4", "--ask", "What?", "--at", "2").at == 2
    with pytest.raises(SystemExit) as usage:
        parsed("clip.mp4", "--ask", "What?", "--say", "q.wav")
    assert usage.value.code == 2


@pytest.mark.parametrize("seconds", ["-1", "inf", "nan", "soon"])
def test_a_time_that_is_none_is_a_usage_error(seconds: str) -> None:
    with pytest.raises(SystemExit) as usage:
        parsed("clip.mp4", "--at", seconds)
    assert usage.value.code == 2


def test_a_source_that_is_not_there_ends_with_3_and_a_remedy(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.stream(parsed("/no/such/clip.mp4")) == 3
    said = capsys.readouterr().err
    assert "/no/such/clip.mp4 cannot be opened" in said
    assert "Give a video" in said


def test_a_question_that_cannot_be_read_ends_with_3(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mkv")
    assert cli.stream(parsed(str(clip), "--say", "/no/such/question.wav")) == 3


@pytest.mark.default
def test_a_server_that_is_not_there_ends_with_5(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clip = write_clip(tmp_path / "clip.mkv")
    assert cli.stream(parsed(str(clip), "--server", "http://127.0.0.1:9")) == 5
    assert "Check that the server runs" in capsys.readouterr().err


def test_events_are_printed_for_people_and_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    cli.print_plain(event("question.accepted", question="q", text="What is it?", source="speech"))
    cli.print_plain(event("question.accepted", question="p", text="", source="speech"))
    cli.print_plain(event("question.transcribed", question="p", text="Who is it?"))
    cli.print_plain(event("answer.delta", question="q", text="a blue"))
    cli.print_plain(event("answer.restarted", question="q", text="a blue"))
    cli.print_plain(event("answer.delta", question="q", text="a red "))
    cli.print_plain(event("answer.delta", question="q", text="circle."))
    cli.print_plain(event("answer.done", question="q", timings_ms={"total": 401.4}))
    cli.print_plain(event("window.fused", index=6, seen={"video": 72, "audio": 50}, kept={"video": 43, "audio": 35}))
    assert capsys.readouterr().out.splitlines() == [
        "[  12.50] question (speech): What is it?",
        "[  12.50] question (speech): (spoken)",
        "[  12.50] the question was: Who is it?",
        "a blue",
        "[  12.50] the model was restarted and is asked again",
        "a red circle.",
        "[  12.50] answered (total 401 ms)",
        "[  12.50] window 6: kept 78 of 122 tokens",
    ]
    cli.print_json(event("answer.delta", text="größer"))
    assert json.loads(capsys.readouterr().out)["text"] == "größer"


async def test_the_first_of_several_tasks_decides_and_the_rest_are_ended() -> None:
    ended = asyncio.Event()

    async def forever() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async def fails() -> None:
        await asyncio.sleep(0)
        raise NoAnswer("no", remedy="again")

    with pytest.raises(NoAnswer):
        await cli._first([forever(), fails()])
    assert ended.is_set()
