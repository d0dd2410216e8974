"""Tells what the engine did for a session as wire events, and ends its turns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from stream_service.answers import events
from stream_service.session.journal import Journal
from stream_service.session.turns import Turns
from stream_service.types import (
    AnswerCancelled,
    AnswerDelta,
    AnswerDone,
    AnswerRestarted,
    AnswerStarted,
    CancelReason,
    ChunkSurvivors,
    EngineEvent,
    EngineFault,
    EngineRestarted,
    ModalityCounts,
    Overloaded,
    Resized,
    Span,
    StoreEvicted,
    WindowFused,
)


class Narrator:
    """Translates one session's engine events; those about a turn that is over are dropped."""

    def __init__(self, journal: Journal, turns: Turns, clock: Callable[[], float], fused_to: int = 0) -> None:
        self._journal = journal
        self._turns = turns
        self._clock = clock
        self.fused_to = fused_to

    def tell(self, event: EngineEvent) -> None:
        write = self._journal.write
        match event:
            case AnswerStarted() | AnswerDelta() | AnswerDone() | AnswerRestarted() | AnswerCancelled():
                self._tell_answer(event)
            case WindowFused():
                self.fused_to = max(self.fused_to, event.index + 1)
                write(
                    events.WindowFused,
                    at=event.end,
                    index=event.index,
                    start=event.start,
                    end=event.end,
                    seen=_tokens(event.seen),
                    kept=_tokens(event.kept),
                    encode_ms=round(event.encode_ms, 2),
                    fuse_ms=round(event.fuse_ms, 2),
                    store_tokens=event.store_tokens,
                    coverage=round(event.coverage, 4),
                )
            case StoreEvicted():
                thinned = event.chunks_thinned
                write(
                    events.StoreEvicted, tokens=event.tokens, chunks_thinned=thinned, coverage=round(event.coverage, 4)
                )
            case Resized():
                write(
                    events.SessionChanged,
                    budget=event.budget,
                    session_bytes=event.session_bytes,
                    store_tokens=event.store_tokens,
                    coverage=round(event.coverage, 4),
                )
            case Overloaded():
                write(events.Overload, action=event.action, windows=event.windows, frames=event.frames)
            case EngineRestarted():
                self._restarted(event.windows_refed, event.lost)
            case EngineFault():
                if event.question is None or self._turns.end(event.question) is not None:
                    self.error(event.code, event.message, event.remedy, event.question)

    def error(self, code: str, message: str, remedy: str, question: str | None = None) -> None:
        """Write an error event."""
        self._journal.write(events.Error, code=code, message=message, remedy=remedy, question=question)

    def abandon(self, reason: CancelReason) -> None:
        """Cancel every open turn on the wire: the session ends before they do."""
        for turn in self._turns.open():
            self._turns.end(turn.question)
            self._journal.write(events.AnswerCancelled, question=turn.question, reason=reason, text=turn.text)

    def resume(self, unanswered: Mapping[str, str], windows: int) -> None:
        """An earlier run of the server ended without a word: end its turns, and say that its engine's memory is gone.

        ``unanswered`` has the text published of each open question's answer; ``windows`` were fused.
        """
        for question, text in unanswered.items():
            self._journal.write(events.AnswerCancelled, question=question, reason=CancelReason.SERVER_LOST, text=text)
        self._restarted(0, [Span(0, windows - 1)] if windows else [])

    def _restarted(self, windows_refed: int, lost: Sequence[Span]) -> None:
        self._journal.write(
            events.EngineRestarted,
            windows_refed=windows_refed,
            windows_lost=sum(map(len, lost)),
            lost=[events.LostWindows(first=span.first, last=span.last) for span in lost],
        )

    def _tell_answer(self, event: AnswerStarted | AnswerDelta | AnswerDone | AnswerRestarted | AnswerCancelled) -> None:
        turn = self._turns.find(event.question)
        if turn is None:
            return
        match event:
            case AnswerStarted():
                ttft_ms = round((self._clock() - turn.asked) * 1000, 1)
                self._journal.write(events.AnswerStarted, question=event.question, ttft_ms=ttft_ms)
            case AnswerDelta():
                turn.text += event.text
                self._journal.write(events.AnswerDelta, question=event.question, text=event.text)
            case AnswerDone():
                self._turns.end(event.question)
                self._journal.write(
                    events.AnswerDone,
                    question=event.question,
                    text=event.text,
                    finish_reason=event.finish_reason,
                    timings_ms=turn.timings_ms | {part: round(ms, 2) for part, ms in event.timings_ms.items()},
                    tokens_per_layer=list(event.tokens_per_layer),
                    survivors=[_survivors(chunk) for chunk in event.survivors],
                    retention=round(event.retention, 5),
                    deep_share=round(event.deep_share, 5),
                    generated=event.generated,
                )
            case AnswerRestarted():
                turn.text = ""
                self._journal.write(events.AnswerRestarted, question=event.question, text=event.published)
            case AnswerCancelled():
                self._turns.end(event.question)
                self._journal.write(
                    events.AnswerCancelled, question=event.question, reason=event.reason, text=event.published
                )


def _tokens(counts: ModalityCounts) -> events.Tokens:
    return events.Tokens(video=counts.video, audio=counts.audio)


def _survivors(chunk: ChunkSurvivors) -> events.Survivors:
    return events.Survivors(start=chunk.start, end=chunk.end, video=list(chunk.video), audio=list(chunk.audio))
