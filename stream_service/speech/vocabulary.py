"""The recogniser's vocabulary: byte-pair pieces in the order in which they were merged.

File layout (moonshine's ``tokenizer.bin``): the pieces in order of their ids, each a length and its bytes; a length of
128 or more takes two bytes, the low 7 bits first. Ids 0, 1, 2 are unknown, begin, end; 3 … 258 are single bytes;
``▁`` is a space; pieces like ``<<ST_7>>`` are reserved.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

BEGIN, END = 1, 2
_FIRST_MERGED = 259
_SPACE = "▁".encode()
_PUNCTUATION = tuple(mark.encode() for mark in ".,?!;:")


class Vocabulary:
    """Pieces by id. Immutable."""

    def __init__(self, pieces: Sequence[bytes]) -> None:
        self._pieces = tuple(pieces)
        self._ids: dict[bytes, int] = {}
        for token, piece in enumerate(self._pieces[_FIRST_MERGED:], start=_FIRST_MERGED):
            self._ids.setdefault(piece, token)
        self.breaks: NDArray[np.bool_] = np.array([p.startswith((_SPACE, *_PUNCTUATION)) for p in self._pieces])
        """bool ``[n]``: whether the word before is complete when this token follows."""
        self.breaks[END] = True

    @classmethod
    def load(cls, path: Path) -> Vocabulary:
        """Read ``tokenizer.bin``. Raises ValueError when it is cut short."""
        data, pieces, at = path.read_bytes(), [], 0
        while at < len(data):
            length, at = data[at], at + 1
            if length >= 128:
                length, at = length - 128 + 128 * data[at], at + 1
            if at + length > len(data):
                raise ValueError(f"{path} ends inside a piece")
            pieces.append(data[at : at + length])
            at += length
        return cls(pieces)

    def __len__(self) -> int:
        return len(self._pieces)

    def encode(self, word: str) -> list[int]:
        """The tokens of one word as it follows a space.

        Byte-pair merging: of all neighbouring pairs, the one that was learnt first (lowest id) is merged first.
        """
        parts = [_SPACE, *(character.encode() for character in word)]
        while True:
            ranked = [(self._ids.get(a + b, len(self)), i) for i, (a, b) in enumerate(pairwise(parts))]
            rank, i = min(ranked, default=(len(self), 0))
            if rank == len(self):
                return [token for part in parts for token in self._tokens(part)]
            parts[i : i + 2] = [parts[i] + parts[i + 1]]

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of ``tokens``; reserved ones show nothing."""
        shown = (self._pieces[t] for t in tokens if t > END and not self._pieces[t].startswith(b"<<"))
        return b"".join(shown).replace(_SPACE, b" ").decode("utf-8", errors="replace").strip()

    def _tokens(self, part: bytes) -> list[int]:
        """One merged piece is one token; an unknown character falls back to its bytes."""
        return [self._ids[part]] if part in self._ids else [3 + byte for byte in part]
