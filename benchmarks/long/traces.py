"""What a stream's tokens are and which of them show what happened: enough to try ways to forget without a model.

A stream is fused once (half a minute of a core for 12 minutes); then every rule of `forgetting` runs on its trace in
less than a second. What a token is worth is told as it was in the session that was traced: had that one forgotten
differently, later tokens would have been compared with others, which changes little.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch

from nano_omni.evidence import cover_of, cover_of_sound
from nano_omni.training.layout import IDS_PER_SECOND, PATCH_TOKENS
from nano_omni.world.entities import TICKS, WINDOW_SECONDS
from nano_omni.world.long import LongStream
from pruner import LiveModel, LiveOptions, RawWindow
from pruner.eviction import EvictionRule
from pruner.families.omni import OmniModel
from pruner.tokens import Modality, TokenRows

__all__ = ["Evidence", "Trace", "replay", "trace"]

Mask = npt.NDArray[np.bool_]
Values = npt.NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class Evidence:
    """Something that was to be seen or heard, and the tokens that show it.

    Attributes:
        kind: "thing" or "sound".
        end: stream second at which it was over.
        tokens: int64 [k], indices into the trace's rows, after compression; k may be 0.
    """

    kind: str
    end: float
    tokens: npt.NDArray[np.int64]


@dataclass(frozen=True)
class Trace:
    """A stream's audiovisual tokens, n of them.

    Attributes:
        rows: their metadata, in sequence order.
        new: float32 [n], novelty as rated when they were fused.
        evidence: everything that happened.
    """

    rows: TokenRows
    new: Values
    evidence: tuple[Evidence, ...]


@dataclass(frozen=True)
class _Witness(EvictionRule):
    """Forgets as served, and writes down what it is told of every token."""

    seen: list[tuple[TokenRows, Values]] = field(default_factory=list)

    def surviving(self, rows: TokenRows, new: Values, importance: Values, limit: int) -> Mask:
        """See `EvictionRule`."""
        media = np.flatnonzero(rows.media)
        self.seen.append((rows.take(media), new[media].copy()))
        return super().surviving(rows, new, importance, limit)


def trace(model: OmniModel, stream: LongStream, budget: int, device: str = "cpu") -> Trace:
    """Play a stream through a session of `budget` tokens that is asked nothing."""
    witness = _Witness()
    live = LiveModel(model, LiveOptions(eviction=witness))
    conversation = live.open(budget=budget)
    for window in stream.play(device):
        live.fuse(
            [
                (conversation, one)
                for one in live.encode([(conversation, RawWindow(window.start, window.frames, window.samples))])
            ]
        )
    store = conversation.store
    with torch.inference_mode():
        store.set_budget(store.media - 1)  # one more eviction, to hear about the newest as well
    conversation.close()
    every = TokenRows.concatenate([rows for rows, _ in witness.seen])
    _, first = np.unique(every.sequence, return_index=True)
    rows = every.take(first)
    return Trace(rows, np.concatenate([new for _, new in witness.seen])[first], tuple(_evidence(stream, rows)))


def replay(one: Trace, rule: EvictionRule, budget: int, moments: frozenset[int]) -> Iterator[tuple[int, Mask]]:
    """Which tokens a store under `rule` holds after so many windows.

    Yields:
        each of `moments`, and bool [n].
    """
    edges = np.searchsorted(one.rows.chunk, np.arange(int(one.rows.chunk.max()) + 2))
    nothing = np.zeros(len(one.new))
    alive = np.zeros(0, dtype=np.int64)
    for window, (start, stop) in enumerate(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True), 1):
        coming = stop - start
        if len(alive) + coming > budget:
            limit = budget - coming - int(budget * rule.slack)
            alive = alive[rule.surviving(one.rows.take(alive), one.new[alive], nothing[alive], limit)]
        alive = np.concatenate([alive, np.arange(start, stop)])
        if window in moments:
            held = np.zeros(len(one.new), dtype=np.bool_)
            held[alive] = True
            yield window, held


def _evidence(stream: LongStream, rows: TokenRows) -> Iterator[Evidence]:
    """Everything a stream shows and sounds, with the tokens that lie on it."""
    seen = rows.modality == Modality.VIDEO
    rate = np.where(seen, PATCH_TOKENS, IDS_PER_SECOND)
    second, token = WINDOW_SECONDS * rows.chunk + rows.place // rate, rows.place % rate
    places = zip(seen.tolist(), second.tolist(), token.tolist(), strict=True)
    at = {place: index for index, place in enumerate(places)}
    for block in range(stream.blocks):
        script, begin = stream.script(block), WINDOW_SECONDS * stream.start(block)
        covers = [
            ("thing", scene.end, cover_of(scene, thing, script)) for scene in script.scenes for thing in scene.things
        ]
        covers += [("sound", sound.end, cover_of_sound(sound)) for sound in script.sounds]
        for kind, end, cover in covers:
            found = (at.get((kind == "thing", begin + second, token)) for second, token in cover)
            tokens = np.array(sorted(index for index in found if index is not None), dtype=np.int64)
            yield Evidence(kind, begin + end / TICKS, tokens)
