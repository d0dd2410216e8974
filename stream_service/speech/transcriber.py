"""From an utterance to the words of a question, in a worker thread and, when the speaker pauses, ahead of time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from weakref import WeakKeyDictionary

import numpy as np

from stream_service.errors import Busy, EngineUnavailable
from stream_service.speech.beam import BeamSearch
from stream_service.speech.hints import Hints
from stream_service.speech.moonshine import Memory, Moonshine
from stream_service.speech.question import babbles, tidy, words
from stream_service.speech.settings import SpeechSettings
from stream_service.types import SAMPLE_RATE, Samples, Transcript, Utterance

_SHORTEST = SAMPLE_RATE // 2
"""Shorter utterances are padded with silence: the encoder's strides need about 0.1 s, its training had more."""
_TOKENS_PER_SECOND = 6.5
"""Fast English speech; its authors use the same bound against endless repetition."""
_SPARE_TOKENS = 8

Recognise = Callable[[Samples], tuple[str, float]]
"""Samples to text and confidence in [0, 1]."""


class Recogniser:
    """moonshine with beam search and hints. Thread-safe. Raises StartupError as :class:`Moonshine` does."""

    def __init__(self, settings: SpeechSettings) -> None:
        self._network = Moonshine()
        words_to_expect = settings.hints if settings.hint_boost else ()
        hints = Hints(self._network.vocabulary, words_to_expect, settings.hint_boost)
        self._search: BeamSearch[Memory] = BeamSearch(self._network, hints, settings.beam_width)

    def __call__(self, samples: Samples) -> tuple[str, float]:
        samples = np.pad(samples, (0, max(0, _SHORTEST - len(samples))))
        longest = _SPARE_TOKENS + int(len(samples) / SAMPLE_RATE * _TOKENS_PER_SECOND)
        logits, memory = self._network.listen(samples)
        best = self._search.run(logits, memory, longest)
        return self._network.vocabulary.decode(best.tokens), best.confidence


class Transcriber:
    """One a process, shared by all sessions. :meth:`start` before use, :meth:`stop` at the end.

    At most ``settings.workers`` utterances are transcribed at a time and ``settings.max_pending`` wait; one more is
    refused with :class:`Busy`. ``load`` builds the recogniser, in the worker thread.
    """

    def __init__(self, settings: SpeechSettings, load: Callable[[SpeechSettings], Recognise] = Recogniser) -> None:
        self._settings = settings
        self._load = load
        self._recognise: Recognise | None = None
        self._threads = ThreadPoolExecutor(settings.workers, thread_name_prefix="transcriber")
        self._open: set[Future[Transcript]] = set()
        self._ahead: WeakKeyDictionary[Utterance, Future[Transcript]] = WeakKeyDictionary()

    async def start(self) -> None:
        """Load and warm up the recogniser, so that the first question waits for neither. Raises StartupError."""
        self._recognise = await asyncio.get_running_loop().run_in_executor(self._threads, self._warm)

    async def stop(self) -> None:
        """Refuse what waits and return when the transcription in progress is done."""
        self._recognise = None
        await asyncio.to_thread(self._threads.shutdown, wait=True, cancel_futures=True)

    def anticipate(self, utterance: Utterance) -> None:
        """Begin transcribing what may yet prove unfinished. Does nothing when workers are short."""
        if self._recognise is not None and len(self._open) < self._settings.workers:
            self._ahead[utterance] = self._submit(self._recognise, utterance)

    async def transcribe(self, utterance: Utterance) -> Transcript:
        """The words of ``utterance``; ``took_ms`` is how long the caller waited for them, about 0 when anticipated.

        Raises Busy when too many wait, and EngineUnavailable before start and after stop.
        """
        began = time.perf_counter()
        future = self._ahead.pop(utterance, None) or self._admit(utterance)
        try:
            transcript = await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            if self._recognise is not None:
                raise
            raise _not_running() from None  # cancelled by stop, not by the caller
        return replace(transcript, took_ms=(time.perf_counter() - began) * 1000)

    def _admit(self, utterance: Utterance) -> Future[Transcript]:
        if self._recognise is None:
            raise _not_running()
        if len(self._open) >= self._settings.workers + self._settings.max_pending:
            raise Busy(
                "Too many spoken questions at once.", remedy="Say it again in a moment, or type it.", retry_after=2.0
            )
        return self._submit(self._recognise, utterance)

    def _submit(self, recognise: Recognise, utterance: Utterance) -> Future[Transcript]:
        future = self._threads.submit(self._transcribe, recognise, utterance.samples)
        self._open.add(future)
        future.add_done_callback(self._open.discard)
        return future

    def _transcribe(self, recognise: Recognise, samples: Samples) -> Transcript:
        heard, confidence = recognise(samples)
        text = tidy(heard)
        return Transcript(text, confidence, took_ms=0.0, rejected=objection(text, confidence, self._settings))

    def _warm(self) -> Recognise:
        recognise = self._load(self._settings)
        recognise(np.zeros(2 * SAMPLE_RATE, dtype=np.float32))
        return recognise


def objection(text: str, confidence: float, settings: SpeechSettings) -> str | None:
    """Why a transcript is not asked, as a sentence for the speaker; None when it is."""
    spoken = words(text)
    if not spoken:
        return "No words were recognised. Say it again, closer to the microphone, or type it."
    if confidence < settings.min_confidence or babbles(text):
        return f"“{text}” was heard too unclearly to ask. Say it again, closer to the microphone, or type it."
    if len(spoken) < settings.min_words:
        return f"“{text}” is too short for a question. Ask in a few words."
    return None


def _not_running() -> EngineUnavailable:
    return EngineUnavailable("Speech recognition is not running.", remedy="Type the question instead.", retry_after=5.0)
