"""Lay one stream out as tokens: a trunk (system, segments, turns) and many question slots that branch off it.

The trunk is the live conversation of the method, cut into windows of 2 s that a turn may close early. A *slot* is a
question asked at some second `cut`: it sees the trunk's prefix up to there, brings its own short last window if the
cut falls inside one, closes the segment, asks, and answers. Nothing sees a slot but itself, so one forward pass
answers all of them exactly as separate passes would.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nano_omni.training.chat import Chat
from pruner.tokens import NONE, Role

IDS_PER_SECOND = 25  # position ids a second, and audio tokens a second
PATCH_TOKENS = 36  # video tokens of one second
GROUP = 4  # seconds merged together by the pruner's intra-modality compression
MERGED_TOKENS = round(0.2 * PATCH_TOKENS)
AUDIO_SHARE = 0.7

TEXT, VIDEO, AUDIO = 0, 1, 2
NO_LABEL = -100


class Column:
    """Columns of a layout's rows; the last three stay on the host."""

    TEXT, KIND, SOURCE, RANK, POSITION, BASE, OWN, LIMIT, LABEL = range(9)
    COUNT = 9
    ROLE, CHUNK, SEGMENT = range(9, 12)
    WIDTH = 12


Rows = NDArray[np.int32]


@dataclass(frozen=True)
class StreamShape:
    """What a stream's layout depends on besides its questions."""

    seconds: int
    video: bool = True
    audio: bool = True
    compressed: bool = True
    segment_windows: int = 8


class Turn(NamedTuple):
    """A question that becomes part of the conversation, asked at second `cut`."""

    cut: int
    question: str
    answer: str


@dataclass(frozen=True)
class _State:
    """Where the conversation stands."""

    index: int  # tokens so far
    position: int  # next text position id
    second: int = 0
    open: bool = False
    base: int = 0  # position id at which the open segment's media begin
    started: int = 0  # second at which the open segment began
    windows: int = 0  # in the open segment
    chunk: int = 0  # windows so far
    segment: int = -1  # number of the open segment, or of the last one


@dataclass
class Layout:
    """Tokens of one stream, [tokens, columns] int32, plus the tables that say where its media come from.

    `anchors[t]` is the second whose tokens second t is compared with (itself: kept whole). `windows` are the (start,
    seconds) of every audio row, trunk first and in order; `trunk_windows` says how many of them are the trunk's. In
    `rows`, `source` is a second (video) or an audio row, `own` and `limit` are token indices: a token sees [own,
    itself] and [0, limit). `role` is a `pruner.tokens.Role`, `chunk` the window a token came from and `segment` its
    segment, as the fusion store counts them. `trunk` is how many of the rows are the conversation itself, `starts` the
    second at which each of its windows begins.
    """

    rows: Rows
    anchors: NDArray[np.int32]
    windows: list[tuple[int, int]]
    trunk_windows: int
    trunk: int
    starts: NDArray[np.int32]
    slots: list[tuple[int, int, object]] = field(default_factory=list)  # first token, past the last token, tag


def kept_audio(seconds: int, compressed: bool) -> int:
    """Audio tokens of a window of `seconds` that enter the decoder."""
    whole = IDS_PER_SECOND * seconds
    return round(AUDIO_SHARE * whole) if compressed else whole


class LayoutBuilder:
    """Builds the trunk at once; slots are then added until the caller's token budget is spent."""

    def __init__(self, chat: Chat, shape: StreamShape, turns: Sequence[Turn] = ()) -> None:
        self._chat, self._shape = chat, shape
        self._chunks: list[Rows] = []
        self._anchors = np.arange(shape.seconds, dtype=np.int32)
        self._windows: dict[tuple[int, int], int] = {}
        self._starts: list[int] = []
        self._marks: dict[int, list[_State]] = {}
        self.length = 0
        self._slots: list[tuple[int, int, object]] = []
        self._build_trunk(turns)
        self._trunk_windows = len(self._windows)
        self.trunk_length = self.length

    def add_slot(self, cut: int, question: str, answer: str, tag: object = None, *, after_turn: bool = False) -> None:
        """Ask at second `cut` (1…seconds). `after_turn`: if a turn of the trunk was asked at the same second, follow
        it."""
        marks = self._marks.get(cut)
        short = marks is None
        mark = self._marks[cut - 1][-1] if marks is None else marks[-1 if after_turn else 0]
        start, own, limit = self.length, self.length, mark.index
        state = replace(mark, index=start)
        first = len(self._chunks)
        if short:
            state = self._window(state, 1)
        self._ask(state, question, answer)
        for chunk in self._chunks[first:]:
            chunk[:, Column.OWN], chunk[:, Column.LIMIT] = own, limit
        self._slots.append((start, self.length, tag))

    def drop_slot(self) -> None:
        """Take the last slot back."""
        start, _, _ = self._slots.pop()
        while self.length > start:
            self.length -= len(self._chunks.pop())

    def finish(self) -> Layout:
        """The layout so far, its slots by how much of the trunk they see: neighbours then see the same blocks of it."""
        rows = np.concatenate(self._chunks)
        slots = sorted(self._slots, key=lambda slot: int(rows[slot[0], Column.LIMIT]))
        parts, placed, at = [rows[: self.trunk_length]], [], self.trunk_length
        for first, last, tag in slots:
            part = rows[first:last]
            part[:, Column.OWN] = at
            parts.append(part)
            placed.append((at, at + len(part), tag))
            at += len(part)
        return Layout(
            np.concatenate(parts),
            self._anchors,
            list(self._windows),
            self._trunk_windows,
            self.trunk_length,
            np.array(self._starts, dtype=np.int32),
            placed,
        )

    def _build_trunk(self, turns: Sequence[Turn]) -> None:
        state = self._text(_State(0, 0), self._chat.system, Role.SYSTEM)
        state = self._text(state, self._chat.user, Role.USER)
        self._mark(state)
        waiting = sorted(turns)
        while state.second < self._shape.seconds or waiting:
            if waiting and waiting[0].cut == state.second:
                turn = waiting.pop(0)
                state = self._ask(state, turn.question, turn.answer)
                state = self._text(state, [self._chat.im_end, *self._chat.newline], Role.ANSWER)
                state = self._text(state, self._chat.user, Role.USER)
            else:
                left = min([self._shape.seconds] + [turn.cut for turn in waiting]) - state.second
                state = self._window(state, min(2, left), trunk=True)
            self._mark(state)

    def _mark(self, state: _State) -> None:
        self._marks.setdefault(state.second, []).append(state)

    def _window(self, state: _State, seconds: int, *, trunk: bool = False) -> _State:
        """Append one window, opening a segment (and closing a full one) where needed."""
        if state.open and state.windows == self._shape.segment_windows:
            state = self._close(state)
        if not state.open:
            bos = self._wrapper(0)
            state = replace(state, segment=state.segment + 1)
            state = self._text(state, bos, Role.OPEN, shared=True)
            state = replace(state, open=True, base=state.position, started=state.second, windows=0)
        if trunk:
            self._starts.append(state.second)
        offset = state.second - state.started
        if self._shape.video:
            for second in range(state.second, state.second + seconds):
                state = self._video(state, second, second - state.started, trunk)
        if self._shape.audio:
            row = self._windows.setdefault((state.second, seconds), len(self._windows))
            count = kept_audio(seconds, self._shape.compressed)
            rows = self._media(count, AUDIO, state)
            rows[:, Column.SOURCE], rows[:, Column.RANK] = row, np.arange(count)
            rows[:, Column.POSITION] = state.base + IDS_PER_SECOND * offset
            state = self._append(state, rows)
        return replace(state, second=state.second + seconds, windows=state.windows + 1, chunk=state.chunk + 1)

    def _video(self, state: _State, second: int, offset: int, trunk: bool) -> _State:
        whole = not self._shape.compressed or offset % GROUP == 0
        if trunk and not whole:
            self._anchors[second] = second - offset % GROUP
        count = PATCH_TOKENS if whole else MERGED_TOKENS
        rows = self._media(count, VIDEO, state)
        rows[:, Column.SOURCE], rows[:, Column.RANK] = second, np.arange(count)
        rows[:, Column.POSITION], rows[:, Column.BASE] = state.base + IDS_PER_SECOND * offset, state.base
        return self._append(state, rows)

    def _close(self, state: _State) -> _State:
        seconds = state.second - state.started
        # With sound a segment lasts 25 ids a second; video alone ends one after its largest id (a patch has 6 rows).
        lasts = IDS_PER_SECOND * seconds if self._shape.audio else max(IDS_PER_SECOND * (seconds - 1), 5) + 1
        state = replace(state, position=state.base + lasts)
        return replace(self._text(state, self._wrapper(1), Role.CLOSE, shared=True), open=False)

    def _wrapper(self, which: int) -> list[int]:
        pair = []
        if self._shape.video:
            pair.append(self._chat.vision[which])
        if self._shape.audio:
            pair.append(self._chat.audio[which])
        return pair[::-1] if which else pair

    def _ask(self, state: _State, question: str, answer: str) -> _State:
        """Close the segment, ask and answer; the answer's end is a label but no token yet."""
        if state.open:
            state = self._close(state)
        asked, reply = self._chat.encode(question), self._chat.encode(answer)
        prompt = [*asked, *self._chat.header]
        state = self._text(state, prompt + reply, Role.QUESTION)
        rows = self._chunks[-1]
        rows[len(asked) :, Column.ROLE], rows[len(prompt) :, Column.ROLE] = Role.HEADER, Role.ANSWER
        rows[len(prompt) - 1 :, Column.LABEL] = [*reply, self._chat.im_end]
        return state

    def _text(self, state: _State, ids: Sequence[int], role: Role, *, shared: bool = False) -> _State:
        rows = self._rows(len(ids), TEXT)
        rows[:, Column.TEXT], rows[:, Column.ROLE] = ids, role
        if role in (Role.OPEN, Role.CLOSE):
            rows[:, Column.SEGMENT] = state.segment
        rows[:, Column.POSITION] = state.position + (0 if shared else np.arange(len(ids)))
        moved = state.position + (1 if shared else len(ids))
        return replace(self._append(state, rows), position=moved)

    def _media(self, count: int, kind: int, state: _State) -> Rows:
        rows = self._rows(count, kind)
        rows[:, Column.ROLE], rows[:, Column.CHUNK], rows[:, Column.SEGMENT] = Role.MEDIA, state.chunk, state.segment
        return rows

    def _rows(self, count: int, kind: int) -> Rows:
        rows = np.zeros((count, Column.WIDTH), dtype=np.int32)
        rows[:, Column.KIND], rows[:, Column.LABEL] = kind, NO_LABEL
        rows[:, Column.CHUNK] = rows[:, Column.SEGMENT] = NONE
        return rows

    def _append(self, state: _State, rows: Rows) -> _State:
        self._chunks.append(rows)
        self.length += len(rows)
        return replace(state, index=state.index + len(rows))
