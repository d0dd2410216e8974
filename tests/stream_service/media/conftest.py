"""A camera of synthetic scenes for loopback tests: a flash and a beep at every whole second."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from av import AudioFrame
from av import VideoFrame as Decoded

from stream_service.media import MediaSettings, Peers
from stream_service.types import AudioChunk, MediaBreak, Published, VideoFrame

EVENT_S = 0.1


class Clock:
    """Media time of a camera; starts when its first track is asked for a frame."""

    def __init__(self) -> None:
        self._start: float | None = None

    async def reach(self, t: float) -> None:
        self._start = self._start if self._start is not None else time.monotonic()
        await asyncio.sleep(max(0.0, t - self.now))

    @property
    def now(self) -> float:
        """Seconds since the start; 0 before it."""
        return 0.0 if self._start is None else time.monotonic() - self._start


class Flashes(MediaStreamTrack):
    """Grey, and white for a tenth of each second."""

    kind = "video"

    def __init__(self, clock: Clock, size: tuple[int, int] = (320, 240)) -> None:
        super().__init__()
        self.size = size
        self._clock, self._n = clock, 0

    async def recv(self) -> Decoded:
        await self._clock.reach(self._n / 30)
        width, height = self.size
        planes = np.full((height * 3 // 2, width), 128, np.uint8)
        planes[:height] = 230 if self._n % 30 < 30 * EVENT_S else 40
        frame = Decoded.from_ndarray(planes, format="yuv420p")
        frame.pts, frame.time_base = self._n * 3_000, Fraction(1, 90_000)
        self._n += 1
        return frame


class Beeps(MediaStreamTrack):
    """48 kHz stereo: silence, and a tone for a tenth of each second."""

    kind = "audio"

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock, self._n = clock, 0

    async def recv(self) -> AudioFrame:
        await self._clock.reach(self._n / 48_000)
        t = np.arange(self._n, self._n + 960) / 48_000
        tone = np.where(t % 1.0 < EVENT_S, 16_000 * np.sin(2 * np.pi * 1_000 * t), 0).astype(np.int16)
        frame = AudioFrame.from_ndarray(np.repeat(tone, 2)[None], "s16", "stereo")
        frame.sample_rate, frame.pts, frame.time_base = 48_000, self._n, Fraction(1, 48_000)
        self._n += 960
        return frame


class Listener:
    """A sink that finds the flashes and beeps, and lets a test wait for what it wants to see."""

    def __init__(self) -> None:
        self.flashes: list[float] = []
        self.beeps: list[float] = []
        self.frames: list[VideoFrame] = []
        self.chunks: list[AudioChunk] = []
        self.told: list[object] = []
        self._news = asyncio.Event()
        self._bright = False
        self._quiet_since = 0.0

    async def until(self, seen: Callable[[Listener], bool], limit_s: float = 60.0) -> None:
        async with asyncio.timeout(limit_s):
            while not seen(self):
                self._news.clear()
                await self._news.wait()

    def on_tracks(self, *, video: bool, audio: bool) -> None:
        self._tell((video, audio))

    def on_video(self, frame: VideoFrame) -> None:
        self.frames.append(frame)
        bright = bool(frame.pixels().mean() > 128)
        if bright and not self._bright:
            self.flashes.append(frame.at)
        self._bright = bright
        self._news.set()

    def on_audio(self, chunk: AudioChunk) -> None:
        self.chunks.append(chunk)
        for k in np.flatnonzero(np.abs(chunk.samples) > 0.1):
            at = chunk.at + float(k) / 16_000
            if at - self._quiet_since > 0.3:
                self.beeps.append(at)
            self._quiet_since = at
        self._news.set()

    def on_break(self, brk: MediaBreak) -> None:
        self._tell(brk)

    def on_lost(self, reason: str) -> None:
        self._tell(reason)

    def on_back(self) -> None:
        self._tell("back")

    def _tell(self, what: object) -> None:
        self.told.append(what)
        self._news.set()


class Camera:
    """An aiortc peer that publishes like a browser."""

    def __init__(self, *, video: bool = True, audio: bool = True, size: tuple[int, int] = (320, 240)) -> None:
        self.clock = clock = Clock()
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.flashes = Flashes(clock, size)
        if audio:
            self.connection.addTransceiver(Beeps(clock), direction="sendonly")
        if video:
            self.connection.addTransceiver(self.flashes, direction="sendonly")

    async def offer(self) -> str:
        await self.connection.setLocalDescription(await self.connection.createOffer())
        return str(self.connection.localDescription.sdp)

    async def publish(self, peers: Peers, session: str, sink: Listener) -> Published:
        published = await peers.publish(session, await self.offer(), sink)
        await self.connection.setRemoteDescription(RTCSessionDescription(published.answer, "answer"))
        return published

    def watch_lateness(self) -> list[float]:
        """From now on, by how much each packet leaves after its moment, in seconds.

        aiortc's sender reports take the time of sending for that of the media, so these are their errors, too.
        """
        late: list[float] = []
        transports = {sender.transport for sender in self.connection.getSenders()}
        kinds = {sender._ssrc: sender.kind for sender in self.connection.getSenders()}
        first: dict[int, int] = {}
        for transport in transports:

            async def noted(packet: bytes, send: Any = transport._send_rtp) -> None:
                await send(packet)
                stamp, ssrc = (int.from_bytes(packet[at : at + 4], "big") for at in (4, 8))
                if ssrc in kinds and packet[1] & 0x7F not in range(64, 96):  # RTP, not RTCP (RFC 5761 §4)
                    rate = 48_000 if kinds[ssrc] == "audio" else 90_000
                    media = (stamp - first.setdefault(ssrc, stamp)) % 2**32 / rate
                    late.append(self.clock.now - media)

            transport._send_rtp = noted
        return late

    async def close(self) -> None:
        await self.connection.close()


@pytest.fixture
async def peers() -> AsyncIterator[Peers]:
    """Ingest on this host's own addresses, impatient enough for tests."""
    made = Peers(MediaSettings(silence_s=2.0, connect_s=30.0), (32, 32))
    yield made
    await made.stop()


@pytest.fixture
async def camera() -> AsyncIterator[Callable[..., Camera]]:
    """Makes cameras, and closes them in the end."""
    cameras: list[Camera] = []

    def make(**kinds: Any) -> Camera:
        cameras.append(Camera(**kinds))
        return cameras[-1]

    yield make
    await asyncio.gather(*(c.close() for c in cameras))


@pytest.fixture
def listener() -> Listener:
    """A sink."""
    return Listener()
