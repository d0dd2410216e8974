"""The way in: a session's media through its windower to the engine, counted."""

from __future__ import annotations

from stream_service.session.ports import Engine, WindowCutter
from stream_service.types import AudioChunk, MediaBreak, VideoFrame, Window


class Intake:
    """Cuts media into windows and feeds them as they close."""

    def __init__(self, engine: Engine, windower: WindowCutter, windows: int = 0) -> None:
        self._engine = engine
        self._windower = windower
        self._before = windows
        self.windows = windows
        """Windows so far; ``windows`` of them were cut by an earlier run of the server, for an engine that is gone."""

    @property
    def position(self) -> float:
        """Stream seconds of the newest media."""
        return self._windower.position

    @property
    def blank(self) -> bool:
        """Whether the engine was given nothing yet."""
        return self.windows == self._before

    def tracks(self, *, video: bool, audio: bool) -> None:
        self._windower.tracks(video=video, audio=audio)

    def video(self, frame: VideoFrame) -> None:
        self.feed(self._count(self._windower.push_video(frame)))

    def audio(self, chunk: AudioChunk) -> None:
        self.feed(self._count(self._windower.push_audio(chunk)))

    def interrupted(self, brk: MediaBreak) -> None:
        self.feed(self._count(self._windower.mark_break(brk)))

    def cut(self, at: float) -> list[Window]:
        """The windows that end at ``at``, not fed yet: the caller hands them to the engine."""
        return self._count(self._windower.cut(at))

    def feed(self, windows: list[Window]) -> None:
        for window in windows:
            self._engine.feed(window)

    def _count(self, windows: list[Window]) -> list[Window]:
        self.windows += len(windows)
        return windows
