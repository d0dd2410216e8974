"""Decoded sound of any rate and layout to 16 kHz mono float32, with every sample accounted for."""

from __future__ import annotations

import numpy as np
from av import AudioFrame, AudioResampler

from stream_service.types import SAMPLE_RATE, AudioChunk, Samples


class MonoResampler:
    """Streaming conversion by swresample: chunks follow each other without gap or overlap until :meth:`restart`.

    Output sample ``i`` shows input time ``i / 16000`` after the frame that began the run (swresample removes its own
    delay). Layouts are mixed down with coefficients that sum to 1, so that mono sent as two equal channels, as Opus
    decoders give it, keeps its level.
    """

    def __init__(self) -> None:
        self._run: AudioResampler | None = None
        self._began = 0.0
        self._given = 0

    def push(self, frame: AudioFrame, at: float) -> AudioChunk | None:
        """Convert a frame; ``at`` (stream seconds) counts only for the first one of a run."""
        if self._run is None:
            self._run = AudioResampler(
                format="flt", layout="mono", rate=SAMPLE_RATE, options={"rematrix_maxval": "1.0"}
            )
            self._began, self._given = at, 0
        frame.pts = None
        return self._collect(self._run, frame)

    def restart(self) -> AudioChunk | None:
        """End the run; returns the samples still inside."""
        run, self._run = self._run, None
        return None if run is None else self._collect(run, None)

    def _collect(self, run: AudioResampler, frame: AudioFrame | None) -> AudioChunk | None:
        parts = [out.to_ndarray().reshape(-1) for out in run.resample(frame)]
        samples: Samples = np.concatenate(parts, dtype=np.float32) if parts else np.zeros(0, np.float32)
        if not len(samples):
            return None
        chunk = AudioChunk(self._began + self._given / SAMPLE_RATE, np.clip(samples, -1.0, 1.0))
        self._given += len(samples)
        return chunk
