"""What is sent: a series of packets in the order of their media times. Pure: no clock, no thread."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Literal

from clients.python.encode import OpusEncoder, Timed, VideoEncoder
from clients.python.soundtrack import Soundtrack, Speech
from clients.python.source import SOUND_RATE, Pcm, Picture, Sound, Source

Kind = Literal["video", "audio"]
Packets = Iterator[tuple[Kind, Timed]]

_HOLD_STEP_S = 0.1
_USUAL_PICTURE_S = 0.04


class Programme:
    """``source`` with ``speech`` over it.

    Args:
        source: a source without sound gets a track of silence when there is speech.
        speech: spoken over it.
        loop: begin anew at the end, time going on; a device has no end.
        hold: after the end keep giving the last picture and silence, so that a question asked near the end still gets
            the silence that ends it, and its answer.
    """

    def __init__(self, source: Source, speech: Sequence[Speech] = (), *, loop: bool = False, hold: bool = True) -> None:
        self.source = source
        self.has_video = source.has_video
        self.has_audio = source.has_audio or bool(speech)
        self.duration: float | None = None
        """Media seconds of what was played, once its end was reached."""
        self._loop, self._hold = loop, hold
        self._soundtrack = Soundtrack(speech)
        self._video, self._audio = VideoEncoder(), OpusEncoder()
        self._last: Picture | None = None

    def packets(self) -> Packets:
        """Everything, from media second 0. Raises SourceError when the source is damaged."""
        end = 0.0
        while True:
            began = end
            for item in self.source.play():
                shifted = replace(item, at=began + item.at)
                end = max(end, self._end(shifted))
                yield from self._encode(shifted)
            if not self._loop or end == began:
                break
            yield from self._silence(end)
        self.duration = end
        while self._hold:
            if self._last is not None:
                yield from self._encode(replace(self._last, at=end))
            end += _HOLD_STEP_S
            yield from self._silence(end)

    def _end(self, item: Picture | Sound) -> float:
        """When an item is over; a picture lasts as long as the one before it did."""
        if isinstance(item, Sound):
            return item.at + len(item.samples) / SOUND_RATE
        lasted = _USUAL_PICTURE_S if self._last is None else item.at - self._last.at
        return item.at + max(0.0, lasted)

    def _encode(self, item: Picture | Sound) -> Packets:
        if isinstance(item, Picture):
            self._last = item
            yield from (("video", packet) for packet in self._video.push(item))
            if not self.source.has_audio:
                yield from self._silence(item.at)
        elif self.has_audio:
            yield from self._blocks(self._soundtrack.push(item))

    def _silence(self, until: float) -> Packets:
        if self.has_audio:
            yield from self._blocks(self._soundtrack.silence(until))

    def _blocks(self, blocks: Iterator[tuple[int, Pcm]]) -> Packets:
        for first, block in blocks:
            yield from (("audio", packet) for packet in self._audio.push(first, block))
