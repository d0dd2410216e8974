"""A question before it runs: checked, counted, and ready for the decoder."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from pruner.conversation import Conversation, ConversationState
from pruner.errors import InputError
from pruner.guidance import Guidance
from pruner.options import LiveOptions, TurnOptions
from pruner.passes import Extension, Query
from pruner.question import QuestionTokens, Speech, from_speech, from_words
from pruner.tokens import Role
from pruner.transfer import upload

__all__ = ["WRAPPERS", "Ask", "CheckedQuestion", "check_question"]

WRAPPERS = 32
"""Rows that wrap a window and a turn, generously."""


@dataclass(frozen=True, eq=False)
class Ask:
    """A question to a conversation: in words, or spoken.

    Attributes:
        conversation: whose it is.
        text: its words; empty for speech.
        options: how it is answered; None for the model's defaults.
        speech: float32 [n], the asker's speech, mono at 16 kHz in [-1, 1], 0.1 s to `LiveOptions.max_speech_s` long:
            its own audio tokens guide and ask. None for words.
    """

    conversation: Conversation
    text: str = ""
    options: TurnOptions | None = None
    speech: Speech | None = field(default=None, kw_only=True)


@dataclass(frozen=True)
class CheckedQuestion:
    """A question that may be asked.

    Attributes:
        conversation: whose it is.
        tokens: its rows.
        options: how it is answered.
        limit: most answer tokens.
    """

    conversation: Conversation
    tokens: QuestionTokens
    options: TurnOptions
    limit: int

    def guidance(self) -> Guidance:
        """What will choose the survivors among the tokens now in the store.

        Raises:
            ScheduleError: a `retention` that these counts cannot reach.
        """
        store, facts = self.conversation.store, self.conversation.model.facts
        schedule = self.options.solved(facts.layers, facts.fusion_depth, store.media, store.raw_tokens)
        chunk = store.rows.chunk[store.rows.media].astype(np.int64)
        return Guidance(
            schedule.drops(store.media),
            upload(chunk, store.device),
            question=self.tokens.asking,
            score=self.options.score,
            diversity=self.options.diversity,
        )

    def query(self, guidance: Guidance, extension: Extension) -> Query:
        """The question's rows with what the decoder must know to guide by them."""
        tail = self.tokens.tail + len(self.conversation.model.prompt.header)
        store, rows, embeddings = extension.store, extension.rows, extension.embeddings
        return Query(store, rows, embeddings, tail=tail, answer=self.limit, pruner=guidance)


def check_question(item: Ask, options: LiveOptions) -> CheckedQuestion:
    """Makes tokens of a question and refuses what cannot be asked.

    Raises:
        StateError: the conversation is answering or closed.
        InputError: the question is empty or too long, leaves no room for its answer, or is speech that the model cannot
            take.
    """
    item.conversation.require(ConversationState.LISTENING, "ask")
    model, chosen = item.conversation.model, item.options or options.turn
    limit = chosen.max_tokens or model.facts.max_answer_tokens
    tokens = _tokens(item, options)
    system = int(np.count_nonzero(item.conversation.store.rows.role == Role.SYSTEM))
    if system + len(tokens.ids) + limit + WRAPPERS > options.max_text_tokens:
        raise InputError("max_tokens", f"an answer of {limit} tokens has no room", "ask for a shorter one")
    return CheckedQuestion(item.conversation, tokens, chosen, limit)


def _tokens(item: Ask, options: LiveOptions) -> QuestionTokens:
    model = item.conversation.model
    if item.speech is not None:
        if item.text:
            raise InputError("speech", "comes with words", "ask one or the other")
        return from_speech(model, item.speech, longest_s=options.max_speech_s)
    tokens = from_words(model, item.text)
    if len(tokens.ids) > options.max_question_tokens:
        longest = (
            f"ask in at most {options.max_question_tokens} tokens, about {4 * options.max_question_tokens:,} letters"
        )
        raise InputError("text", f"has {len(tokens.ids)} tokens", longest)
    return tokens
