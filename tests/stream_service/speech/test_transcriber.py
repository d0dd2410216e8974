import asyncio
import threading
from collections.abc import Callable

import numpy as np
import pytest

from stream_service.errors import Busy, EngineUnavailable, StartupError
from stream_service.speech.settings import SpeechSettings
from stream_service.speech.transcriber import Transcriber
from stream_service.types import Samples, Utterance

Recognise = Callable[[Samples], tuple[str, float]]


def utterance(marker: float = 0.5) -> Utterance:
    return Utterance(np.full(16_000, marker, dtype=np.float32), 0.0, 1.0)


async def started(recognise: Recognise, **settings: float) -> Transcriber:
    transcriber = Transcriber(SpeechSettings.model_validate(settings), lambda _: recognise)
    await transcriber.start()
    return transcriber


class Counted:
    """Says how often it was called with what; the first call is the warm-up."""

    def __init__(self, text: str = "what do you see", confidence: float = 0.9) -> None:
        self.calls: list[float] = []
        self.answer = (text, confidence)

    def __call__(self, samples: Samples) -> tuple[str, float]:
        self.calls.append(float(samples[0]))
        return self.answer


class Held:
    """Blocks every call after the warm-up until let go."""

    def __init__(self) -> None:
        self.warm = False
        self.go, self.running = threading.Event(), threading.Event()

    def __call__(self, samples: Samples) -> tuple[str, float]:
        if self.warm:
            self.running.set()
            self.go.wait(10)
        self.warm = True
        return "What do you see?", 0.9


async def test_it_is_warm_before_the_first_question_and_tidies_what_it_hears() -> None:
    recognise = Counted()
    transcriber = await started(recognise)
    assert recognise.calls == [0.0]
    transcript = await transcriber.transcribe(utterance())
    assert (transcript.text, transcript.confidence, transcript.rejected) == ("What do you see?", 0.9, None)
    await transcriber.stop()


async def test_an_anticipated_utterance_is_transcribed_once() -> None:
    recognise = Counted()
    transcriber = await started(recognise)
    spoken = utterance(0.25)
    transcriber.anticipate(spoken)
    assert (await transcriber.transcribe(spoken)).text == "What do you see?"
    assert recognise.calls == [0.0, 0.25]
    await transcriber.stop()


async def test_anticipation_gives_way_when_workers_are_short_and_leaves_nothing_behind() -> None:
    recognise = Held()
    transcriber = await started(recognise)
    first, second = utterance(), utterance()
    transcriber.anticipate(first)
    transcriber.anticipate(second)
    assert len(transcriber._ahead) == 1
    recognise.go.set()
    await transcriber.transcribe(first)
    del first, second
    assert len(transcriber._ahead) == 0
    await transcriber.stop()


@pytest.mark.parametrize(
    ("text", "confidence", "why"),
    [
        ("", 0.9, "No words"),
        ("...", 0.9, "No words"),
        ("Hmm.", 0.9, "too short"),
        ("What do you see?", 0.2, "too unclearly"),
        ("la la la la la", 0.9, "too unclearly"),
    ],
)
async def test_what_cannot_be_asked_is_rejected_with_a_reason(text: str, confidence: float, why: str) -> None:
    transcriber = await started(Counted(text, confidence))
    transcript = await transcriber.transcribe(utterance())
    assert transcript.rejected is not None
    assert why in transcript.rejected
    await transcriber.stop()


async def test_beyond_its_bound_it_refuses() -> None:
    recognise = Held()
    transcriber = await started(recognise, max_pending=1)
    waiting = [asyncio.create_task(transcriber.transcribe(utterance())) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(Busy) as refusal:
        await transcriber.transcribe(utterance())
    assert refusal.value.retry_after
    recognise.go.set()
    assert [t.text for t in await asyncio.gather(*waiting)] == ["What do you see?"] * 2
    await transcriber.stop()


async def test_stopping_refuses_what_waits_and_finishes_what_runs() -> None:
    recognise = Held()
    transcriber = await started(recognise)
    running, waiting = (asyncio.create_task(transcriber.transcribe(utterance())) for _ in range(2))
    await asyncio.to_thread(recognise.running.wait, 10)
    stopping = asyncio.create_task(transcriber.stop())
    with pytest.raises(EngineUnavailable):
        await waiting
    recognise.go.set()
    await stopping
    assert (await running).text == "What do you see?"
    with pytest.raises(EngineUnavailable):
        await transcriber.transcribe(utterance())


async def test_a_cancelled_caller_stays_cancelled() -> None:
    recognise = Held()
    transcriber = await started(recognise)
    task = asyncio.create_task(transcriber.transcribe(utterance()))
    await asyncio.to_thread(recognise.running.wait, 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    recognise.go.set()
    await transcriber.stop()


async def test_a_recogniser_that_cannot_load_is_a_startup_error() -> None:
    def broken(settings: SpeechSettings) -> Recognise:
        raise StartupError("no weights", remedy="install them")

    transcriber = Transcriber(SpeechSettings(), broken)
    with pytest.raises(StartupError):
        await transcriber.start()
    await transcriber.stop()
