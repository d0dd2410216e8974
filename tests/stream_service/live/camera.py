"""A WHIP camera for tests: aiortc, a moving picture and a tone; knows nothing of the service but its URLs."""

from __future__ import annotations

import fractions
from typing import Self

import httpx
import numpy as np
from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import AudioStreamTrack, VideoStreamTrack
from av import AudioFrame, VideoFrame
from numpy.typing import NDArray


class MovingBar(VideoStreamTrack):
    """30 frames a second of 320 x 240: a white bar that moves over blue."""

    async def recv(self) -> VideoFrame:
        pts, time_base = await self.next_timestamp()
        picture = np.zeros((240, 320, 3), np.uint8)
        picture[..., 2] = 200
        left = pts // 3000 % 280
        picture[:, left : left + 40] = 255
        frame = VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts, frame.time_base = pts, time_base
        return frame


class Tone(AudioStreamTrack):
    """440 Hz, mono, 48 kHz, in chunks of 20 ms."""

    async def recv(self) -> AudioFrame:
        silent = await super().recv()  # keeps the pace
        rate = 48_000
        index = silent.pts * rate // silent.sample_rate + np.arange(rate // 50)
        samples = (3000 * np.sin(2 * np.pi * 440 * index / rate)).astype(np.int16)
        frame = AudioFrame.from_ndarray(samples[None, :], format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = rate, int(index[0]), fractions.Fraction(1, rate)
        return frame


class Voice(AudioStreamTrack):
    """Silence but for ``samples`` (float32, mono, 48 kHz, in [-1, 1]), which begin at second ``at``."""

    def __init__(self, samples: NDArray[np.float32], at: float) -> None:
        super().__init__()
        before = np.zeros(int(48_000 * at), np.int16)
        self._sound = np.concatenate((before, (samples * 32_767).astype(np.int16)))

    async def recv(self) -> AudioFrame:
        silent = await super().recv()  # keeps the pace
        rate = 48_000
        first = silent.pts * rate // silent.sample_rate
        chunk = np.zeros(rate // 50, np.int16)
        heard = self._sound[first : first + len(chunk)]
        chunk[: len(heard)] = heard
        frame = AudioFrame.from_ndarray(chunk[None, :], format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = rate, first, fractions.Fraction(1, rate)
        return frame


class Camera:
    """Publishes to ``url`` while it is open; ``sound`` takes the place of the tone."""

    def __init__(
        self,
        url: str,
        path: str = "/whip",
        *,
        video: bool = True,
        audio: bool = True,
        sound: AudioStreamTrack | None = None,
        token: str | None = None,
    ) -> None:
        self._headers = {"Content-Type": "application/sdp"}
        if token is not None:
            self._headers["Authorization"] = f"Bearer {token}"
        self._url = url
        self._path = path
        self._tracks = [*([MovingBar()] if video else []), *([sound or Tone()] if audio else [])]
        self.connection = RTCPeerConnection()
        self.location = ""
        self.etag = ""

    async def __aenter__(self) -> Self:
        try:
            await self._publish()
        except BaseException:  # cancelled or failed: either way the connection's tasks must end
            await self.connection.close()
            raise
        return self

    async def _publish(self) -> None:
        for track in self._tracks:
            self.connection.addTrack(track)
        await self.connection.setLocalDescription(await self.connection.createOffer())
        async with httpx.AsyncClient(base_url=self._url, timeout=60) as http:
            answer = await http.post(self._path, content=self.connection.localDescription.sdp, headers=self._headers)
        assert answer.status_code == 201, answer.text
        self.location, self.etag = answer.headers["location"], answer.headers["etag"]
        await self.connection.setRemoteDescription(RTCSessionDescription(answer.text, "answer"))

    async def __aexit__(self, *_: object) -> None:
        await self.connection.close()

    @property
    def session(self) -> str:
        return self.location.rpartition("/")[2]
