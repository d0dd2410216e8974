"""The long benchmark with a model: sessions side by side on a stream of a minute, and runs that are taken up again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.long import __main__ as command
from benchmarks.long.held import session_bytes
from benchmarks.long.sitting import Answer, Sitting, Vital
from nano_omni.world.long import LongQuestion, LongWindow
from pruner import Ask, LiveModel, RawWindow, TurnOptions

pytestmark = pytest.mark.default
BUDGET = 150
ASKED = LongQuestion("What was that?", "a horn.", "av.sound", 50, 1, 40.0, 3, 4)


class _Minute:
    """Thirty windows of noise; two questions about windows 3 and 4 after the 25th."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def play(self, device: str) -> Iterator[LongWindow]:
        random = np.random.default_rng(self.seed)
        for at in range(30):
            frames = random.integers(0, 256, (4, 56, 56, 3), dtype=np.uint8)
            samples = random.normal(0, 0.1, 32_000).astype(np.float32)
            yield LongWindow(at, frames, samples, (ASKED, replace(ASKED, text="And then?")) if at == 24 else ())


def _sit(model: LiveModel, rules: list[str], seeds: list[int], *, commit: bool = False) -> list[Answer | Vital]:
    turn = TurnOptions(deep_share=0.5, max_tokens=4)
    sitting = Sitting(model.model, rules, budget=BUDGET, turn=turn, commit=commit, timed=[1], repeats=2)
    return list(sitting.play([_Minute(seed) for seed in seeds], "cpu"))  # type: ignore[misc]


@pytest.fixture(scope="module")
def found(tiny_model: LiveModel) -> list[Answer | Vital]:
    return _sit(tiny_model, ["live", "uniform_tokens"], [1, 2])


def test_sessions_that_forget_differently_hear_the_same_stream(found: list[Answer | Vital]) -> None:
    answers = [one for one in found if isinstance(one, Answer)]
    vitals = {(one.rule, one.seed): one for one in found if isinstance(one, Vital)}
    assert len(answers) == 2 * 2 * 2
    sessions = {(rule, seed) for rule in ("live", "uniform_tokens") for seed in (1, 2)}
    assert {(one.rule, one.seed) for one in answers} == {*vitals} == sessions
    held = {(one.rule, one.text): one.held for one in answers if one.seed == 1}
    assert held["uniform_tokens", ASKED.text] == 1.0
    assert vitals["live", 1].coverage <= vitals["uniform_tokens", 1].coverage == 1.0
    assert all(0.8 * BUDGET < one.tokens <= BUDGET for one in vitals.values())
    timed = vitals["live", 1]
    assert timed.ttft_ms == pytest.approx(timed.encode_ms + timed.fuse_ms + timed.guide_ms + timed.step_ms)
    assert vitals["live", 2].ttft_ms is vitals["uniform_tokens", 1].session_bytes is None


def test_questions_are_taken_back_unless_turns_are_kept(tiny_model: LiveModel, found: list[Answer | Vital]) -> None:
    (kept,) = (one for one in _sit(tiny_model, ["live"], [1], commit=True) if isinstance(one, Vital))
    back = next(one for one in found if isinstance(one, Vital) and (one.rule, one.seed) == ("live", 1))
    assert kept.text > back.text


def test_what_a_session_holds_is_what_was_computed(tiny_model: LiveModel) -> None:
    conversation = tiny_model.open(budget=BUDGET)
    empty = session_bytes(conversation)
    store = conversation.store
    assert store.nbytes <= empty <= tiny_model.session_bytes(BUDGET)
    for window in _Minute(3).play("cpu"):
        (encoded,) = tiny_model.encode([(conversation, RawWindow(window.start, window.frames, window.samples))])
        tiny_model.fuse([(conversation, encoded)])
        del encoded
    (turn,) = tiny_model.guide([Ask(conversation, "What was that?")])
    assert session_bytes(conversation, turn) >= store.nbytes + turn.cache.nbytes
    assert session_bytes(conversation, turn) <= 1.05 * tiny_model.session_bytes(BUDGET)
    assert session_bytes(conversation, turn) == session_bytes(conversation, turn)
    tiny_model.commit(turn, published=0)
    hoard = np.zeros(1_000_000)
    conversation.hoard = hoard  # type: ignore[attr-defined]
    assert session_bytes(conversation) >= empty + hoard.nbytes


def test_a_run_that_was_killed_goes_on_with_the_next_stream(
    tiny_directory: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "_streams", lambda chosen, seeds: [_Minute(seed) for seed in seeds])
    out = tmp_path / "long.jsonl"
    arguments = ["--model", str(tiny_directory), "--streams", "2", "--rules", "live", "--budget", str(BUDGET)]
    arguments += ["--timed", "1", "--repeats", "1", "--threads", "1", "--out", str(out)]
    play, left = Sitting.play, iter(range(1))

    def killed(self: Sitting, *given: Any) -> Any:
        if next(left, None) is None:
            raise KeyboardInterrupt
        return play(self, *given)

    monkeypatch.setattr(Sitting, "play", killed)
    with pytest.raises(KeyboardInterrupt):
        command.main(arguments)
    with out.open("a") as file:
        file.write('{"kind": "vital", "seed": 8000001, "mi')  # half a line of the stream that was not finished
    monkeypatch.setattr(Sitting, "play", play)
    assert command.main(arguments) == 0
    said = capsys.readouterr()
    assert "streams 8000001 to 8000001" in said.err
    result = json.loads(said.out.splitlines()[-1])
    assert (result["bench"], result["rows"][0]["n"]) == ("long", 4)
    assert result["decoding"]["method"] == "greedy"
    assert command.main(arguments) == 0
    again = capsys.readouterr()
    assert "streams" not in again.err
    assert json.loads(again.out.splitlines()[-1])["rows"] == result["rows"]
    assert command.main([*arguments, "--deep-share", "0.5"]) == 1
    assert "name another file with --out" in capsys.readouterr().err
