"""A long past without running the decoder over it.

Everything about a window but its keys, values and hidden states comes about as it always does: compression, places in
the sequence, eviction, joining of segments, re-basing of positions. What the decoder would have written is random
instead. The memory has the same sizes and the same bookkeeping as after an hour of stream; only which tokens of a
window were evicted differs, since that is chosen by hidden states.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch

from pruner import Conversation, EncodedWindow

__all__ = ["fill_quickly"]


@torch.inference_mode()
def fill_quickly(conversation: Conversation, windows: Iterable[EncodedWindow]) -> None:
    """Fuse windows into a new session but for the arithmetic."""
    store = conversation.store
    used = store.length
    for buffer in (store.keys, store.values, store.rotated):
        if buffer is not None:
            buffer[:, :, used:].normal_()
    for window in windows:
        rows = conversation.place(conversation.prepare(window)).extension
        start = store.begin(rows.rows)
        store.hidden[start : store.length] = rows.embeddings
        store.settle(start)
