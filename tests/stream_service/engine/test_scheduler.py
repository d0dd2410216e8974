"""The scheduler's policy, without a model and with time injected."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_service.engine.degradation import Degradation, Step
from stream_service.engine.scheduler import Scheduler
from stream_service.engine.settings import EngineSettings
from stream_service.engine.work import Batch, Kind, QuestionWork, WindowWork
from stream_service.errors import Busy, ServerFull
from stream_service.types import Overloaded
from tests.stream_service.engine.builders import question, window

SESSIONS = (("a", 0.0), ("b", 0.6), ("c", 1.3))
"""Names, and when each one's windows arrive within two seconds."""


class Rig:
    """A scheduler whose batches take the time that the test says."""

    def __init__(self, sessions: str = "a", **options: object) -> None:
        self.now = 0.0
        self.scheduler = Scheduler(EngineSettings.model_validate(options))
        for session in sessions:
            self.scheduler.open(session)
        self.log: list[tuple[float, Batch]] = []

    def feed(self, session: str, index: int = 0, *, seconds: float = 2.0) -> WindowWork:
        work = WindowWork(window(session, index, seconds=seconds), self.now)
        self.scheduler.add(work)
        return work

    def ask(self, session: str, id: str = "q") -> QuestionWork:
        work = QuestionWork(question(id, session), self.now, self.now + 30)
        self.scheduler.add(work)
        return work

    def run(self, took: float = 0.0) -> Batch | None:
        batch = self.scheduler.next_batch(self.now)
        if batch:
            for work in batch.windows:
                work.encoded = work.encoded or object()  # type: ignore[assignment]
            self.now += took
            self.scheduler.done(batch, self.now)
            self.log.append((took, batch))
        return batch

    def kind(self, took: float = 0.0) -> Kind | None:
        batch = self.run(took)
        return batch.kind if batch else None

    def answer(self, session: str, id: str = "q") -> None:
        self.ask(session, id)
        assert self.kind() is Kind.ASK


def indexes(batch: Batch | None) -> list[tuple[str, int]]:
    assert batch
    return [(work.session, work.window.index) for work in batch.windows]


def test_nothing_to_do() -> None:
    assert Rig("ab").run() is None


def test_windows_go_by_deadline_and_keep_their_order() -> None:
    rig = Rig("ab", batch_s=10)
    rig.feed("b", 0)
    rig.now = 0.5
    rig.feed("a", 0)
    rig.feed("a", 1)
    assert indexes(rig.run(0.1)) == [("b", 0)]  # the first one alone: its cost is not known yet
    assert indexes(rig.run(0.1)) == [("a", 0)]
    assert indexes(rig.run(0.1)) == [("a", 1)]
    assert rig.run() is None


def test_windows_are_batched_over_sessions_as_far_as_a_question_may_wait() -> None:
    rig = Rig("abcdef", batch_s=0.25)
    rig.feed("a")
    rig.run(0.1)
    for session in "abcdef":
        rig.feed(session, 1)
    assert len(indexes(rig.run(0.2))) == 2
    assert len(indexes(rig.run(0.2))) == 2


def test_a_question_takes_its_windows_along_and_leaves_later_ones() -> None:
    rig = Rig("a")
    rig.feed("a", 0)
    rig.feed("a", 1, seconds=1.0)
    rig.ask("a")
    rig.feed("a", 2)
    first, last = rig.run(), rig.run()
    assert first
    assert last
    assert (first.kind, last.kind) == (Kind.ASK, Kind.ASK)
    assert indexes(first) + indexes(last) == [("a", 0), ("a", 1)]
    assert first.questions == ()
    assert [work.question.id for work in first.asking] == ["q"]
    assert last.questions == first.asking
    assert rig.scheduler.queued("a") == 1


def test_a_question_with_a_backlog_does_not_silence_the_others() -> None:
    rig = Rig("ab")
    rig.answer("a")
    for index in range(3):
        rig.feed("b", index)
    rig.ask("b")
    assert [rig.kind() for _ in range(6)] == [Kind.DECODE, Kind.ASK] * 3
    assert {rig.kind() for _ in range(3)} == {Kind.DECODE}


def test_only_what_is_not_encoded_is_dropped() -> None:
    rig = Rig("a", window_queue=2)
    rig.answer("a")
    first = rig.feed("a", 0)
    rig.now = first.deadline
    while first.encoded is None:
        assert rig.run(0.01)
    rig.feed("a", 1)
    third = rig.feed("a", 2)
    assert third.after_gap
    assert [work.window.index for work in rig.scheduler._lanes["a"].windows()] == [0, 2]


def test_questions_of_several_sessions_are_guided_together_and_decoded_together() -> None:
    rig = Rig("abc")
    for session in "abc":
        rig.ask(session)
    batch = rig.run()
    assert batch
    assert len(batch.questions) == 3
    batch = rig.run()
    assert batch
    assert batch.kind is Kind.DECODE
    assert batch.sessions == ("a", "b", "c")


def test_questions_of_one_session_are_answered_one_after_the_other() -> None:
    rig = Rig("a")
    rig.ask("a", "q1")
    rig.ask("a", "q2")
    first = rig.run()
    assert first
    assert [work.question.id for work in first.questions] == ["q1"]
    assert [rig.kind(), rig.kind()] == [Kind.DECODE, Kind.DECODE]
    rig.scheduler.ended("a", rig.now)
    second = rig.run()
    assert second
    assert [work.question.id for work in second.questions] == ["q2"]


def test_a_new_question_waits_for_one_decode_step_at_most() -> None:
    rig = Rig("abc")
    rig.answer("a")
    assert rig.kind() is Kind.DECODE
    rig.ask("b")
    assert rig.kind() is Kind.ASK
    rig.ask("c")
    assert rig.kind() is Kind.DECODE  # the running answers get their token in between
    assert rig.kind() is Kind.ASK


def test_a_window_during_an_answer_is_encoded_at_once_and_fused_after() -> None:
    rig = Rig("a")
    rig.answer("a")
    work = rig.feed("a", 0)
    rig.now = work.deadline
    kinds = [rig.kind(0.01) for _ in range(3)]
    assert Kind.WINDOWS in kinds
    assert rig.scheduler.queued("a") == 1
    assert rig.scheduler.lateness(rig.now + 100) == 0  # held back by its own session, not late
    assert {rig.kind() for _ in range(3)} == {Kind.DECODE}
    rig.scheduler.ended("a", rig.now)
    assert work.deadline >= rig.now + 2
    assert indexes(rig.run()) == [("a", 0)]
    assert rig.scheduler.queued("a") == 0


def test_a_window_that_could_not_be_encoded_does_not_stay() -> None:
    rig = Rig("a")
    rig.answer("a")
    rig.feed("a", 0)
    rig.now = 5.0
    for _ in range(3):
        batch = rig.scheduler.next_batch(rig.now)
        assert batch
        rig.now += 0.01
        rig.scheduler.done(batch, rig.now)
    assert rig.scheduler.queued("a") == 0


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_late_windows_get_their_share_while_a_long_answer_runs(share: float) -> None:
    rig = Rig("ab", late_share=share)
    rig.answer("a")
    for index in range(30):
        rig.feed("b", index)
    rig.scheduler._lanes["b"].queue[0].deadline = 0.0  # type: ignore[union-attr]
    for work in rig.scheduler._lanes["b"].windows():
        work.deadline = 0.0
    while rig.scheduler.queued("b"):
        assert rig.run(0.05)
    windows = sum(took for took, batch in rig.log if batch.kind is Kind.WINDOWS)
    assert windows / rig.now == pytest.approx(share, abs=0.1)


def test_windows_in_time_wait_for_the_answer() -> None:
    rig = Rig("ab")
    rig.answer("a")
    rig.feed("b")
    assert [rig.kind(0.1) for _ in range(5)] == [Kind.DECODE] * 5


def test_media_faster_than_real_time_is_not_late() -> None:
    rig = Rig("a")
    for index in range(10):
        rig.feed("a", index)
    rig.now = 19.0
    assert rig.scheduler.lateness(rig.now) > 0  # the first is, by now
    works = rig.scheduler._lanes["a"].windows()
    assert [work.deadline for work in works] == [2.0 * (k + 1) for k in range(10)]


def test_degradation_is_taken_and_left_in_stated_steps() -> None:
    rig = Rig("a", behind_s=1, recover_s=10)
    rig.feed("a", 0)
    rig.feed("a", 1)
    actions: list[str] = []
    dropped = 0
    for rig.now in [t / 2 for t in range(4, 30)]:
        rig.scheduler.next_batch(rig.now)
        for notice in rig.scheduler.take_notices():
            if notice.windows:
                dropped += notice.windows
            else:
                actions.append(notice.action)
    assert actions == ["compression", "frames", "windows"]
    assert dropped == 1  # the newest is always kept
    while rig.run():
        pass
    while rig.scheduler.step is not Step.NONE:
        rig.now += 1
        rig.scheduler.next_batch(rig.now)
        actions += [notice.action for notice in rig.scheduler.take_notices()]
    assert actions[3:] == ["frames", "compression", "recovered"]


def test_what_follows_a_dropped_window_cannot_continue_its_segment() -> None:
    rig = Rig("a", window_queue=2)
    works = [rig.feed("a", index) for index in range(3)]
    assert [work.after_gap for work in works] == [False, True, False]
    assert rig.scheduler.take_notices() == [Overloaded("a", "windows", windows=1)]
    assert rig.scheduler.queued("a") == 2


def test_admission() -> None:
    rig = Rig("ab", max_sessions=3, max_load=0.5, behind_s=1)
    rig.scheduler.admit(0.0)
    rig.feed("a")
    rig.run(0.4)  # 0.4 s a window: a third session would need 60 % of the time
    with pytest.raises(ServerFull, match="60%") as caught:
        rig.scheduler.admit(rig.now)
    assert caught.value.retry_after
    rig.scheduler.close("b")
    rig.scheduler.admit(rig.now)
    rig.feed("a", 1)
    rig.now += 20
    rig.scheduler.next_batch(rig.now)
    with pytest.raises(ServerFull, match="behind"):
        rig.scheduler.admit(rig.now)


def test_all_places_taken() -> None:
    with pytest.raises(ServerFull, match="all 2 sessions"):
        Rig("ab", max_sessions=2).scheduler.admit(0.0)


def test_the_question_queue_is_bounded() -> None:
    rig = Rig("a", question_queue=2)
    rig.ask("a", "q1")
    rig.ask("a", "q2")
    rig.ask("a", "q3")
    with pytest.raises(Busy):
        rig.ask("a", "q4")
    assert rig.kind() is Kind.ASK  # q1 is being answered, which leaves two to wait
    with pytest.raises(Busy):
        rig.ask("a", "q4")


def test_a_withdrawn_question_leaves_its_windows() -> None:
    rig = Rig("a")
    rig.feed("a", 0, seconds=1.0)
    rig.ask("a")
    assert rig.scheduler.withdraw("a", "q")
    assert rig.scheduler.withdraw("a", "q") is None
    assert rig.kind() is Kind.WINDOWS


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_whatever_happens_order_is_kept_and_nothing_is_lost(data: st.DataObject) -> None:
    """Random arrivals and ends: windows are fused in order, none twice, and a question sees all before it."""
    rig = Rig("ab", window_queue=1000, behind_s=60)
    fed = {"a": 0, "b": 0}
    fused: dict[str, list[int]] = {"a": [], "b": []}
    running: set[str] = set()
    sees: dict[str, tuple[str, int]] = {}
    for number in range(data.draw(st.integers(1, 60))):
        session = data.draw(st.sampled_from("ab"))
        match data.draw(st.sampled_from(["feed", "feed", "run", "run", "run", "ask", "end"])):
            case "feed":
                rig.feed(session, fed[session])
                fed[session] += 1
            case "ask" if sum(work.session == session for work in rig.scheduler.waiting()) < 4:
                rig.ask(session, f"q{number}")
                sees[f"q{number}"] = (session, fed[session])
            case "end" if session in running:
                running.discard(session)
                rig.scheduler.ended(session, rig.now)
            case "run" if batch := rig.run(data.draw(st.floats(0, 0.3))):
                for work in batch.windows:
                    if work.session not in running:
                        fused[work.session].append(work.window.index)
                for asked in batch.questions:
                    running.add(asked.session)
                    owner, count = sees[asked.question.id]
                    assert fused[owner] == list(range(count))
    for session in running:
        rig.scheduler.ended(session, rig.now)
    while batch := rig.run(0.01):
        for work in batch.windows:
            fused[work.session].append(work.window.index)
        for asked in batch.questions:
            rig.scheduler.ended(asked.session, rig.now)
    assert fused == {session: list(range(count)) for session, count in fed.items()}


def test_an_engine_that_is_too_slow_settles_on_looking_less_closely() -> None:
    """Three sessions; the engine can fuse 1.1 windows a second, or 2 when it leaves half of the frames out."""
    rig = Rig("abc", behind_s=1, recover_s=10, max_answer_tokens=1)
    cost = {Step.NONE: 0.9, Step.COMPRESSION: 0.7, Step.FRAMES: 0.5, Step.WINDOWS: 0.5}
    arrivals = [(2.0 * index + offset, session, index) for index in range(150) for session, offset in SESSIONS]
    worst, dropped = 0.0, 0
    steps: list[tuple[str, float]] = []
    for at, session, index in sorted(arrivals):
        while rig.now < at:
            batch = rig.scheduler.next_batch(rig.now)
            rig.now = at if batch is None else rig.now
            if batch:
                rig.run(cost[batch.step] * len(batch.windows))
            for notice in rig.scheduler.take_notices():
                dropped += notice.windows
                steps += [(notice.action, at)] if notice.session == "a" and not notice.windows else []
        rig.feed(session, index)
        worst = max(worst, rig.scheduler.lateness(rig.now))
    assert [action for action, _ in steps[:2]] == ["compression", "frames"]
    assert dropped == 0
    assert worst < 6
    assert sum(at > 150 for _, at in steps) <= 5 < sum(at <= 150 for _, at in steps)  # it swings ever more slowly


def test_degradation_gives_each_step_time_to_act() -> None:
    steps = Degradation(behind_s=1, recover_s=10)
    assert steps.observe(1.5, 0.0)
    assert not steps.observe(9.0, 1.9)
    assert steps.observe(9.0, 2.0)
    assert steps.step.action == "frames"
    assert steps.retry_after(2.0) == 20
    assert not steps.observe(0.5, 12.0)  # late, but not enough for more: no recovery either
    assert not steps.observe(0.0, 21.9)
    assert steps.observe(0.0, 22.0)
    assert steps.step.action == "compression"


def test_a_step_needed_again_soon_is_kept_for_longer() -> None:
    steps = Degradation(behind_s=1, recover_s=10)
    steps.observe(2.0, 0.0)
    assert steps.observe(0.0, 10.0)
    steps.observe(2.0, 12.0)  # a relapse
    assert not steps.observe(0.0, 31.9)
    assert steps.observe(0.0, 32.0)
    steps.observe(2.0, 500.0)  # long after: no relapse
    assert steps.observe(0.0, 510.0)
