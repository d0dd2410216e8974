"""From words to the engine: typed and spoken questions of one session, and what a new one does to a running answer."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace

from stream_service.answers import events
from stream_service.errors import Conflict, InvalidQuestion, NotFound, OmniDropError
from stream_service.session.ears import Spoken
from stream_service.session.intake import Intake
from stream_service.session.journal import Journal
from stream_service.session.length import TokenLimit
from stream_service.session.narrator import Narrator
from stream_service.session.ports import Engine
from stream_service.session.turns import Turns
from stream_service.types import (
    CancelReason,
    Question,
    QuestionSource,
    Samples,
    SpeechDropped,
    SpeechStarted,
    SpeechStopped,
    Transcript,
    Window,
)


class Questions:
    """Accepts questions; implements :class:`~stream_service.session.ears.SpeechReactions`.

    With ``aloud`` the speech itself is asked, at once, and its words are only told.
    """

    def __init__(
        self,
        session: str,
        *,
        engine: Engine,
        intake: Intake,
        turns: Turns,
        journal: Journal,
        narrator: Narrator,
        max_chars: int,
        clock: Callable[[], float],
        tokens: TokenLimit | None = None,
        aloud: bool = False,
    ) -> None:
        self._session = session
        self._engine = engine
        self._intake = intake
        self._turns = turns
        self._journal = journal
        self._narrator = narrator
        self._max_chars = max_chars
        self._tokens = tokens
        self._clock = clock
        self._aloud = aloud
        self._speech_began = 0.0

    def ask(self, text: str, source: QuestionSource) -> Question:
        """Take a question about the stream as it is now.

        Raises InvalidQuestion for its length, Conflict before anything was seen, and Busy as ``barge_in`` says.
        """
        words = worded(text, self._max_chars, self._tokens)
        interrupted = self._turns.admit()
        closing = self._intake.cut(self._intake.position)
        if self._intake.blank:
            raise Conflict(
                "Nothing of the stream has been seen yet.",
                remedy="Wait for media to arrive (the first window.fused event), then ask again.",
                retry_after=2.0,
            )
        turn = self._turns.begin(self._clock(), {})
        question = Question(turn.question, self._session, words, source, self._intake.position)
        self._submit(question, closing, interrupted=interrupted, timings_ms={})
        return question

    def cancel(self, question: str) -> None:
        """End a question early. Raises NotFound when it is not open (any more)."""
        if self._turns.find(question) is None:
            raise NotFound(
                f"No question {question!r} is open.", remedy="It may have ended: read its answer.done event."
            )
        self._engine.cancel(self._session, question, CancelReason.CLIENT)

    # Speech ----------------------------------------------------------------------------------------------------------

    def speech_started(self, event: SpeechStarted) -> None:
        self._speech_began = event.at
        self._journal.write(events.SpeechStarted, at=event.at)

    def speech_stopped(self, event: SpeechStopped) -> Spoken:
        hang_over_s = max(0.0, self._intake.position - event.at)
        spoken = Spoken(event.at, self._clock() - hang_over_s, hang_over_s)
        closing = self._intake.cut(event.at)
        if not self._aloud:
            # The engine starts on the closing window while the words are being recognised.
            self._intake.feed(closing)
        self._journal.write(events.SpeechStopped, at=event.at, duration=round(event.duration, 3))
        return self._ask_aloud(spoken, closing, event.utterance.samples) if self._aloud else spoken

    def speech_dropped(self, event: SpeechDropped) -> None:
        duration = round(max(0.0, event.at - self._speech_began), 3)
        self._journal.write(events.SpeechStopped, at=event.at, duration=duration, dropped=event.reason)

    def heard(self, spoken: Spoken, transcript: Transcript) -> None:
        if spoken.question is not None:
            self._show(spoken.question, spoken.at, transcript)
            return
        timings_ms = {"hang_over": _ms(spoken.hang_over_s), "transcribe": round(transcript.took_ms, 1)}
        if transcript.rejected is not None or not transcript.text.strip():
            remedy = "Say it again, closer to the microphone, or type it."
            self._narrator.error("speech_not_understood", transcript.rejected or "No words were recognised.", remedy)
            return
        try:
            words = worded(transcript.text, self._max_chars, self._tokens)
            interrupted = self._turns.admit()
        except OmniDropError as error:
            self.not_heard(error)
        else:
            turn = self._turns.begin(spoken.asked, timings_ms)
            question = Question(
                turn.question, self._session, words, QuestionSource.SPEECH, spoken.at, transcript.confidence
            )
            self._submit(question, [], interrupted=interrupted, timings_ms=timings_ms)

    def not_heard(self, error: OmniDropError) -> None:
        self._narrator.error(error.code, error.message, error.remedy)

    def _ask_aloud(self, spoken: Spoken, closing: list[Window], speech: Samples) -> Spoken:
        """Ask by the speech itself, at once; whoever wants to read its words gets them later."""
        try:
            interrupted = self._turns.admit()
        except OmniDropError as error:
            self._intake.feed(closing)
            self.not_heard(error)
            return spoken
        timings_ms = {"hang_over": _ms(spoken.hang_over_s)}
        turn = self._turns.begin(spoken.asked, timings_ms)
        question = Question(turn.question, self._session, "", QuestionSource.SPEECH, spoken.at, speech=speech)
        self._submit(question, closing, interrupted=interrupted, timings_ms=timings_ms)
        return replace(spoken, question=question.id)

    def _show(self, question: str, at: float, transcript: Transcript) -> None:
        """Tell the words of a question that was asked without them, unless they are too doubtful to be read."""
        if transcript.rejected is not None:
            return
        with contextlib.suppress(InvalidQuestion):
            words, confidence = worded(transcript.text, self._max_chars), transcript.confidence
            self._journal.write(events.QuestionTranscribed, at=at, question=question, text=words, confidence=confidence)

    def _submit(
        self, question: Question, closing: list[Window], *, interrupted: list[str], timings_ms: dict[str, float]
    ) -> None:
        for earlier in interrupted:
            self._engine.cancel(self._session, earlier, CancelReason.BARGE_IN)
        self._journal.write(
            events.QuestionAccepted,
            at=question.at,
            question=question.id,
            text=question.text,
            source=question.source,
            confidence=question.confidence,
            timings_ms=timings_ms,
        )
        self._engine.ask(question, closing)


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 1)


def worded(text: str, max_chars: int, tokens: TokenLimit | None = None) -> str:
    """The question in ``text`` with its white space tidied; raises InvalidQuestion when empty, too long or no text."""
    words = " ".join(text.split())
    try:
        words.encode()
    except UnicodeEncodeError:  # JSON can escape half of a character, which no event could carry
        raise InvalidQuestion(
            "The question has half a character in it (an unpaired surrogate).",
            field="text",
            remedy="Send it as Unicode text.",
        ) from None
    if not words:
        raise InvalidQuestion("The question is empty.", field="text", remedy="Write a question in words.")
    if len(words) > max_chars:
        raise InvalidQuestion(
            f"The question has {len(words):,} characters.",
            field="text",
            remedy=f"Ask in at most {max_chars:,} characters.",
        )
    if tokens is not None and (count := tokens.count(words)) > tokens.most:
        raise InvalidQuestion(
            f"The question has {count:,} tokens of the model.",
            field="text",
            remedy=f"Ask in at most {tokens.most:,} tokens, about {4 * tokens.most:,} English letters.",
        )
    return words
