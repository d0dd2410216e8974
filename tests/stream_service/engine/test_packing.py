"""Windows come out of their packing as they went in."""

from __future__ import annotations

import numpy as np
import pytest

from stream_service.engine.packing import pack
from stream_service.types import Window

DRAWS = np.random.default_rng(7)
NOISE = DRAWS.integers(0, 256, (4, 24, 32, 3), dtype=np.uint8)
RAMP = np.broadcast_to(np.arange(64, dtype=np.uint8)[None, None, :, None] * 3, (4, 48, 64, 3))
SOUND = DRAWS.normal(0, 0.1, 32_000).astype(np.float32)


@pytest.mark.parametrize("frames", [NOISE, RAMP, NOISE[:, ::2, ::-1], NOISE[:2], None])
@pytest.mark.parametrize("samples", [SOUND, SOUND[::2], np.array([0.0, -0.0, np.nan, np.inf, 1e-40], np.float32), None])
def test_bit_for_bit(frames: np.ndarray | None, samples: np.ndarray | None) -> None:
    window = Window("a", 3, 6.0, 7.5, frames, samples, new_segment=True, lost_frames=2)
    again = pack(window).unpack()
    facts = ("session", "index", "start", "end", "new_segment", "lost_frames")
    assert [getattr(again, name) for name in facts] == [getattr(window, name) for name in facts]
    for was, now in ((frames, again.frames), (samples, again.samples)):
        assert (was is None) == (now is None)
        if was is not None and now is not None:
            assert (now.shape, now.dtype) == (was.shape, was.dtype)
            assert now.tobytes() == was.tobytes()


def test_a_smooth_picture_and_silence_get_small() -> None:
    window = Window("a", 0, 0.0, 2.0, np.ascontiguousarray(RAMP), np.zeros(32_000, np.float32))
    assert pack(window).size < 0.02 * (RAMP.size + 4 * 32_000)


def test_noise_hardly_grows() -> None:
    assert pack(Window("a", 0, 0.0, 2.0, NOISE, None)).size < 1.01 * NOISE.size + 64
