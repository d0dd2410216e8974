"""Who may see whom in a packed row: what every policy, and a full store, leaves of a stream.

A *row* looks, a *column* is looked at. A column is out of a row's sight if it died before the row's time (see `past`),
or if it is an audiovisual token whose luck lies above the row's share at that layer. Below the fusion depth a
conversation's own rows look with the eyes of their time; above it, and wherever a question looks, with those of the
end: the deep half runs over what is left, at the positions it then has.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from nano_omni.training.layout import TEXT, Column, Layout, Rows
from nano_omni.training.mix import Loss
from nano_omni.training.past import NEVER, windows_of
from nano_omni.training.schedules import schedule


@dataclass(frozen=True)
class Depths:
    """Layers of the decoder, and how many of them run as the stream flows."""

    layers: int
    fusion: int


class Look:
    """Columns of `Sight.look`."""

    SLOT, OWN_DEEP, WHEN, WHEN_DEEP, SPARED_FROM, SPARED_TO, DEATH, BLOCK, CLOCK = range(9)
    COUNT = 9


@dataclass(frozen=True)
class Sight:
    """Tables of a packed row of `N` tokens; indices are those of the row.

    Attributes:
        look: int32 [N, Look.COUNT]. SLOT: 1 in questions' rows and in padding. OWN_DEEP: first visible token of the
            deep half. WHEN and WHEN_DEEP: the row's time. SPARED_FROM, SPARED_TO: tokens that this row's drops spare.
            DEATH: by rank, as `Past.deaths`. BLOCK: first row of the window a token belongs to; other rows' own index.
            CLOCK: where the stream's clock begins in `clock`.
        luck: float32 [N] in [0, 1): tokens with more are dropped first; -1 for text, which never is.
        phase: float32 [N]: turns the luck, so that every slot has another.
        salience: float32 [N] in [0, 1]: how much the luck of tokens that cover something is lowered.
        shares: float32 [layers, N]: share of the tokens that a row sees at a layer.
        clock: int32 [ids]: position ids at the end, for those once given.
    """

    look: Tensor
    luck: Tensor
    phase: Tensor
    salience: Tensor
    shares: Tensor
    clock: Tensor

    def to(self, device: torch.device) -> Sight:
        """The same on `device`."""
        return Sight(*(getattr(self, field.name).to(device, non_blocking=True) for field in fields(self)))

    def pin_memory(self) -> Sight:
        """The same in page-locked memory."""
        return Sight(*(getattr(self, field.name).pin_memory() for field in fields(self)))


class SightBuilder:
    """Fills a batch's tables, stream by stream.

    Args:
        tokens, ids: sizes.
        depths: of the decoder.
        random: where luck and schedules are drawn from.
    """

    def __init__(self, tokens: int, ids: int, depths: Depths, random: np.random.Generator) -> None:
        self._depths, self._random = depths, random
        self._look = np.zeros((tokens, Look.COUNT), dtype=np.int32)
        index = np.arange(tokens, dtype=np.int32)
        for column in (Look.OWN_DEEP, Look.WHEN, Look.WHEN_DEEP, Look.BLOCK):
            self._look[:, column] = index
        self._look[:, Look.DEATH], self._look[:, Look.SLOT] = NEVER, 1
        self._luck = random.random(tokens, dtype=np.float32)
        self._phase = np.zeros(tokens, dtype=np.float32)
        self._salience = np.zeros(tokens, dtype=np.float32)
        self._shares = np.ones((depths.layers, tokens), dtype=np.float32)
        self._clock = np.zeros(ids, dtype=np.int32)
        self._clocks = 0

    def add(self, loss: Loss, start: int, made: Layout, rows: Rows) -> None:
        """Enter a stream whose tokens begin at `start`; `rows` are its own, their indices still from 0."""
        used, trunk = len(rows), made.rows[: made.trunk]
        end = start + used
        past = loss.left(trunk, self._random)
        look = self._look[start:end]
        look[: made.trunk, Look.SLOT] = 0
        look[:, Look.OWN_DEEP] = rows[:, Column.OWN] + start
        look[made.trunk :, Look.WHEN] = look[made.trunk :, Look.WHEN_DEEP] = rows[made.trunk :, Column.LIMIT] + start
        if loss.past == "stored":
            look[: made.trunk, Look.WHEN_DEEP] = made.trunk + start
        dying = past.deaths < NEVER
        look[: made.trunk, Look.DEATH] = np.where(dying, past.deaths + start, NEVER)
        for first, last in windows_of(trunk):
            look[first:last, Look.BLOCK] = first + start
        look[:, Look.CLOCK] = self._clocks
        self._clock[self._clocks : self._clocks + len(past.clock)] = past.clock
        self._clocks += len(past.clock)
        self._shorten(rows[: made.trunk], past.reach)
        self._luck[start:end][rows[:, Column.KIND] == TEXT] = -1.0
        self._salience[start:end] = loss.salience
        self._drop(loss, start, made)

    def finish(self) -> Sight:
        """The tables."""
        return Sight(
            *map(
                torch.from_numpy,
                (self._look, self._luck, self._phase, self._salience, self._shares, self._clock),
            )
        )

    def _shorten(self, trunk: Rows, reach: int) -> None:
        """Keep rows from looking back, as they are fused, over more ids than were ever trained."""
        time = trunk[:, Column.POSITION]
        if int(time[-1]) < reach:
            return
        begin = int(np.argmax(trunk[:, Column.KIND] != TEXT))  # the system prompt stays in sight
        trunk[:, Column.OWN] = np.searchsorted(np.maximum.accumulate(time), time - reach)
        trunk[begin:, Column.LIMIT] = begin

    def _drop(self, loss: Loss, start: int, made: Layout) -> None:
        depths, random = self._depths, self._random
        if loss.drops == "stream":
            shares = schedule(*loss.draw_form(random), depths.layers, depths.fusion, random)
            self._shares[:, start : start + len(made.rows)] = shares[:, None]
        elif loss.drops == "slot":
            spans = windows_of(made.rows[: made.trunk])
            for first, last, asked in made.slots:
                here = slice(start + first, start + last)
                shares = schedule(*loss.draw_form(random), depths.layers, depths.fusion, random)
                self._shares[:, here] = shares[:, None]
                if not loss.salience:
                    self._phase[here] = random.random()
                evidence = getattr(asked, "evidence", None)
                if evidence is not None and random.random() < loss.spared:
                    low, high = (
                        np.searchsorted(made.starts, evidence[0], "right") - 1,
                        np.searchsorted(made.starts, evidence[1]),
                    )
                    if low < high <= len(spans):
                        self._look[here, Look.SPARED_FROM] = start + spans[max(low, 0)][0]
                        self._look[here, Look.SPARED_TO] = start + spans[high - 1][1]
