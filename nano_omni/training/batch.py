"""Draw streams with their questions and pack them into one row of constant length; runs in loader processes, on
numpy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nano_omni.training.chat import Chat
from nano_omni.training.layout import AUDIO, NO_LABEL, TEXT, VIDEO, Column, Layout, LayoutBuilder, StreamShape, Turn
from nano_omni.training.mix import Mix, StreamPlan, draw_scripts, draw_stream
from nano_omni.training.targets import VIEW_FACTS, sound_targets, view_targets
from nano_omni.world.pack import Packed, pack

BLOCK = 128
DROP_GROUPS = 3  # the deep half's layers share three keep ratios


@dataclass(frozen=True)
class Capacity:
    """Constant sizes of a batch; whatever the streams leave free is padding that nothing sees."""

    seconds: int = 1024  # of video
    long_windows: int = 512  # of 2 s of sound
    short_windows: int = 768  # of 1 s
    tokens: int = 81_920
    labels: int = 16_384


@dataclass(frozen=True)
class Batch:
    """One packed row of `N` tokens, and the tables that say where its media come from."""

    scripts: Packed
    rows: Tensor  # int32 [N, Column.COUNT]; `source` and the index columns are those of the whole batch
    first: Tensor  # int32 [N], where the token's stream begins
    luck: Tensor  # float32 [N]
    phase: Tensor  # float32 [N]
    shares: Tensor  # float32 [DROP_GROUPS, N]
    anchors: Tensor  # int64 [seconds]
    long: Tensor  # int32 [long_windows, 3]: stream (-1: unused), first second, trunk windows before it
    short: Tensor  # int32 [short_windows, 3]
    trunk: Tensor  # bool [long_windows + short_windows]: a window of the conversation itself, not of a slot
    compressed: Tensor  # bool [long_windows + short_windows]
    labels: Tensor  # int32 [labels, 2]: token index (-1: unused) and the token it must predict
    views: Tensor  # uint8 [seconds, VIEW_FACTS]
    sounds: Tensor  # uint8 [streams, 25 * seconds of a stream]
    slots: list[tuple[int, int, object]]  # first token, past the last, tag

    def to(self, device: torch.device) -> Batch:
        """The same batch on `device`."""
        moved = {field.name: getattr(self, field.name) for field in fields(self)}
        for name, value in moved.items():
            if isinstance(value, Tensor):
                moved[name] = value.to(device, non_blocking=True)
        return Batch(**moved | {"scripts": self.scripts.to(device, non_blocking=True)})

    def pin_memory(self) -> Batch:
        """The same batch in page-locked memory (called by the data loader)."""
        moved = {field.name: getattr(self, field.name) for field in fields(self)}
        for name, value in moved.items():
            if isinstance(value, Tensor):
                moved[name] = value.pin_memory()
        return Batch(**moved)


def build_layout(chat: Chat, plan: StreamPlan, room: int) -> Layout:
    """Lay a stream out with as many of its turns, then of its slots, as fit into `room` tokens.

    Raises ValueError if not even the bare stream fits.
    """
    turns = [Turn(t.cut, t.text, t.answer) for t in plan.turns]
    while (builder := LayoutBuilder(chat, plan.shape, turns)).length > room:
        if not turns:
            raise ValueError(f"the stream alone takes {builder.length} tokens of {room}")
        turns.pop()
    for asked in plan.slots:
        builder.add_slot(asked.cut, asked.text, asked.answer, asked, after_turn=asked.after_turn)
        if builder.length > room:
            builder.drop_slot()
            break
    return builder.finish()


class Batcher:
    """Endless batches for one loader process, `uses` in a row about the same scenes with other questions."""

    def __init__(self, chat: Chat, mix: Mix, capacity: Capacity, seed: int | Sequence[int], uses: int = 1) -> None:
        self._chat, self._mix, self._capacity, self._uses = chat, mix, capacity, uses
        self._random = np.random.default_rng(seed)

    def __iter__(self) -> Iterator[list[Batch]]:
        while True:
            scripts = draw_scripts(self._mix, self._capacity.seconds // 2, self._random)
            yield [
                self.assemble([draw_stream(self._mix, script, self._random) for script in scripts])
                for _ in range(self._uses)
            ]

    def assemble(self, plans: Sequence[StreamPlan]) -> Batch:
        """Pack streams of one length; they share the token capacity evenly."""
        capacity, random = self._capacity, self._random
        room = capacity.tokens // len(plans) // BLOCK * BLOCK
        layouts = [build_layout(self._chat, plan, room) for plan in plans]
        seconds = plans[0].shape.seconds
        rows = np.zeros((capacity.tokens, Column.COUNT), dtype=np.int32)
        rows[:, Column.LABEL] = NO_LABEL
        rows[:, Column.OWN] = np.arange(capacity.tokens)
        first = np.repeat(np.arange(capacity.tokens // BLOCK, dtype=np.int32) * BLOCK, BLOCK)
        drops = _Drops(capacity.tokens, random)
        media = _Media(capacity)
        anchors = np.arange(capacity.seconds)
        slots: list[tuple[int, int, object]] = []
        start = 0
        for stream, (plan, made) in enumerate(zip(plans, layouts, strict=True)):
            used = len(made.rows)
            end = start + -(-used // BLOCK) * BLOCK
            first[start:end] = start
            here = rows[start : start + used]
            here[:] = made.rows
            here[:, Column.OWN] += start
            here[:, Column.LIMIT] += np.where(here[:, Column.LIMIT] > 0, start, 0)
            audio_rows = media.add(stream, made, plan.shape)
            kind, source = here[:, Column.KIND], here[:, Column.SOURCE]
            source[kind == VIDEO] += stream * seconds
            heard = kind == AUDIO
            source[heard] = audio_rows[source[heard]]
            anchors[stream * seconds : (stream + 1) * seconds] = made.anchors + stream * seconds
            drops.add(plan, start, used, made)
            slots += [(start + a, start + b, tag) for a, b, tag in made.slots]
            start = end
        drops.luck[rows[:, Column.KIND] == TEXT] = -1.0
        views = np.zeros((capacity.seconds, VIEW_FACTS), dtype=np.uint8)
        views[: len(plans) * seconds] = np.concatenate([view_targets(plan.script) for plan in plans])
        return Batch(
            scripts=pack([plan.script for plan in plans]),
            rows=torch.from_numpy(rows),
            first=torch.from_numpy(first),
            luck=torch.from_numpy(drops.luck),
            phase=torch.from_numpy(drops.phase),
            shares=torch.from_numpy(drops.shares),
            anchors=torch.from_numpy(anchors),
            long=torch.from_numpy(media.long),
            short=torch.from_numpy(media.short),
            trunk=torch.from_numpy(media.trunk),
            compressed=torch.from_numpy(media.compressed),
            labels=torch.from_numpy(_labels(rows[:, Column.LABEL], capacity.labels)),
            views=torch.from_numpy(views),
            sounds=torch.from_numpy(np.stack([sound_targets(plan.script) for plan in plans])),
            slots=slots,
        )


class _Media:
    """The batch's audio rows: windows of 2 s first, then those of 1 s."""

    def __init__(self, capacity: Capacity) -> None:
        self.long = np.full((capacity.long_windows, 3), -1, dtype=np.int32)
        self.short = np.full((capacity.short_windows, 3), -1, dtype=np.int32)
        self.compressed = np.zeros(capacity.long_windows + capacity.short_windows, dtype=np.bool_)
        self.trunk = np.zeros_like(self.compressed)
        self._used = [0, 0]

    def add(self, stream: int, made: Layout, shape: StreamShape) -> NDArray[np.int64]:
        """Enter a stream's audio windows; returns their rows in the batch."""
        trunk_starts = np.array([start for start, _ in made.windows[: made.trunk_windows]])
        where = np.empty(len(made.windows), dtype=np.int64)
        for index, (start, seconds) in enumerate(made.windows):
            is_short = int(seconds == 1)
            table = self.short if is_short else self.long
            at = self._used[is_short]
            table[at] = stream, start, int((trunk_starts < start).sum())
            self._used[is_short] = at + 1
            where[index] = at + is_short * len(self.long)
        self.compressed[where] = shape.compressed
        self.trunk[where[: made.trunk_windows]] = True
        return where


class _Drops:
    """Random keep ratios of the deep half: none, one per stream, or one per slot."""

    def __init__(self, tokens: int, random: np.random.Generator) -> None:
        self.luck = random.random(tokens, dtype=np.float32)
        self.phase = np.zeros(tokens, dtype=np.float32)
        self.shares = np.full((DROP_GROUPS, tokens), 2.0, dtype=np.float32)
        self._random = random

    def add(self, plan: StreamPlan, start: int, used: int, made: Layout) -> None:
        """Draw the ratios of the stream whose tokens begin at `start`."""
        if plan.drops == "stream":
            self.shares[:, start : start + used] = plan.draw_shares(self._random)[:, None]
        elif plan.drops == "slot":
            for first, last, _ in made.slots:
                self.shares[:, start + first : start + last] = plan.draw_shares(self._random)[:, None]
                self.phase[start + first : start + last] = self._random.random()


def _labels(column: NDArray[np.int32], capacity: int) -> NDArray[np.int32]:
    """Token indices with something to predict, and what; capped at `capacity`, the last ones are left out."""
    found = np.flatnonzero(column != NO_LABEL)[:capacity]
    table = np.full((capacity, 2), -1, dtype=np.int32)
    table[: len(found), 0], table[: len(found), 1] = found, column[found]
    return table
