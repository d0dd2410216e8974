"""What is saved and what is lost where a picture that stands still is not encoded again."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from benchmarks.encoding.asking import compared, said
from benchmarks.quality.papers import Paper, media
from benchmarks.report import progress, table
from nano_omni.world import Draws, make_script, questions
from pruner import EncodedWindow, LiveModel, RawWindow
from pruner.encoder import StreamState, WindowEncoder

__all__ = ["CAMERAS", "Camera", "as_table", "paper", "rows"]

_SALT = 27_182
_CATEGORIES = {
    "long": ("now", "past", "av.screen", "absent.now", "absent.past", "describe"),
    "needle": ("past", "av.screen"),
}


@dataclass(frozen=True)
class Camera:
    """How the scenes are filmed.

    Attributes:
        name: for tables.
        grain: amplitude of the sensor's noise, of 1; None: as the stream has it, in a hand, under light that drifts.
    """

    name: str
    grain: float | None


CAMERAS = (
    Camera("no camera: a screen", 0.0),
    Camera("on a stand, fine noise", 0.01),
    Camera("on a stand, strong noise", 0.05),
    Camera("in a hand", None),
)
"""Standard deviations of the noise: 0, 1.5 and 7.4 levels of 255."""


@dataclass(frozen=True)
class _Flow:
    """Streams under one threshold: their windows, and milliseconds of processor time that each took."""

    windows: list[list[EncodedWindow]]
    took: list[float]

    @property
    def shared(self) -> float:
        """Share of the seconds that were not encoded."""
        seen = [len(one.video) for windows in self.windows for one in windows if one.video is not None]
        return sum(one.shared for windows in self.windows for one in windows) / sum(seen)

    @property
    def video(self) -> Tensor:
        """All video tokens."""
        return torch.cat([one.video for windows in self.windows for one in windows if one.video is not None])

    def equals(self, other: _Flow) -> bool:
        """Whether both give the decoder the same numbers."""
        return torch.equal(self.video, other.video)


def paper(seed: int, windows: int, split: str, camera: Camera, count: int) -> Paper:
    """A stream before a camera, with up to `count` different questions that cannot be answered unseen."""
    script = make_script(seed, windows, split)
    if camera.grain is not None:
        still = replace(script.appearance, grain=camera.grain, shake=0.0, drift=0.0)
        script = replace(script, appearance=still)
    draws = Draws(seed, windows, _SALT)
    drawn = questions(script, script.seconds, draws, 3 * count, categories=_CATEGORIES[split], phrasing="canonical")
    return Paper(script, tuple({qa.text: qa for qa in drawn}.values())[:count])


def rows(
    model: LiveModel, papers: Sequence[Paper], camera: Camera, thresholds: Sequence[float]
) -> list[dict[str, Any]]:
    """A row for each threshold, after one in which everything is encoded."""
    clips = [media([one.script], "cpu")[0] for one in papers]
    found: list[dict[str, Any]] = []
    split = papers[0].script.split
    off = _flow(model, clips, None)
    reference = [said(model, windows, one) for windows, one in zip(off.windows, papers, strict=True)]
    before, answers = off, reference
    for threshold in (None, *thresholds):
        flow = off if threshold is None else _flow(model, clips, threshold)
        if not flow.equals(before):  # else there is nothing to be answered otherwise
            answers = [said(model, windows, one) for windows, one in zip(flow.windows, papers, strict=True)]
        before = flow
        found.append(
            {
                "split": split,
                "camera": camera.name,
                "grain": camera.grain,
                "still_change": threshold,
                "shared": round(flow.shared, 5),
                "encode_cpu_ms": round(statistics.mean(flow.took), 2),
                "tokens": round(_apart(flow, off), 5),
                **compared(papers, answers, reference),
            }
        )
        progress(f"{split}, {camera.name}, {threshold}: {100 * flow.shared:.0f} % shared")
    return found


def as_table(found: Sequence[dict[str, Any]]) -> str:
    """For people."""
    heads = ["streams", "camera", "still_change", "not encoded", "CPU ms", "tokens", "n", "accuracy", "minus off"]
    return table([*heads, "same"], [_cells(one) for one in found], left=(0, 1))


def _flow(model: LiveModel, clips: Sequence[Sequence[RawWindow]], threshold: float | None) -> _Flow:
    """Every stream by itself, as if it were the only one."""
    encoder = WindowEncoder(model.model, still_change=threshold)
    windows: list[list[EncodedWindow]] = []
    took = []
    for clip in clips:
        state, stream = StreamState(), []
        for raw in clip:
            began = time.process_time()
            stream += encoder.encode([(state, raw)])
            took.append(1e3 * (time.process_time() - began))
        windows.append(stream)
    return _Flow(windows, took)


def _apart(flow: _Flow, off: _Flow) -> float:
    """Relative error of the video tokens."""
    return float((flow.video - off.video).norm() / off.video.norm())


def _cells(one: dict[str, Any]) -> list[str]:
    value, low, high = (100 * part for part in one["difference"])
    off = one["still_change"] is None
    return [
        one["split"],
        one["camera"],
        "off" if off else f"{one['still_change']:g}",
        f"{100 * one['shared']:.1f} %",
        f"{one['encode_cpu_ms']:.1f}",
        f"{100 * one['tokens']:.1f} %",
        str(one["n"]),
        f"{100 * one['accuracy']:.1f}",
        "" if off else f"{value:+.1f} [{low:+.1f}, {high:+.1f}]",
        "" if off else f"{100 * one['same_answers']:.1f} %",
    ]
