"""A question on its way to an answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Literal

import numpy as np
import numpy.typing as npt
from torch import Tensor

from pruner.conversation import Conversation
from pruner.deep import DeepCache
from pruner.errors import StateError
from pruner.guidance import Guidance
from pruner.placed import Place
from pruner.report import Record, TurnReport
from pruner.transfer import Fetched

__all__ = ["Coming", "Step", "Turn", "TurnState"]


@dataclass(frozen=True)
class Step:
    """One answer token.

    Attributes:
        text: what it adds to the answer; empty while a character is incomplete and for the token that ends the answer.
        done: no further step follows.
        reason: why it is done.
    """

    text: str
    done: bool
    reason: Literal["stop", "length"] | None = None


class TurnState(Enum):
    """Lifecycle of a turn: RUNNING → DONE → COMMITTED, or RUNNING → COMMITTED when it is interrupted."""

    RUNNING = "running"
    DONE = "done"
    COMMITTED = "committed"

    def to(self, target: TurnState) -> TurnState:
        """`target`, if it may follow.

        Raises:
            StateError: it may not.
        """
        if (self, target) not in _MAY_FOLLOW:
            raise StateError(f"turn {target.value}", self.value, "every turn is stepped until done and committed once")
        return target


_MAY_FOLLOW = {
    (TurnState.RUNNING, TurnState.RUNNING),
    (TurnState.RUNNING, TurnState.DONE),
    (TurnState.RUNNING, TurnState.COMMITTED),
    (TurnState.DONE, TurnState.COMMITTED),
}


class _Writing:
    """Turns token ids into text as they come, holding back bytes of an incomplete character."""

    def __init__(self, decode: Callable[[Sequence[int]], str]) -> None:
        self._decode = decode
        self._context = 0  # ids before this one no longer influence how the next ones read
        self._written = 0  # ids before this one are written

    def push(self, ids: Sequence[int], *, last: bool) -> str:
        """What `ids`, of which earlier calls have seen all but the newest, add to the text."""
        before = self._decode(ids[self._context : self._written])
        now = self._decode(ids[self._context :])
        if now.endswith("\ufffd") and not last:
            return ""
        self._context, self._written = self._written, len(ids)
        return now[len(before) :]


class Coming:
    """A token that was computed and that nobody has read yet.

    Attributes:
        logits: [vocabulary], what it was taken from.
        token: int64 [1] on the device.
        read: the same on its way to the host.
    """

    def __init__(self, logits: Tensor, token: Tensor) -> None:
        self.logits = logits
        self.token = token
        self.read = Fetched(token)


class Turn:
    """A running answer. Made by `LiveModel.guide`, moved on by `step` and ended by `commit`.

    Attributes:
        conversation: whose it is.
        logits: [vocabulary]; after `guide` those of the first token, after a `step` those its token was taken from.
        ids: answer tokens so far, without the one that stops it.
        forwarded: how many answer tokens have been run through the decoder; one more than `ids`, where the one that
            stopped the answer was run before it was read.
        coming: the next token, where it was computed ahead.
        limit: most answer tokens.
        state: see `TurnState`.
        cache: the deep cache.
        guidance: chose the survivors.
        question, answer: where the store and the grammar stood before the question and before the answer.
    """

    def __init__(
        self,
        conversation: Conversation,
        logits: Tensor,
        cache: DeepCache,
        record: Record,
        guidance: Guidance,
        *,
        question: Place,
        limit: int,
    ) -> None:
        self.conversation = conversation
        self.logits = logits
        self.cache = cache
        self.guidance = guidance
        self.question, self.answer = question, conversation.here()
        self.ids: list[int] = []
        self.forwarded = 0
        self.coming: Coming | None = None
        self.limit = limit
        self.state = TurnState.RUNNING
        self._record = record
        self._prompt = conversation.model.prompt
        self._writing = _Writing(self._prompt.decode)

    @property
    def text(self) -> str:
        """The whole answer so far."""
        return self._prompt.decode(self.ids)

    def take(self, token: int) -> Step:
        """Notes the token that was sampled."""
        if token in self._prompt.stop:
            self.state = self.state.to(TurnState.DONE)
            return Step(self._writing.push(self.ids, last=True), True, "stop")
        self.ids.append(token)
        full = len(self.ids) >= self.limit
        self.state = self.state.to(TurnState.DONE if full else TurnState.RUNNING)
        return Step(self._writing.push(self.ids, last=full), full, "length" if full else None)

    def sequences(self) -> list[npt.NDArray[np.integer]]:
        """Sequence numbers of the audiovisual tokens that enter each layer 0…L-1, ascending. Waits for the device."""
        return [self._record.rows.sequence[index] for index in self._record.by_layer()]

    def report(self) -> TurnReport:
        """What the answer was drawn from. Waits for the device."""
        return self._record.report(len(self.ids))
