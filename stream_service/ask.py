"""One question about a file, straight through windower and engine: no server, no real time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass

from stream_service.errors import EngineUnavailable, InvalidInput
from stream_service.session.ports import Engine, WindowCutter
from stream_service.types import (
    AnswerCancelled,
    AnswerDone,
    AudioChunk,
    EngineEvent,
    EngineFault,
    Question,
    QuestionSource,
    SessionSettings,
    VideoFrame,
    WindowFused,
)

_AHEAD = 2
"""Windows given to the engine beyond those it has fused; it would take many more for an overload."""


@dataclass(frozen=True, slots=True)
class Asked:
    """The answer about a clip of ``seconds`` that made ``windows`` windows."""

    question: str
    answer: AnswerDone
    seconds: float
    windows: int


async def ask(
    media: Iterable[VideoFrame | AudioChunk],
    text: str,
    *,
    engine: Engine,
    windower: WindowCutter,
    settings: SessionSettings,
    session: str = "clip",
) -> Asked:
    """Feed all of ``media`` to a started ``engine``, then ask.

    Raises InvalidInput for media without a window, for what the engine refuses (a retention out of reach), and what
    iterating ``media`` raises; EngineUnavailable when the engine gives up.
    """
    await engine.open(session, settings)
    events = engine.events()
    fed = fused = 0
    for item in media:
        pushed = windower.push_audio(item) if isinstance(item, AudioChunk) else windower.push_video(item)
        for window in pushed:
            engine.feed(window)
            fed += 1
            while fed - fused >= _AHEAD:
                fused += isinstance(_checked(await anext(events)), WindowFused)
    closing = windower.cut(windower.position)
    if not fed and not closing:
        raise InvalidInput("The clip holds no media.", field="clip", remedy="Give a file with some seconds of it.")
    engine.ask(Question("question", session, text, QuestionSource.HTTP, windower.position), closing)
    return Asked(text, await _answer(events), windower.position, fed + len(closing))


async def _answer(events: AsyncIterator[EngineEvent]) -> AnswerDone:
    async for event in events:
        match _checked(event):
            case AnswerDone() as done:
                return done
            case AnswerCancelled(reason=reason):
                raise EngineUnavailable(f"The answer was cut off: {reason.value}.", remedy="Try again.")
    raise EngineUnavailable("The engine stopped.", remedy="Try again.")


def _checked(event: EngineEvent) -> EngineEvent:
    if isinstance(event, EngineFault):
        raise InvalidInput(event.message, remedy=event.remedy)
    return event
