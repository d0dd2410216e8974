"""Live conversations through the public interface: turns, barge-in, refusals, bounds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from pruner import (
    Ask,
    BudgetError,
    Conversation,
    ConversationState,
    FuseReport,
    InputError,
    LiveModel,
    RawWindow,
    ScheduleError,
    StateError,
    Tokens,
    Turn,
    TurnOptions,
    TurnState,
)
from pruner.tokens import Role

BUDGET = 600


def _window(start: float, seconds: int = 2, *, video: bool = True, audio: bool = True, seed: int = 0) -> RawWindow:
    rng = np.random.default_rng([seed, int(start)])
    frames = rng.integers(0, 256, (2 * seconds, 84, 84, 3), dtype=np.uint8)
    samples = 0.1 * rng.standard_normal(16_000 * seconds, dtype=np.float32)
    return RawWindow(start, frames if video else None, samples if audio else None)


def _watch(model: LiveModel, conversation: Conversation, *windows: RawWindow) -> list[FuseReport]:
    reports = []
    for window in windows:
        (encoded,) = model.encode([(conversation, window)])
        reports += model.fuse([(conversation, encoded)])
    return reports


def _ask(model: LiveModel, conversation: Conversation, text: str, options: TurnOptions | None = None) -> Turn:
    (turn,) = model.guide([Ask(conversation, text, options)])
    return turn


def _finish(model: LiveModel, turn: Turn) -> str:
    text = ""
    while True:
        (step,) = model.step([turn])
        text += step.text
        if step.done:
            return text


@pytest.fixture
def conversation(tiny_model: LiveModel) -> Conversation:
    return tiny_model.open(budget=BUDGET)


def test_a_whole_turn(tiny_model: LiveModel, conversation: Conversation) -> None:
    first, second = _watch(tiny_model, conversation, _window(0), _window(2))
    assert first.seen == Tokens(18, 50)
    assert (first.kept, second.kept) == (Tokens(9 + 1, 35), Tokens(1 + 1, 35))
    assert second.store_tokens == 82
    turn = _ask(tiny_model, conversation, "What is it?")
    assert conversation.state is ConversationState.ANSWERING
    text = _finish(tiny_model, turn)
    assert turn.state is TurnState.DONE
    assert text == turn.text
    report = turn.report()
    assert report.tokens_per_layer[:4] == [82, 82, 82, report.tokens_per_layer[3]]
    assert report.deep_share == pytest.approx(0.3, abs=0.01)
    assert report.retention == pytest.approx(sum(report.tokens_per_layer) / (6 * 136))
    assert [one.start for one in report.survivors] == [0.0, 2.0]
    by_layer = [sum(one.video[layer] + one.audio[layer] for one in report.survivors) for layer in range(6)]
    assert by_layer == report.tokens_per_layer
    assert [len(alive) for alive in turn.sequences()] == report.tokens_per_layer
    tiny_model.commit(turn)
    figures = conversation.report()
    assert (figures.store_tokens, figures.windows, figures.turns, figures.coverage) == (82, 2, 1, 1.0)
    # the store's answer is what was said, and what ends it
    rows = conversation.store.rows
    assert int((rows.role == Role.ANSWER).sum()) == len(turn.ids) + len(tiny_model.model.prompt.end)


def test_guiding_takes_nothing_from_the_store(tiny_model: LiveModel) -> None:
    """Asked after a question about something else was taken back, a question is answered as if asked first."""
    logits = []
    for earlier in (False, True):
        conversation = tiny_model.open(budget=BUDGET)
        _watch(tiny_model, conversation, _window(0), _window(2))
        if earlier:
            turn = _ask(tiny_model, conversation, "Something else?", TurnOptions(deep_share=0.05))
            _finish(tiny_model, turn)
            tiny_model.commit(turn, published=0)
        logits.append(_ask(tiny_model, conversation, "What is it?").logits)
    torch.testing.assert_close(logits[0], logits[1], atol=1e-12, rtol=0)


@pytest.mark.parametrize("published", [1, 3, None])
def test_barge_in_commits_what_was_published(tiny_model: LiveModel, published: int | None) -> None:
    """The next question is answered as if the answer had been no longer than what was published."""
    conversation = tiny_model.open(budget=BUDGET)
    _watch(tiny_model, conversation, _window(0))
    turn = _ask(tiny_model, conversation, "What is it?", TurnOptions(max_tokens=5))
    for _ in range(4):
        tiny_model.step([turn])
    said = turn.ids[:published]
    tiny_model.commit(turn, published=published)
    interrupted = _ask(tiny_model, conversation, "And now?")

    other = tiny_model.open(budget=BUDGET)
    _watch(tiny_model, other, _window(0))
    short = _ask(tiny_model, other, "What is it?", TurnOptions(max_tokens=len(said)))
    _finish(tiny_model, short)
    assert short.ids == said
    tiny_model.commit(short)
    torch.testing.assert_close(interrupted.logits, _ask(tiny_model, other, "And now?").logits, atol=1e-12, rtol=0)


def test_windows_during_an_answer_are_encoded_then_fused_after_it(
    tiny_model: LiveModel, conversation: Conversation
) -> None:
    _watch(tiny_model, conversation, _window(0))
    turn = _ask(tiny_model, conversation, "What is it?")
    (encoded,) = tiny_model.encode([(conversation, _window(2))])
    with pytest.raises(StateError, match="commit the running turn first"):
        tiny_model.fuse([(conversation, encoded)])
    with pytest.raises(StateError):
        _ask(tiny_model, conversation, "And?")
    with pytest.raises(StateError):
        conversation.set_budget(500)
    _finish(tiny_model, turn)
    tiny_model.commit(turn)
    (report,) = tiny_model.fuse([(conversation, encoded)])
    assert report.kept == Tokens(10, 35)  # a new segment: its first patch is whole


def test_a_batch_is_each_conversation_alone(tiny_model: LiveModel) -> None:
    def answers(conversations: list[Conversation], batched: bool) -> list[list[int]]:
        groups = [conversations] if batched else [[one] for one in conversations]
        ids: list[list[int]] = []
        for group in groups:
            for start in (0, 2):
                windows = [_window(start, seed=conversations.index(one)) for one in group]
                encoded = tiny_model.encode(list(zip(group, windows, strict=True)))
                tiny_model.fuse(list(zip(group, encoded, strict=True)))
            turns = tiny_model.guide([Ask(one, f"Question {conversations.index(one)}?") for one in group])
            for _ in range(4):
                tiny_model.step(turns)
            ids += [turn.ids for turn in turns]
        return ids

    pairs = [[tiny_model.open(budget=BUDGET) for _ in range(3)] for _ in range(2)]
    assert answers(pairs[0], batched=True) == answers(pairs[1], batched=False)


def test_turns_of_different_lengths_share_steps(tiny_model: LiveModel) -> None:
    both = [tiny_model.open(budget=BUDGET) for _ in range(2)]
    turns = tiny_model.guide([Ask(one, "Hm?", TurnOptions(max_tokens=n)) for one, n in zip(both, (1, 2), strict=True)])
    first, second = tiny_model.step(turns)
    assert (first.done, second.done) == (True, False)
    with pytest.raises(StateError, match="turn running"):
        tiny_model.step(turns)
    assert tiny_model.step(turns[1:])[0].reason == "length"


def test_questions_that_are_refused_change_nothing(tiny_model: LiveModel, conversation: Conversation) -> None:
    _watch(tiny_model, conversation, _window(0))
    before = conversation.store.length
    with pytest.raises(InputError, match="empty") as caught:
        _ask(tiny_model, conversation, " \n")
    assert caught.value.field == "text"
    with pytest.raises(InputError, match="10000 tokens"):
        _ask(tiny_model, conversation, "x" * 10_000)
    with pytest.raises(ScheduleError):
        _ask(tiny_model, conversation, "What?", TurnOptions(retention=0.9))
    with pytest.raises(InputError, match="no room"):
        _ask(tiny_model, conversation, "What?", TurnOptions(max_tokens=5000))
    other = tiny_model.open(budget=BUDGET)
    with pytest.raises(InputError):
        tiny_model.guide([Ask(other, "fine"), Ask(conversation, "")])
    assert conversation.state is other.state is ConversationState.LISTENING
    assert conversation.store.length == before
    _finish(tiny_model, _ask(tiny_model, conversation, "What?"))


@pytest.mark.parametrize(
    ("window", "field"),
    [
        (RawWindow(0.0, None, None), "window"),
        (_window(0, 3), "window"),
        (replace(_window(0), start=float("nan")), "start"),
        (replace(_window(0), compression=0.0), "compression"),
        (replace(_window(0), samples=np.zeros(16_000, dtype=np.float64)), "samples"),
        (replace(_window(0), samples=np.zeros(15_999, dtype=np.float32)), "samples"),
        (replace(_window(0), samples=np.full(32_000, np.nan, dtype=np.float32)), "samples"),
        (replace(_window(0), frames=np.zeros((4, 84, 84, 4), dtype=np.uint8)), "frames"),
        (replace(_window(0), frames=np.zeros((3, 84, 84, 3), dtype=np.uint8)), "frames"),
        (replace(_window(0), samples=np.zeros(16_000, dtype=np.float32)), "frames"),
    ],
)
def test_windows_that_are_refused(
    tiny_model: LiveModel, conversation: Conversation, window: RawWindow, field: str
) -> None:
    with pytest.raises(InputError) as caught:
        tiny_model.encode([(conversation, window)])
    assert caught.value.field == field
    assert caught.value.remedy


def test_one_item_of_a_conversation_a_call(tiny_model: LiveModel, conversation: Conversation) -> None:
    with pytest.raises(InputError, match="twice"):
        tiny_model.encode([(conversation, _window(0)), (conversation, _window(2))])


@pytest.mark.parametrize(
    ("window", "seen"),
    [
        (_window(0, audio=False), Tokens(18, 0)),
        (_window(0, video=False), Tokens(0, 50)),
        (_window(0, 1), Tokens(9, 25)),
        (replace(_window(0), frames=_window(0, 1).frames), Tokens(9, 50)),
    ],
)
def test_windows_with_less_in_them(
    tiny_model: LiveModel, conversation: Conversation, window: RawWindow, seen: Tokens
) -> None:
    (report,) = _watch(tiny_model, conversation, window)
    assert report.seen == seen
    _watch(tiny_model, conversation, _window(2))
    assert _finish(tiny_model, _ask(tiny_model, conversation, "What is it?")) is not None


def test_media_in_memory_that_cannot_be_written(tiny_model: LiveModel, conversation: Conversation) -> None:
    window = _window(0)
    assert window.frames is not None
    assert window.samples is not None
    mirrored = window.frames[:, :, ::-1]
    window.samples.flags.writeable = False
    (report,) = _watch(tiny_model, conversation, replace(window, frames=mirrored))
    assert report.seen == Tokens(18, 50)


def test_missing_tracks_can_be_filled(load_tiny: Callable[..., LiveModel]) -> None:
    model = load_tiny()
    model.facts = replace(model.facts, fill_missing_tracks=True)
    conversation = model.open(budget=BUDGET)
    (report,) = _watch(model, conversation, _window(0, audio=False))
    assert report.seen == Tokens(18, 50)


def test_compression_under_load_keeps_less(tiny_model: LiveModel, conversation: Conversation) -> None:
    (report,) = _watch(tiny_model, conversation, replace(_window(0), compression=0.5))
    assert report.kept == Tokens(9, 18)


def test_the_store_never_exceeds_its_budget(tiny_model: LiveModel) -> None:
    conversation = tiny_model.open(budget=150)
    reports = _watch(tiny_model, conversation, *(_window(2 * index) for index in range(12)))
    assert max(report.store_tokens for report in reports) <= 150
    assert reports[-1].evicted > 0
    assert 0 < conversation.report().coverage <= 1
    conversation.set_budget(80)
    assert conversation.report().store_tokens <= 80
    _finish(tiny_model, _ask(tiny_model, conversation, "What was first?"))


def test_old_turns_text_leaves_first(load_tiny: Callable[..., LiveModel]) -> None:
    model = load_tiny(max_text_tokens=160, max_question_tokens=32)
    conversation = model.open(budget=BUDGET)
    for number in range(6):
        _watch(model, conversation, _window(2 * number))
        turn = _ask(model, conversation, f"Question {number}?")
        _finish(model, turn)
        model.commit(turn)
        assert conversation.report().text_tokens <= 160
    rows = conversation.store.rows
    assert 5 in rows.turn[rows.role == Role.QUESTION]
    assert int(rows.media.sum()) == conversation.report().store_tokens > 6 * 35


def test_budgets_that_hold_nothing(tiny_model: LiveModel, load_tiny: Callable[..., LiveModel]) -> None:
    with pytest.raises(BudgetError) as caught:
        tiny_model.open(budget=67)
    assert (caught.value.needed, caught.value.available) == (68, 67)
    with pytest.raises(BudgetError, match="max_text_tokens"):
        tiny_model.open(budget=BUDGET, system="x" * 3000)
    with pytest.raises(BudgetError):
        tiny_model.open(budget=BUDGET).set_budget(10)


def test_options_that_no_question_could_use(tiny_model: LiveModel) -> None:
    with pytest.raises(ScheduleError) as caught:
        tiny_model.check(TurnOptions(deep_share=0.01, schedule="sigmoid"))
    assert caught.value.reachable[0] > 0.01
    with pytest.raises(InputError, match="outside"):
        TurnOptions(deep_share=0.0)


def test_a_session_takes_the_memory_it_says(tiny_model: LiveModel) -> None:
    options = tiny_model.options
    conversation = tiny_model.open(budget=BUDGET)
    _watch(tiny_model, conversation, *(_window(2 * index) for index in range(14)))
    turn = _ask(tiny_model, conversation, "What is it?", options.turn)
    used = conversation.report().nbytes + turn.cache.nbytes
    said = tiny_model.session_bytes(BUDGET)
    assert conversation.report().nbytes < said
    assert used <= said


def test_a_closed_conversation_stays_closed(tiny_model: LiveModel, conversation: Conversation) -> None:
    conversation.close()
    with pytest.raises(StateError, match="open another"):
        tiny_model.encode([(conversation, _window(0))])
    with pytest.raises(StateError):
        _ask(tiny_model, conversation, "Still there?")


def test_a_turn_is_committed_once(tiny_model: LiveModel, conversation: Conversation) -> None:
    turn = _ask(tiny_model, conversation, "What is it?")
    tiny_model.commit(turn, published=0)
    with pytest.raises(StateError):
        tiny_model.commit(turn)
    with pytest.raises(StateError):
        tiny_model.step([turn])


def test_a_refused_item_leaves_the_others_of_its_batch_as_they_were(load_tiny: Callable[..., LiveModel]) -> None:
    model = load_tiny()
    family = model.model
    family.facts = replace(family.facts, position_limit=160)
    model = LiveModel(family)
    innocent, full = model.open(budget=400), model.open(budget=400)
    with pytest.raises(BudgetError):
        model.guide([Ask(innocent, "What?"), Ask(full, "x" * 150)])
    (turn,) = model.guide([Ask(innocent, "What?")])
    model.commit(turn, published=0)


def test_turns_without_windows_never_run_out_of_positions(load_tiny: Callable[..., LiveModel]) -> None:
    family = load_tiny().model
    family.facts = replace(family.facts, position_limit=300)
    model = LiveModel(family)
    conversation = model.open(budget=400)
    _watch(model, conversation, _window(0.0), _window(2.0))
    for number in range(12):
        (turn,) = model.guide([Ask(conversation, f"Question {number}, with nothing new to be seen?")])
        model.commit(turn, published=0 if number % 3 == 2 else None)
    assert int(conversation.store.rows.position.max()) < 300
