"""Taking answers on, one token at a time.

With fixed passes the device is a token ahead of the host: it has begun the next step before the host has read which
token the last one gave, and takes it from its own memory. So the time the host needs between two tokens costs nothing,
and an answer that ends has cost one step too many.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from pruner.decoder import LayeredDecoder
from pruner.fixed import FixedPasses
from pruner.transfer import upload
from pruner.turn import Coming, Step, Turn, TurnState

__all__ = ["Speaker"]


class Speaker:
    """Steps of running answers.

    Args:
        decoder: what runs them.
    """

    def __init__(self, decoder: LayeredDecoder) -> None:
        self._decoder = decoder

    @torch.inference_mode()
    def step(self, turns: Sequence[Turn]) -> list[Step]:
        """Takes one more answer token of each turn.

        Raises:
            StateError: a turn is done or committed.
        """
        for turn in turns:
            turn.state.to(TurnState.RUNNING)
        fixed = self._decoder.fixed
        if fixed is not None:
            tokens = [coming.read.numpy() for coming in [_ahead(fixed, turn) for turn in turns]]
            return [turn.take(int(token[0])) for turn, token in zip(turns, tokens, strict=True)]
        waiting = [turn for turn in turns if turn.forwarded < len(turn.ids)]
        if waiting:
            self._forward(waiting)
        found = torch.stack([turn.logits for turn in turns]).argmax(dim=-1).tolist()
        return [turn.take(token) for turn, token in zip(turns, found, strict=True)]

    def _forward(self, turns: Sequence[Turn]) -> None:
        """Runs each turn's newest token and notes the logits of the next."""
        items = [turn.conversation.answer(turn.ids[turn.forwarded :]) for turn in turns]
        positions = np.concatenate([item.rows.position for item in items]).T
        logits = self._decoder.decode(
            [(item, turn.cache) for item, turn in zip(items, turns, strict=True)],
            torch.cat([item.embeddings for item in items]),
            upload(positions, turns[0].logits.device),
        )
        for turn, row in zip(turns, logits, strict=True):
            turn.logits, turn.forwarded = row, len(turn.ids)


def _ahead(fixed: FixedPasses, turn: Turn) -> Coming:
    """Has the token after the coming one computed, if there can be one, and returns the coming one."""
    coming = turn.coming or Coming(turn.logits, turn.logits.argmax(dim=-1, keepdim=True))
    turn.logits, turn.coming = coming.logits, None
    if len(turn.ids) + 1 < turn.limit:
        conversation = turn.conversation
        turn.coming = Coming(*fixed.step(conversation.store, conversation.answer_row(), turn.cache, coming.token))
        turn.forwarded += 1
    return coming
