"""A programme in real time: encoded ahead in a thread, handed out packet by packet at the moment each is due."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable

from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError

from clients.python.encode import Packet, Timed
from clients.python.errors import SourceError
from clients.python.programme import Programme

_AHEAD_S = 2.0
"""How far encoding may run ahead of what is due."""
_LEAD_S = 0.2
"""From the start to the first packet's moment; for a device, the delay behind which its encoding hides."""
_REMEMBERED = 5_000


class PacedTrack(MediaStreamTrack):  # type: ignore[misc]  # aiortc is untyped
    """Ready packets, each handed to the transport when it is due.

    ``sent`` holds ``(media second, time.time())`` of the newest 5,000 that were, for measuring.
    """

    def __init__(self, kind: str, due: Callable[[float], Awaitable[None]]) -> None:
        super().__init__()
        self.kind = kind
        self.sent: deque[tuple[float, float]] = deque(maxlen=_REMEMBERED)
        self.finished = asyncio.Event()
        """Set when the last packet was handed over."""
        self._due = due
        self._ready: asyncio.Queue[Timed | None] = asyncio.Queue()  # bounded by how far the playback runs ahead

    def offer(self, item: Timed | None) -> None:
        """Queue a packet; None is the end. On the event loop."""
        self._ready.put_nowait(item)

    async def recv(self) -> Packet:
        item = await self._ready.get()
        if item is None or self.readyState != "live":
            self.finished.set()
            self.stop()
            raise MediaStreamError
        await self._due(item.at)
        self.sent.append((item.at, time.time()))
        return item.packet


class Playback:
    """Plays a programme once :meth:`start` is called. Belongs to the event loop in which it is made."""

    def __init__(self, programme: Programme) -> None:
        self.programme = programme
        self.video = PacedTrack("video", self.due) if programme.has_video else None
        self.audio = PacedTrack("audio", self.due) if programme.has_audio else None
        self.error: SourceError | None = None
        """Set when the source broke; the tracks then end early."""
        self._events = asyncio.get_running_loop()
        self._began: float | None = None
        self._playing, self._first = asyncio.Event(), asyncio.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="playback", daemon=True)

    @property
    def tracks(self) -> list[PacedTrack]:
        return [track for track in (self.video, self.audio) if track is not None]

    @property
    def position(self) -> float:
        """The media second that is due now; negative before the start."""
        return -_LEAD_S if self._began is None else self._events.time() - self._began

    def wall(self, at: float) -> float:
        """The ``time.time()`` at which media second ``at`` is, or was, due. Raises RuntimeError before the start."""
        if self._began is None:
            raise RuntimeError("the playback has not started")
        return time.time() + at - self.position

    def prepare(self) -> None:
        """Begin to encode ahead, so that the start is not late. A device, which cannot wait, is left alone."""
        if not self.programme.source.live:
            self._thread.start()

    async def start(self) -> None:
        """Begin to send. Raises :class:`SourceError` when the source breaks before its first packet."""
        if self._thread.ident is None:
            self._thread.start()
        await self._first.wait()
        if self.error is not None:
            raise self.error
        self._began = self._events.time() + _LEAD_S
        self._playing.set()

    async def due(self, at: float) -> None:
        """Return when media second ``at`` is due."""
        await self._playing.wait()
        if (wait := at - self.position) > 0:
            await asyncio.sleep(wait)

    async def over(self) -> None:
        """Return when everything was sent: with a programme that holds or loops, only after an error."""
        for track in self.tracks:
            await track.finished.wait()

    async def stop(self) -> None:
        """End the tracks and the thread."""
        self._stop.set()
        for track in self.tracks:
            track.offer(None)
            track.stop()
        if self._thread.is_alive():
            await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        """The thread: encode, hand over, and wait while far enough ahead."""
        tracks = {"video": self.video, "audio": self.audio}
        try:
            for kind, item in self.programme.packets():
                if (track := tracks[kind]) is not None:
                    self._tell(track.offer, item)
                    self._tell(self._first.set)
                while item.at - self.position > _AHEAD_S and not self._stop.wait(0.05):
                    pass
                if self._stop.is_set():
                    return
        except SourceError as error:
            self.error = error
        for track in self.tracks:
            self._tell(track.offer, None)
        self._tell(self._first.set)

    def _tell(self, what: Callable[..., object], *arguments: object) -> None:
        try:
            self._events.call_soon_threadsafe(what, *arguments)
        except RuntimeError:  # the loop is closed: whoever ran it left without stop()
            self._stop.set()
