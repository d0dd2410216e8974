"""One live session: takes its media in, turns speech and text into questions, and tells its story in events."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from stream_service.answers import events
from stream_service.answers.log import Interrupted
from stream_service.errors import Conflict
from stream_service.session import endings
from stream_service.session.ears import Ears
from stream_service.session.endings import Ending
from stream_service.session.intake import Intake
from stream_service.session.journal import Journal
from stream_service.session.length import TokenLimit
from stream_service.session.lifecycle import Lifecycle, SessionState
from stream_service.session.narrator import Narrator
from stream_service.session.ports import Engine, Listener, Recogniser, WindowCutter
from stream_service.session.questions import Questions
from stream_service.session.settings import BargeIn, SessionsSettings
from stream_service.session.turns import Turns
from stream_service.types import (
    AudioChunk,
    BreakKind,
    CancelReason,
    EngineEvent,
    EngineInfo,
    MediaBreak,
    Question,
    QuestionSource,
    Resized,
    SessionSettings,
    TalkMode,
    VideoFrame,
)


@dataclass(frozen=True, slots=True)
class SessionOptions:
    """What its publisher chose; ``owner`` is the token that opened it (None where the server asks for none)."""

    talk: TalkMode
    barge_in: BargeIn
    name: str | None = None
    owner: str | None = None
    engine: SessionSettings = field(default_factory=SessionSettings)


@dataclass(frozen=True, slots=True)
class Hearing:
    """The speech stage's part of a session; ``aloud``: the speech itself asks, not its words."""

    listener: Listener
    recogniser: Recogniser
    aloud: bool = False


class Session:
    """A session from its opening to its close; implements :class:`~stream_service.types.MediaSink`.

    All methods are called on the event loop. ``clock`` is monotonic, in seconds; nothing here sleeps: the registry asks
    :meth:`expired` from time to time.
    """

    def __init__(
        self,
        id: str,
        options: SessionOptions,
        *,
        engine: Engine,
        windower: WindowCutter,
        hearing: Hearing | None,
        journal: Journal,
        settings: SessionsSettings,
        grace_s: float,
        clock: Callable[[], float],
        tokens: TokenLimit | None = None,
        past: Interrupted | None = None,
    ) -> None:
        self.id = id
        self.options = options
        self.session_bytes = 0
        """Memory that it takes at most, once the engine has opened it."""
        self.journal = journal
        self.turns = Turns(options.barge_in, settings.waiting_questions)
        self._settings = settings
        self._grace_s = grace_s
        self._clock = clock
        self._lifecycle = Lifecycle()
        self._past = past
        windows = 0 if past is None else past.windows
        self._intake = Intake(engine, windower, windows)
        self._narrator = Narrator(journal, self.turns, clock, windows)
        self._questions = Questions(
            id,
            engine=engine,
            intake=self._intake,
            turns=self.turns,
            journal=journal,
            narrator=self._narrator,
            max_chars=settings.question_chars,
            clock=clock,
            tokens=tokens,
            aloud=hearing is not None and hearing.aloud,
        )
        self._ears: Ears | None = None
        if hearing is not None:
            self._ears = Ears(hearing.listener, hearing.recogniser, self._questions, options.talk, aloud=hearing.aloud)
        self._media_at = self._lost_at = clock()
        self._closed = asyncio.Event()

    @property
    def state(self) -> SessionState:
        return self._lifecycle.state

    @property
    def position(self) -> float:
        """Stream seconds of the newest media."""
        return self._intake.position

    @property
    def windows(self) -> int:
        """Windows handed to the engine."""
        return self._intake.windows

    @property
    def windows_in_flight(self) -> int:
        """Windows newer than the last one that the engine fused."""
        return max(0, self._intake.windows - self._narrator.fused_to)

    @property
    def talk(self) -> TalkMode:
        return TalkMode.OFF if self._ears is None else self._ears.mode

    # Life ----------------------------------------------------------------------------------------------------------

    def announce(self, model: EngineInfo) -> None:
        """Write the session's first event."""
        config = events.SessionConfig(
            name=self.options.name, talk=self.talk, barge_in=self.options.barge_in, grace_s=self._grace_s
        )
        facts = {name: getattr(model, name) for name in events.Model.model_fields}
        chosen = {name: value for name in facts if (value := getattr(self.options.engine, name, None)) is not None}
        self.journal.write(events.SessionStarted, config=config, model=events.Model(**facts | chosen))

    def resume(self) -> None:
        """Go on where an earlier run of the server was cut off: its source is lost and may come back.

        Of a session that was made with its ``past``, the first call.
        """
        assert self._past is not None
        self._narrator.resume(self._past.unanswered, self._past.windows)
        self._lose("the server was restarted")

    async def run(self) -> None:
        """The session's own tasks, until :meth:`close`."""
        async with asyncio.TaskGroup() as tasks:
            hearing = None if self._ears is None else tasks.create_task(self._ears.run())
            await self._closed.wait()
            if hearing is not None:
                hearing.cancel()

    def expired(self) -> Ending | None:
        """Why the session should be closed now, if it should."""
        now = self._clock()
        if self.state is SessionState.LOST and now - self._lost_at >= self._grace_s:
            return endings.SOURCE_LOST
        if self.state in (SessionState.OPENING, SessionState.LIVE) and now - self._media_at >= self._settings.idle_s:
            return endings.idle(self._settings.idle_s)
        return None

    def close(self, ending: Ending) -> None:
        """Write the last events; whatever the engine still says about this session is not heard any more."""
        if not self._lifecycle.can(SessionState.CLOSED):
            return
        self._narrator.abandon(ending.cancel)
        self._lifecycle.to(SessionState.CLOSED)
        self.journal.write(events.SessionClosed, code=ending.code, reason=ending.reason)
        self._closed.set()

    def suspend(self) -> None:
        """Stop as :meth:`close` does, without an end in the log: a later run of the server takes the session up."""
        self._narrator.abandon(CancelReason.SHUTDOWN)
        self._lifecycle.to(SessionState.CLOSED)
        self._closed.set()

    def fail(self) -> None:
        """Say that this program made a mistake, before the session is closed for it."""
        self._narrator.error("internal", "Something went wrong in this session.", "Publish again; tell the operator.")

    # Media (MediaSink) -----------------------------------------------------------------------------------------------

    def on_tracks(self, *, video: bool, audio: bool) -> None:
        if self.state is SessionState.OPENING:
            self._lifecycle.to(SessionState.LIVE)
        if self.state is not SessionState.CLOSED:
            self._media_at = self._clock()
            self._intake.tracks(video=video, audio=audio)

    def on_video(self, frame: VideoFrame) -> None:
        if self.state is not SessionState.CLOSED:
            self._media_at = self._clock()
            self._intake.video(frame)

    def on_audio(self, chunk: AudioChunk) -> None:
        if self.state is not SessionState.CLOSED:
            self._media_at = self._clock()
            self._intake.audio(chunk)
            if self._ears is not None and self._ears.mode is not TalkMode.OFF:
                self._ears.hear(chunk)

    def on_break(self, brk: MediaBreak) -> None:
        if self.state is not SessionState.CLOSED:
            self._intake.interrupted(brk)
            # A phone that is turned in the middle of a question changes its picture, not its sound.
            if self._ears is not None and brk.kind is BreakKind.GAP:
                self._ears.reset()

    def on_lost(self, reason: str) -> None:
        if self.state is not SessionState.LIVE:
            return
        if self._ears is not None:
            self._ears.reset()
        self._lose(reason)

    def on_back(self) -> None:
        if self.state is not SessionState.LOST:
            return
        self._lifecycle.to(SessionState.LIVE)
        self._media_at = self._clock()
        self.journal.write(events.SourceBack, gap=round(self._clock() - self._lost_at, 3))

    # Questions -------------------------------------------------------------------------------------------------------

    def ask(self, text: str, source: QuestionSource = QuestionSource.HTTP) -> Question:
        """Take a typed question about the stream as it is now (see :meth:`Questions.ask` for what it raises)."""
        return self._questions.ask(text, source)

    def cancel(self, question: str) -> None:
        """End a question early. Raises NotFound when it is not open (any more)."""
        self._questions.cancel(question)

    def set_talk(self, mode: TalkMode) -> None:
        """Change how the microphone becomes questions. Raises Conflict without speech."""
        self._hearing().set_mode(mode)

    def press(self) -> None:
        """The push-to-talk key went down. Raises Conflict unless the session is in that mode."""
        self._push_to_talk().press()

    def release(self) -> None:
        """The push-to-talk key went up: the question is complete."""
        self._push_to_talk().release()

    def on_engine(self, event: EngineEvent) -> None:
        """Something that the engine did for this session."""
        if self.state is SessionState.CLOSED:
            return
        if isinstance(event, Resized):
            self.session_bytes = event.session_bytes
            self.options = replace(self.options, engine=replace(self.options.engine, budget=event.budget))
        self._narrator.tell(event)

    def _lose(self, reason: str) -> None:
        self._lifecycle.to(SessionState.LOST)
        self._lost_at = self._clock()
        since = round(self.position, 3)
        self.journal.write(events.SourceLost, since=since, grace_left=self._grace_s, reason=reason)

    def _hearing(self) -> Ears:
        if self._ears is None:
            raise Conflict(
                "This server does not listen.", remedy="Type the question, or set speech.mode on the server."
            )
        return self._ears

    def _push_to_talk(self) -> Ears:
        ears = self._hearing()
        if ears.mode is not TalkMode.PUSH_TO_TALK:
            raise Conflict(
                f"The session's talk mode is {ears.mode.value}.", remedy='PUT {"mode": "push_to_talk"} to it first.'
            )
        return ears
