"""The engine's hot path: schedule → run → postprocess, one batch at a time, on one thread."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from pruner import LiveModel, PrunerError, TurnOptions
from pruner import Step as Token
from stream_service.engine.grants import Grants
from stream_service.engine.runner import Runner, answered, fault, ms
from stream_service.engine.scheduler import Scheduler
from stream_service.engine.sessions import Answer, Session
from stream_service.engine.settings import EngineSettings
from stream_service.engine.work import Batch, Kind, QuestionWork, WindowWork
from stream_service.errors import Busy, Conflict, NotFound
from stream_service.types import (
    AnswerCancelled,
    AnswerDelta,
    AnswerStarted,
    CancelReason,
    EngineEvent,
    EngineFault,
    EngineStats,
    Question,
    Resized,
    SessionSettings,
    StoreEvicted,
    Window,
)


class EngineLoop:
    """Sessions, scheduler and model together. Every question that is asked ends exactly once.

    Args:
        model: the loaded model.
        settings: of the deployment.
        options: how turns are guided unless a session says otherwise.
        clock: monotonic seconds, the same clock as the gateway's.
        free: bytes that the device still has.
    """

    def __init__(
        self,
        model: LiveModel,
        settings: EngineSettings,
        options: TurnOptions,
        clock: Callable[[], float],
        free: Callable[[], int],
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._grants = Grants(model, settings, options, free)
        self._scheduler = Scheduler(settings)
        self._sessions: dict[str, Session] = {}
        self._events: list[EngineEvent] = []
        self._runner = Runner(model, clock, self._events.append)

    # ---- the hot path

    def run_once(self) -> bool:
        """Runs the most urgent batch. Returns False when there was none."""
        now = self._clock()
        self._expire(now)
        batch = self._scheduler.next_batch(now)
        self._events.extend(self._scheduler.take_notices())
        if batch is None:
            return False
        match batch.kind:
            case Kind.DECODE:
                self._decode([self._sessions[name] for name in batch.sessions])
                self._scheduler.done(batch, self._clock())
            case Kind.WINDOWS:
                self._look(batch)
                self._scheduler.done(batch, self._clock())
            case Kind.ASK:
                self._ask(batch)
        return True

    def _look(self, batch: Batch) -> None:
        items = self._with_sessions(batch.windows)
        self._runner.encode(items, batch.step)
        self._runner.fuse((session, work) for session, work in items if session.answer is None)

    def _ask(self, batch: Batch) -> None:
        """Brings each memory a window closer to its question, and guides the questions that are reached."""
        items = self._with_sessions(batch.windows)
        began = self._clock()
        self._runner.encode(items, batch.step)
        encoded = self._clock()
        self._runner.fuse(items)
        fused = self._clock()
        for work in batch.asking:
            work.encode_ms += ms(began, encoded)
            work.fuse_ms += ms(encoded, fused)
        sessions = [self._sessions[work.session] for work in batch.questions]
        asked = [work.question for work in batch.questions]
        turns = self._runner.guide(zip(sessions, asked, strict=True))
        now = self._clock()
        self._scheduler.done(batch, now)
        for session, work, turn in zip(sessions, batch.questions, turns, strict=True):
            if isinstance(turn, PrunerError):
                self._scheduler.ended(session.name, now)
                self._events.append(fault(session.name, turn, work.question.id))
            else:
                timings = {
                    "queue": ms(work.asked, fused) - work.encode_ms - work.fuse_ms,
                    "encode": work.encode_ms,
                    "fuse": work.fuse_ms,
                    "guide": ms(fused, now),
                }
                session.begin(Answer(work, turn, timings, decode_from=now))

    def _decode(self, sessions: Sequence[Session]) -> None:
        answers = [session.answer for session in sessions if session.answer]
        tokens = self._runner.token(answers)
        for session, answer, token in zip(sessions, answers, tokens, strict=True):
            if isinstance(token, PrunerError):
                self._end(session, answer, fault(session.name, token, answer.work.question.id), whole=False)
                continue
            self._publish(session, answer, token)
            if token.done:
                now = self._clock()
                answer.timings_ms |= {"decode": ms(answer.decode_from, now), "total": ms(answer.work.asked, now)}
                self._end(session, answer, answered(answer, token.reason or "stop"), whole=True)

    def _publish(self, session: Session, answer: Answer, token: Token) -> None:
        answer.add(token.text)
        question = answer.work.question.id
        if not answer.started and (token.text or token.done):
            answer.started = True
            self._events.append(AnswerStarted(session.name, question, ms(answer.work.asked, self._clock())))
        if token.text:
            self._events.append(AnswerDelta(session.name, question, token.text))

    def _end(self, session: Session, answer: Answer, event: EngineEvent, *, whole: bool) -> None:
        """Unless ``whole``, only what was published stays in the conversation; with nothing, the question goes too."""
        self._events.append(event)
        self._runner.commit(answer, whole=whole)
        session.end()
        self._scheduler.ended(session.name, self._clock())

    def _expire(self, now: float) -> None:
        for work in self.questions():
            if now >= work.expires:
                self.cancel(work.session, work.question.id, CancelReason.TIMEOUT)

    def _with_sessions(self, works: Sequence[WindowWork]) -> list[tuple[Session, WindowWork]]:
        return [(self._sessions[work.session], work) for work in works]

    # ---- what the gateway asks for

    def open(self, name: str, wished: SessionSettings, *, rejoin: bool = False) -> int:
        """Opens a session. Returns the bytes that it takes at most.

        Raises:
            Conflict: the name is in use.
            InvalidInput: a budget or share that the model cannot work with; names the field and what is possible.
            ServerFull: it would break the running sessions (not checked for a session that rejoins).
        """
        if name in self._sessions:
            raise Conflict(f"session {name} is open already", remedy="Choose another name.", field="session")
        if not rejoin:
            self._scheduler.admit(self._clock())
        conversation, options, session_bytes = self._grants.open(wished)
        self._sessions[name] = Session(name, conversation, options)
        self._scheduler.open(name)
        return session_bytes

    def resize(self, name: str, budget: int) -> bool:
        """Changes how many tokens a session may keep; a smaller budget evicts at once.

        Returns:
            False, and nothing is changed, while an answer of the session runs.

        Raises:
            NotFound: there is no such session.
            InvalidInput: fewer tokens than one window has, or more than one session may hold.
            ServerFull: the device has no room for the new memory beside the old one, which is copied into it.
        """
        session = self._sessions.get(name)
        if session is None:
            raise NotFound("no such session", remedy="Open the session again.")
        self._grants.check(budget)
        if session.answer is not None:
            return False
        evicted, session_bytes = self._grants.resize(session.conversation, budget)
        held = session.conversation.report()
        self._events.append(Resized(name, budget, session_bytes, held.store_tokens, held.coverage))
        if evicted.evicted:
            self._events.append(StoreEvicted(name, evicted.evicted, evicted.thinned_chunks, held.coverage))
        return True

    def feed(self, window: Window) -> None:
        """Queues a window; one of a session that is closed by now is ignored."""
        if window.session in self._sessions:
            self._scheduler.add(WindowWork(window, self._clock()))

    def ask(self, question: Question, closing: Iterable[Window], asked: float, sent: float | None = None) -> None:
        """Queues a question behind its closing windows. The gateway got it when it was ``asked``.

        Its time runs from then, or from when it was ``sent`` if it had to wait for an engine.
        """
        if question.session not in self._sessions:
            remedy = "Open the session again."
            self._events.append(EngineFault(question.session, "not_found", "no such session", remedy, question.id))
            return
        for window in closing:
            self.feed(window)
        expires = (asked if sent is None else sent) + self._settings.answer_timeout_s
        try:
            self._scheduler.add(QuestionWork(question, asked, expires))
        except Busy as error:
            self._events.append(EngineFault(question.session, error.code, error.message, error.remedy, question.id))

    def cancel(self, name: str, question: str, reason: CancelReason) -> None:
        """Ends a question early; one that has ended already is left alone."""
        session = self._sessions.get(name)
        if session is None:
            return
        answer = session.answer
        if answer and answer.work.question.id == question:
            self._end(session, answer, AnswerCancelled(name, question, reason, answer.text), whole=False)
        elif self._scheduler.withdraw(name, question):
            self._events.append(AnswerCancelled(name, question, reason))

    def cancel_all(self, reason: CancelReason, session: str | None = None) -> None:
        """Ends every question, or every question of one session."""
        for work in self.questions():
            if session in (None, work.session):
                self.cancel(work.session, work.question.id, reason)

    def close(self, name: str) -> None:
        """Ends a session's questions and frees its memory; an unknown session is ignored."""
        if name in self._sessions:
            self.cancel_all(CancelReason.SESSION_CLOSED, name)
            self._sessions.pop(name).close()
            self._scheduler.close(name)

    # ---- what the gateway is told

    def questions(self) -> list[QuestionWork]:
        """Questions that have not ended, running ones first."""
        running = [session.answer.work for session in self._sessions.values() if session.answer]
        return [*running, *self._scheduler.waiting()]

    def take_events(self) -> list[EngineEvent]:
        """Events since the last call, in order."""
        events = self._events[:]
        self._events.clear()
        return events

    def stats(self, resident_bytes: int) -> EngineStats:
        """A snapshot for metrics."""
        now = self._clock()
        queued = {name: self._scheduler.queued(name) for name in self._sessions}
        return EngineStats(
            sessions=len(self._sessions),
            queued_windows=sum(queued.values()),
            running_answers=sum(session.answer is not None for session in self._sessions.values()),
            oldest_window_age=self._scheduler.oldest_age(now),
            resident_bytes=resident_bytes,
            degradation=self._scheduler.step.name.lower(),
            per_session={name: {"queued_windows": float(count)} for name, count in queued.items()},
        )
