"""What the engine does next: a pure policy, without a clock, a thread or a model.

Three kinds of work, in this order, each batched over sessions:

1. **decode**: one token of every running answer;
2. **ask**: the windows that a question closes, in order, and with the last one the guided pass over all;
3. **windows**: encode and fuse, earliest deadline first; a window must be fused before the next one ends.

Nobody waits for ever. A question waits for one decode step at most, since an ask batch may follow every decode step.
Windows that would miss their deadline get ``late_share`` of the engine's time however many answers run. A window that
arrives while its own session answers has no causal place yet: it can be encoded, and is fused after the commit.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from stream_service.engine.degradation import Degradation, Step
from stream_service.engine.settings import EngineSettings
from stream_service.engine.work import Batch, Kind, QuestionWork, WindowWork
from stream_service.errors import Busy, ServerFull
from stream_service.types import Overloaded

WINDOW_SECONDS = 2.0
"""Seconds of media in an ordinary window; what the load is measured against."""
FULL_RETRY_S = 10.0
"""Seconds after which a client refused for want of a place may try again."""
COST_MEMORY = 0.8
"""Weight of the past in the running mean of a window's cost."""


@dataclass(slots=True)
class _Lane:
    """One session's work, in causal order."""

    queue: deque[WindowWork | QuestionWork] = field(default_factory=deque)
    answering: bool = False
    horizon: float = float("-inf")
    """Deadline of the newest window: media that comes faster than real time is not late."""
    gap: bool = False

    def question(self) -> QuestionWork | None:
        return next((work for work in self.queue if isinstance(work, QuestionWork)), None)

    def before_question(self) -> Iterator[WindowWork]:
        for work in self.queue:
            if isinstance(work, QuestionWork):
                return
            yield work

    def windows(self) -> list[WindowWork]:
        return [work for work in self.queue if isinstance(work, WindowWork)]

    def unseen(self) -> list[WindowWork]:
        """Windows not encoded yet; only these are dropped, so that the encoders' state stays whole."""
        return [work for work in self.windows() if work.encoded is None]

    def runnable(self) -> WindowWork | None:
        """The next window that may be worked on: fused, or only encoded while the session answers."""
        return next((work for work in self.before_question() if not self.answering or work.encoded is None), None)


class Scheduler:
    """See the module's description. One per engine process."""

    def __init__(self, settings: EngineSettings) -> None:
        self._settings = settings
        self._lanes: dict[str, _Lane] = {}
        self._degradation = Degradation(settings.behind_s, settings.recover_s)
        self._notices: list[Overloaded] = []
        self._window_cost = 0.0
        self._owed = 0.0
        self._last: Kind | None = None

    # ---- sessions

    def admit(self, now: float) -> None:
        """Checks that one more session would not break the running ones.

        Raises:
            ServerFull: no place, degraded already, or the predicted load is too high; carries ``retry_after``.
        """
        remedy = "Try again later, or connect to another server."
        if len(self._lanes) >= self._settings.max_sessions:
            raise ServerFull(
                f"all {self._settings.max_sessions} sessions are in use", remedy=remedy, retry_after=FULL_RETRY_S
            )
        if self._degradation.step is not Step.NONE:
            wait = self._degradation.retry_after(now)
            raise ServerFull("the engine is behind and gives up detail already", remedy=remedy, retry_after=wait)
        load = self._window_cost * (len(self._lanes) + 1) / WINDOW_SECONDS
        if self._lanes and load > self._settings.max_load:
            message = f"one more session would need {load:.0%} of the engine's time"
            raise ServerFull(message, remedy=remedy, retry_after=FULL_RETRY_S)

    def open(self, session: str) -> None:
        self._lanes[session] = _Lane()

    def close(self, session: str) -> None:
        del self._lanes[session]

    # ---- work

    def add(self, work: WindowWork | QuestionWork) -> None:
        """Queues work behind everything its session has queued.

        Raises:
            Busy: ``question_queue`` questions of the session wait behind the one that is answered, or will be next.
        """
        lane = self._lanes[work.session]
        if isinstance(work, QuestionWork):
            asked = lane.answering + sum(isinstance(each, QuestionWork) for each in lane.queue)
            if asked > self._settings.question_queue:
                remedy = "Wait for an answer, or cancel a question."
                raise Busy(f"{self._settings.question_queue} questions are waiting already", remedy=remedy)
        else:
            lane.horizon = max(lane.horizon, work.arrived) + (work.window.end - work.window.start)
            work.deadline = lane.horizon
            work.after_gap, lane.gap = lane.gap, False
        lane.queue.append(work)
        if len(lane.windows()) > self._settings.window_queue:
            self._drop(lane, lane.unseen()[0])

    def ended(self, session: str, now: float) -> None:
        """The session's answer is committed: what it held back may be fused, and is due from now on."""
        lane = self._lanes[session]
        lane.answering = False
        for work in lane.windows():
            lane.horizon = work.deadline = max(work.deadline, now + WINDOW_SECONDS)

    def withdraw(self, session: str, question: str) -> QuestionWork | None:
        """Takes back a question that has not begun; its windows stay. None when there is no such question."""
        lane = self._lanes[session]
        for work in lane.queue:
            if isinstance(work, QuestionWork) and work.question.id == question:
                lane.queue.remove(work)
                return work
        return None

    def waiting(self) -> Iterator[QuestionWork]:
        """Questions that have not begun."""
        for lane in self._lanes.values():
            yield from (work for work in lane.queue if isinstance(work, QuestionWork))

    # ---- the policy

    def next_batch(self, now: float) -> Batch | None:
        """The batch to run now, or None when nothing can run before more work or an end arrives."""
        self._degrade(now)
        answering = tuple(session for session, lane in self._lanes.items() if lane.answering)
        asking = [lane for lane in self._lanes.values() if not lane.answering and lane.question()]
        windows = self._due()
        busy = bool(answering or asking)
        urgent = bool(windows) and windows[0].deadline <= now + self._window_cost
        if windows and (not busy or (urgent and self._owed > 0)):
            return self._windows_batch(windows, now)
        if asking and not (answering and self._last is not Kind.DECODE):
            return self._ask_batch(asking, now)
        if answering:
            return Batch(Kind.DECODE, now, self._degradation.step, sessions=answering)
        return None

    def done(self, batch: Batch, now: float) -> None:
        """Takes note that ``batch`` has run. Windows encoded during an answer stay queued, the others are finished."""
        took = now - batch.at
        for work in batch.windows:
            lane = self._lanes[work.session]
            if not lane.answering or work.encoded is None:
                lane.queue.remove(work)
        for asked in batch.questions:
            lane = self._lanes[asked.session]
            lane.queue.remove(asked)
            lane.answering = True
        if batch.kind is Kind.WINDOWS:
            cost = took / len(batch.windows)
            self._window_cost += (1 - COST_MEMORY if self._window_cost else 1.0) * (cost - self._window_cost)
        self._settle(batch.kind, took, now)
        self._last = batch.kind

    # ---- what the operator sees

    @property
    def step(self) -> Step:
        return self._degradation.step

    @property
    def window_cost(self) -> float:
        """Seconds of engine time a window takes (running mean)."""
        return self._window_cost

    def take_notices(self) -> list[Overloaded]:
        """Steps of degradation taken or left, and windows dropped, since the last call."""
        notices, self._notices = self._notices, []
        return notices

    def queued(self, session: str) -> int:
        """Windows of ``session`` that wait."""
        return len(self._lanes[session].windows())

    def lateness(self, now: float) -> float:
        """Seconds past the deadline of the most urgent window that could run; 0 when none is late."""
        windows = self._due()
        return max(0.0, now - windows[0].deadline) if windows else 0.0

    def oldest_age(self, now: float) -> float:
        """Seconds that the oldest waiting window has waited; 0 when none waits."""
        return max((now - work.arrived for lane in self._lanes.values() for work in lane.windows()), default=0.0)

    # ---- inside

    def _due(self) -> list[WindowWork]:
        """Each session's next window by deadline; sessions about to ask take theirs along with the question."""
        lanes = (lane for lane in self._lanes.values() if lane.answering or not lane.question())
        return sorted(filter(None, (lane.runnable() for lane in lanes)), key=lambda work: work.deadline)

    def _windows_batch(self, windows: list[WindowWork], now: float) -> Batch:
        fit = int(min(len(windows), self._settings.batch_s / self._window_cost)) if self._window_cost else 1
        return Batch(Kind.WINDOWS, now, self._degradation.step, windows=tuple(windows[: max(1, fit)]))

    def _ask_batch(self, lanes: list[_Lane], now: float) -> Batch:
        """The next window of each session that asks; with its last one (or none) the question is guided."""
        windows: list[WindowWork] = []
        questions: list[QuestionWork] = []
        asking = tuple(question for lane in lanes if (question := lane.question()))
        for lane, question in zip(lanes, asking, strict=True):
            before = list(lane.before_question())
            windows += before[:1]
            if len(before) <= 1:
                questions.append(question)
        return Batch(Kind.ASK, now, self._degradation.step, (), tuple(windows), tuple(questions), asking)

    def _settle(self, kind: Kind, took: float, now: float) -> None:
        """Keeps the account of engine time owed to late windows, at most one second either way."""
        share = self._settings.late_share
        if kind is Kind.WINDOWS:
            self._owed = max(self._owed - took, -1.0)
        elif (windows := self._due()) and windows[0].deadline <= now + self._window_cost:
            self._owed = min(self._owed + took * share / (1 - share), 1.0)
        else:
            self._owed = 0.0

    def _degrade(self, now: float) -> None:
        if self._degradation.observe(self.lateness(now), now):
            action = self._degradation.step.action
            self._notices += [Overloaded(session, action) for session in self._lanes]
        if self._degradation.step is Step.WINDOWS:
            for lane in self._lanes.values():
                while not lane.answering and not lane.question() and len(unseen := lane.unseen()) > 1:
                    if now - unseen[0].deadline <= self._settings.behind_s:
                        break
                    self._drop(lane, unseen[0])

    def _drop(self, lane: _Lane, work: WindowWork) -> None:
        lane.queue.remove(work)
        if after := lane.unseen():
            after[0].after_gap = True
        else:
            lane.gap = True
        self._notices.append(Overloaded(work.session, Step.WINDOWS.action, windows=1))
