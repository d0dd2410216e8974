"""A question before it runs: checked, counted, and ready for the decoder."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from pruner.conversation import Conversation, ConversationState
from pruner.decoder import Extension, Query
from pruner.errors import InputError
from pruner.guidance import Guidance
from pruner.options import LiveOptions, TurnOptions
from pruner.tokens import Role

__all__ = ["WRAPPERS", "Ask", "CheckedQuestion", "check_question"]

WRAPPERS = 32
"""Rows that wrap a window and a turn, generously."""


@dataclass(frozen=True)
class Ask:
    """A question to a conversation; `options` None for the model's defaults."""

    conversation: Conversation
    text: str
    options: TurnOptions | None = None


@dataclass(frozen=True)
class CheckedQuestion:
    """A question that may be asked.

    Attributes:
        conversation: whose it is.
        ids: its tokens.
        options: how it is answered.
        limit: most answer tokens.
    """

    conversation: Conversation
    ids: list[int]
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
            torch.from_numpy(chunk).to(store.device),
            question=len(self.ids),
            score=self.options.score,
            diversity=self.options.diversity,
        )

    def query(self, guidance: Guidance, extension: Extension) -> Query:
        """The question's rows with what the decoder must know to guide by them."""
        tail = len(self.ids) + len(self.conversation.model.prompt.header)
        store, rows, embeddings = extension.store, extension.rows, extension.embeddings
        return Query(store, rows, embeddings, tail=tail, answer=self.limit, pruner=guidance)


def check_question(item: Ask, options: LiveOptions) -> CheckedQuestion:
    """Tokenizes a question and refuses what cannot be asked.

    Raises:
        StateError: the conversation is answering or closed.
        InputError: the question is empty or too long, or leaves no room for its answer.
    """
    item.conversation.require(ConversationState.LISTENING, "ask")
    model, chosen = item.conversation.model, item.options or options.turn
    limit = chosen.max_tokens or model.facts.max_answer_tokens
    ids = model.prompt.question(item.text.strip())
    if not ids:
        raise InputError("text", "the question is empty", "ask something")
    if len(ids) > options.max_question_tokens:
        longest = f"ask in at most {options.max_question_tokens}"
        raise InputError("text", f"the question has {len(ids)} tokens", longest)
    system = int(np.count_nonzero(item.conversation.store.rows.role == Role.SYSTEM))
    if system + len(ids) + limit + WRAPPERS > options.max_text_tokens:
        raise InputError("max_tokens", f"an answer of {limit} tokens has no room", "ask for a shorter one")
    return CheckedQuestion(item.conversation, ids, chosen, limit)
