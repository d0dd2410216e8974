"""The token table: what every row of a conversation's sequence is, where it sits and where it came from.

The table lives on the host, because every decision about counts (how many tokens a chunk keeps, how many a layer
drops) is taken on the host; only numbers born on the accelerator (keys, hidden states, scores) live there. Columns
are numpy arrays of one fixed capacity, in sequence order; `columns[:length]` is in use.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from pruner.errors import BudgetError

__all__ = ["NONE", "Modality", "Role", "TokenRows", "TokenTable"]

NONE = -1
"""Value of `chunk`, `segment` and `place` in rows that have none."""

Column = npt.NDArray[np.integer]


class Modality(IntEnum):
    """What a token was made from."""

    TEXT = 0
    VIDEO = 1
    AUDIO = 2


class Role(IntEnum):
    """Which part of the conversation's grammar a token belongs to (method.md section 2, "The sequence")."""

    SYSTEM = 0
    USER = 1
    """`<|im_start|>user\\n`"""
    OPEN = 2
    """`<|vision_bos|><|audio_bos|>` of a segment"""
    CLOSE = 3
    """`<|audio_eos|><|vision_eos|>` of a segment"""
    MEDIA = 4
    """an audiovisual token: the only ones that are ever pruned or evicted one by one"""
    QUESTION = 5
    """words, or speech and what brackets it: like all text it counts against the text bound and leaves with its turn"""
    HEADER = 6
    """`<|im_end|>\\n<|im_start|>assistant\\n`"""
    ANSWER = 7
    """the answer's tokens and the `<|im_end|>\\n` that commits them"""


@dataclass(frozen=True, slots=True)
class TokenRows:
    """Rows of a token table, one array a column, all of the same length n.

    Attributes:
        modality: uint8 [n], a `Modality`.
        role: uint8 [n], a `Role`.
        chunk: int32 [n], number of the window the token came from, counted over the whole conversation; `NONE` in text.
        segment: int32 [n], number of the segment; `NONE` in text outside segments.
        turn: int32 [n], number of the turn; a turn is `U G* Q A`.
        sequence: int64 [n], rank in the conversation as it was fed; never reused, strictly ascending.
        place: int32 [n], index of an audiovisual token among its window's raw tokens of its modality; `NONE` in text.
        position: int64 [n, 3], the time, height and width ids the rotary embedding uses.
    """

    modality: Column
    role: Column
    chunk: Column
    segment: Column
    turn: Column
    sequence: Column
    place: Column
    position: Column

    @classmethod
    def make(
        cls,
        position: npt.ArrayLike,
        *,
        sequence: npt.ArrayLike,
        role: npt.ArrayLike,
        turn: npt.ArrayLike,
        modality: npt.ArrayLike = Modality.TEXT,
        chunk: npt.ArrayLike = NONE,
        segment: npt.ArrayLike = NONE,
        place: npt.ArrayLike = NONE,
    ) -> TokenRows:
        """Rows from arrays or from single values that hold for all rows.

        Args:
            position: [n, 3], or [n] for text, whose three axes are equal.
            sequence: [n], or the first row's number when the rows are consecutive.
        """
        where = np.asarray(position, dtype=np.int64)
        if where.ndim == 1:
            where = np.repeat(where[:, None], 3, axis=1)
        count = len(where)
        order = np.asarray(sequence, dtype=np.int64)
        if order.ndim == 0:
            order = np.arange(count, dtype=np.int64) + order

        def column(value: npt.ArrayLike, dtype: type[np.integer]) -> Column:
            return np.full(count, value, dtype=dtype)

        return cls(
            modality=column(modality, np.uint8),
            role=column(role, np.uint8),
            chunk=column(chunk, np.int32),
            segment=column(segment, np.int32),
            turn=column(turn, np.int32),
            sequence=column(order, np.int64),
            place=column(place, np.int32),
            position=where,
        )

    @classmethod
    def concatenate(cls, parts: Sequence[TokenRows]) -> TokenRows:
        """All rows of `parts`, in order. At least one part."""
        return cls(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in COLUMNS})

    def __len__(self) -> int:
        return len(self.sequence)

    def take(self, index: npt.NDArray[np.integer | np.bool_] | slice) -> TokenRows:
        """The rows at `index` (int [k], boolean [n] or a slice)."""
        return TokenRows(**{name: getattr(self, name)[index] for name in COLUMNS})

    @property
    def media(self) -> npt.NDArray[np.bool_]:
        """bool [n]: the audiovisual rows."""
        return np.asarray(self.role == Role.MEDIA)


COLUMNS = tuple(field.name for field in fields(TokenRows))


class TokenTable:
    """Growable token rows in arrays of a fixed capacity.

    Args:
        capacity: most rows the table can hold.
    """

    def __init__(self, capacity: int) -> None:
        self._columns = TokenRows.make(np.zeros((capacity, 3)), sequence=0, role=Role.SYSTEM, turn=0)
        self._length = 0
        self._media = 0

    def __len__(self) -> int:
        return self._length

    @property
    def capacity(self) -> int:
        """Most rows that fit."""
        return len(self._columns)

    @property
    def media(self) -> int:
        """Audiovisual rows in use."""
        return self._media

    @property
    def text(self) -> int:
        """Rows in use that are not audiovisual."""
        return self._length - self._media

    @property
    def rows(self) -> TokenRows:
        """Views of the rows in use; they follow writes, and are invalid after the next change of length."""
        return self._columns.take(slice(0, self._length))

    @property
    def nbytes(self) -> int:
        """Bytes of all columns, used or not."""
        return sum(int(getattr(self._columns, name).nbytes) for name in COLUMNS)

    def media_from(self, start: int) -> bool:
        """Whether an audiovisual row lies at or after `start`."""
        return bool((self._columns.role[start : self._length] == Role.MEDIA).any())

    def append(self, rows: TokenRows) -> int:
        """Adds rows at the end and returns the index of the first.

        Raises:
            BudgetError: the capacity does not suffice; nothing was added.
        """
        start, stop = self._length, self._length + len(rows)
        if stop > self.capacity:
            raise BudgetError("token table", needed=stop, available=self.capacity)
        self._write(slice(start, stop), rows)
        self._length = stop
        self._media += int(np.count_nonzero(rows.media))
        return start

    def truncate(self, length: int) -> None:
        """Forgets every row from `length` on; `0 <= length <= len(table)`."""
        if not 0 <= length <= self._length:
            raise IndexError(f"length {length} is outside 0…{self._length}")
        self._length = length
        self._media = int(np.count_nonzero(self.rows.media))

    def keep(self, index: npt.NDArray[np.integer]) -> None:
        """Keeps only the rows at the ascending `index`, moved together in place."""
        rows = self.rows.take(index)
        self._write(slice(0, len(rows)), rows)
        self._length = len(rows)
        self._media = int(np.count_nonzero(rows.media))

    def grown(self, capacity: int) -> TokenTable:
        """A copy with another capacity, which must hold the rows in use."""
        table = TokenTable(capacity)
        table.append(self.rows)
        return table

    def _write(self, where: slice, rows: TokenRows) -> None:
        for name in COLUMNS:
            getattr(self._columns, name)[where] = getattr(rows, name)
