"""The record of a stream's chunks: which past windows a store still represents."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

__all__ = ["Chunk", "ChunkRecord"]


@dataclass(frozen=True)
class Chunk:
    """A window of the stream: its place in stream seconds and its raw audiovisual tokens, before compression."""

    start: float
    end: float
    raw_video: int
    raw_audio: int


class ChunkRecord:
    """Chunks that still have tokens, and how many there ever were.

    Attributes:
        alive: the chunks with tokens, by number.
    """

    def __init__(self) -> None:
        self.alive: dict[int, Chunk] = {}
        self._seen = 0

    def add(self, number: int, chunk: Chunk) -> None:
        """Adds a chunk, or more raw tokens and a later end to one that is already there."""
        known = self.alive.get(number)
        if known is None:
            self._seen += 1
            self.alive[number] = chunk
        else:
            video, audio = known.raw_video + chunk.raw_video, known.raw_audio + chunk.raw_audio
            self.alive[number] = replace(known, end=chunk.end, raw_video=video, raw_audio=audio)

    def keep(self, present: Iterable[int]) -> int:
        """Lets chunks that are not `present` go and says how many went."""
        numbers, before = set(present), len(self.alive)
        self.alive = {number: chunk for number, chunk in self.alive.items() if number in numbers}
        return before - len(self.alive)

    def forget(self, present: Iterable[int]) -> None:
        """Like `keep`, for chunks that were taken back: they count as never seen."""
        self._seen -= self.keep(present)

    @property
    def coverage(self) -> float:
        """Share of the chunks ever added that still have tokens; 1.0 before the first."""
        return len(self.alive) / self._seen if self._seen else 1.0

    @property
    def raw_tokens(self) -> int:
        """Raw audiovisual tokens of the chunks still represented: the base of retention."""
        return sum(chunk.raw_video + chunk.raw_audio for chunk in self.alive.values())
