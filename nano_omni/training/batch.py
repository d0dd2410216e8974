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
from nano_omni.training.layout import AUDIO, NO_LABEL, VIDEO, Column, Layout, LayoutBuilder, StreamShape, Turn
from nano_omni.training.mix import Mix, StreamPlan, draw_length, draw_scripts, draw_stream
from nano_omni.training.sight import Depths, Sight, SightBuilder
from nano_omni.training.targets import sound_targets, view_targets
from nano_omni.world.entities import Script
from nano_omni.world.pack import Packed, pack

BLOCK = 128


@dataclass(frozen=True)
class Capacity:
    """Constant sizes of a batch; whatever the streams leave free is padding that nothing sees."""

    seconds: int = 1024  # of video
    long_windows: int = 512  # of 2 s of sound
    short_windows: int = 768  # of 1 s
    tokens: int = 114_688
    labels: int = 16_384
    ids: int = 262_144  # position ids of all streams together


@dataclass(frozen=True)
class Batch:
    """One packed row of `N` tokens, and the tables that say where its media come from."""

    scripts: Packed
    rows: Tensor  # int32 [N, Column.COUNT]; `source` and the index columns are those of the whole batch
    first: Tensor  # int32 [N], where the token's stream begins
    sight: Sight
    anchors: Tensor  # int64 [seconds]
    long: Tensor  # int32 [long_windows, 3]: stream (-1: unused), first second, trunk windows before it
    short: Tensor  # int32 [short_windows, 3]
    trunk: Tensor  # bool [long_windows + short_windows]: a window of the conversation itself, not of a slot
    compressed: Tensor  # bool [long_windows + short_windows]
    labels: Tensor  # int32 [labels, 2]: token index (-1: unused) and the token it must predict
    views: Tensor  # uint8 [seconds, 36, 3]
    sounds: Tensor  # uint8 [streams, 25 * seconds of a stream]
    slots: list[tuple[int, int, object]]  # first token, past the last, tag

    def to(self, device: torch.device) -> Batch:
        """The same batch on `device`."""
        moved = {field.name: getattr(self, field.name) for field in fields(self)}
        for name, value in moved.items():
            if isinstance(value, Tensor):
                moved[name] = value.to(device, non_blocking=True)
        moved["sight"] = self.sight.to(device)
        return Batch(**moved | {"scripts": self.scripts.to(device, non_blocking=True)})

    def pin_memory(self) -> Batch:
        """The same batch in page-locked memory (called by the data loader)."""
        moved = {field.name: getattr(self, field.name) for field in fields(self)}
        for name, value in moved.items():
            if isinstance(value, Tensor):
                moved[name] = value.pin_memory()
        return Batch(**moved | {"sight": self.sight.pin_memory()})


@dataclass(frozen=True)
class Facts:
    """What the towers are to see and hear of a stream: uint8 [seconds, 36, 3] and uint8 [25 * seconds]."""

    views: NDArray[np.uint8]
    sounds: NDArray[np.uint8]

    @classmethod
    def of(cls, script: Script) -> Facts:
        """Facts of a script."""
        return cls(view_targets(script), sound_targets(script))


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

    def __init__(
        self, chat: Chat, mix: Mix, capacity: Capacity, seed: int | Sequence[int], depths: Depths, uses: int = 1
    ) -> None:
        self._chat, self._mix, self._capacity, self._uses, self._depths = chat, mix, capacity, uses, depths
        self._random = np.random.default_rng(seed)

    def __iter__(self) -> Iterator[list[Batch]]:
        while True:
            yield self.draw(self._random)

    def draw(self, lengths: np.random.Generator) -> list[Batch]:
        """The next batches; how long their streams are is drawn from `lengths`."""
        windows = self._capacity.seconds // 2
        length = draw_length(self._mix, windows, lengths)
        scripts = draw_scripts(self._mix, windows, length, self._random)
        facts = [Facts.of(script) for script in scripts]
        return [
            self.assemble([draw_stream(self._mix, script, self._random) for script in scripts], facts)
            for _ in range(self._uses)
        ]

    def assemble(self, plans: Sequence[StreamPlan], facts: Sequence[Facts] | None = None) -> Batch:
        """Pack streams of one length; they share the token capacity evenly. `facts` of the streams, if known."""
        capacity, random = self._capacity, self._random
        facts = [Facts.of(plan.script) for plan in plans] if facts is None else facts
        room = capacity.tokens // len(plans) // BLOCK * BLOCK
        layouts = [build_layout(self._chat, plan, room) for plan in plans]
        seconds = plans[0].shape.seconds
        rows = np.zeros((capacity.tokens, Column.COUNT), dtype=np.int32)
        rows[:, Column.LABEL] = NO_LABEL
        rows[:, Column.OWN] = np.arange(capacity.tokens)
        first = np.repeat(np.arange(capacity.tokens // BLOCK, dtype=np.int32) * BLOCK, BLOCK)
        sight = SightBuilder(capacity.tokens, capacity.ids, self._depths, random)
        media = _Media(capacity)
        anchors = np.arange(capacity.seconds)
        slots: list[tuple[int, int, object]] = []
        start = 0
        for stream, (plan, made) in enumerate(zip(plans, layouts, strict=True)):
            used = len(made.rows)
            end = start + -(-used // BLOCK) * BLOCK
            first[start:end] = start
            here = rows[start : start + used]
            here[:] = made.rows[:, : Column.COUNT]
            sight.add(plan.loss, start, made, here)
            here[:, Column.OWN] += start
            here[:, Column.LIMIT] += np.where(here[:, Column.LIMIT] > 0, start, 0)
            audio_rows = media.add(stream, made, plan.shape)
            kind, source = here[:, Column.KIND], here[:, Column.SOURCE]
            source[kind == VIDEO] += stream * seconds
            heard = kind == AUDIO
            source[heard] = audio_rows[source[heard]]
            anchors[stream * seconds : (stream + 1) * seconds] = made.anchors + stream * seconds
            slots += [(start + a, start + b, tag) for a, b, tag in made.slots]
            start = end
        views = np.zeros((capacity.seconds, *facts[0].views.shape[1:]), dtype=np.uint8)
        views[: len(plans) * seconds] = np.concatenate([fact.views for fact in facts])
        return Batch(
            scripts=pack([plan.script for plan in plans]),
            rows=torch.from_numpy(rows),
            first=torch.from_numpy(first),
            sight=sight.finish(),
            anchors=torch.from_numpy(anchors),
            long=torch.from_numpy(media.long),
            short=torch.from_numpy(media.short),
            trunk=torch.from_numpy(media.trunk),
            compressed=torch.from_numpy(media.compressed),
            labels=torch.from_numpy(_labels(rows[:, Column.LABEL], capacity.labels)),
            views=torch.from_numpy(views),
            sounds=torch.from_numpy(np.stack([fact.sounds for fact in facts])),
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


def _labels(column: NDArray[np.int32], capacity: int) -> NDArray[np.int32]:
    """Token indices with something to predict, and what; capped at `capacity`, the last ones are left out."""
    found = np.flatnonzero(column != NO_LABEL)[:capacity]
    table = np.full((capacity, 2), -1, dtype=np.int32)
    table[: len(found), 0], table[: len(found), 1] = found, column[found]
    return table
