"""What stays of what happened, replayed without a model."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.long.forgetting import RULES, chosen_rules
from benchmarks.long.kept import kept, main
from benchmarks.long.traces import Evidence, Trace, replay, trace
from nano_omni.world.long import LongStream
from pruner import LiveModel
from pruner.tokens import Modality, Role, TokenRows

WINDOWS, SIZE, BUDGET = 90, 10, 200


def _trace() -> Trace:
    """Three minutes; in every tenth window two tokens show something, and only they are news."""
    chunk = np.repeat(np.arange(WINDOWS), SIZE)
    modality = [Modality.VIDEO, Modality.AUDIO] * (len(chunk) // 2)
    rows = TokenRows.make(
        np.arange(len(chunk)), sequence=0, role=Role.MEDIA, turn=0, modality=modality, chunk=chunk, place=0
    )
    new = np.random.default_rng(0).uniform(0.1, 0.2, len(chunk))
    shown = [np.asarray([SIZE * window + 2, SIZE * window + 4]) for window in range(0, WINDOWS, 10)]
    new[np.concatenate(shown)] = 2.0
    evidence = [
        Evidence("thing", 2.0 * window + 2, tokens) for window, tokens in zip(range(0, 90, 10), shown, strict=True)
    ]
    return Trace(rows, new, (*evidence, Evidence("sound", 120.0, np.zeros(0, dtype=np.int64))))


@pytest.mark.parametrize("rule", RULES)
def test_a_replayed_store_keeps_to_its_budget_and_holds_the_newest_window(rule: str) -> None:
    moments = frozenset((10, 50, WINDOWS))
    found = dict(replay(_trace(), RULES[rule], BUDGET, moments))
    assert set(found) == moments
    for window, held in found.items():
        assert held.sum() <= BUDGET
        assert held[SIZE * (window - 1) : SIZE * window].all()
        assert not held[SIZE * window :].any()


def test_what_is_news_is_kept_where_evenly_spread_tokens_miss_it() -> None:
    shares = {}
    for name in ("live", "uniform_tokens", "window"):
        (row,) = [one for one in kept([_trace()], RULES[name], BUDGET, frozenset([WINDOWS])) if one["age"] == 2]
        shares[name] = row["at_least"][2]
        assert (row["kind"], row["n"]) == ("thing", 3)
    assert shares["live"] == 1.0
    assert shares["window"] == 0.0
    assert shares["uniform_tokens"] < 1.0


def test_unknown_rules_are_named() -> None:
    assert chosen_rules("live,window,live") == ["live", "window"]
    with pytest.raises(ValueError, match="'lucky'"):
        chosen_rules("live,lucky")


@pytest.mark.default
def test_a_trace_is_what_a_session_saw(tiny_model: LiveModel) -> None:
    stream = LongStream(8_000_000, 2)
    one = trace(tiny_model.model, stream, 300)
    assert (np.diff(one.rows.sequence) > 0).all()
    assert np.unique(one.rows.chunk).tolist() == list(range(stream.windows))
    assert set(one.rows.modality) == {Modality.VIDEO, Modality.AUDIO}
    assert np.isfinite(one.new).all()
    assert {event.kind for event in one.evidence} == {"thing", "sound"}
    for event in one.evidence:
        wanted = Modality.VIDEO if event.kind == "thing" else Modality.AUDIO
        assert (one.rows.modality[event.tokens] == wanted).all()
        assert (2 * one.rows.chunk[event.tokens] < event.end + 1).all()


def test_running_into_the_acceptance_seeds_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--seed", "8999999", "--streams", "2"])
    assert "acceptance seeds" in capsys.readouterr().err
