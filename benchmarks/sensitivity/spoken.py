"""Questions as speech, for models that take them so."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np

from benchmarks.live.voice import Voice
from nano_omni.world import QA
from pruner import InputError, LiveModel
from pruner.families.mel import SAMPLE_RATE
from pruner.question import Speech

__all__ = ["require_spoken", "speak"]

_RATE = 48_000


def require_spoken(model: LiveModel) -> None:
    """Refuse models that never learned to hear a question.

    Raises:
        InputError: the model is one of them, as the built-in one is.
    """
    if not model.facts.spoken_questions:
        raise InputError(
            "guidance",
            "this model was never trained to take a question from speech",
            "use --guidance text, or a model that was (Qwen2.5-Omni, Qwen3-Omni)",
        )


def speak(asked: Sequence[Sequence[QA]], folder: Path) -> list[list[Speech]]:
    """Every question spoken by flite: float32, mono at 16 kHz.

    Raises:
        NoVoice: flite is missing.
    """
    voice = Voice(folder)
    return [[_slower(voice.say(qa.text).samples) for qa in some] for some in asked]


def _slower(samples: np.ndarray) -> Speech:
    """From 48 kHz to the models' 16 kHz."""
    frame = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
    frame.sample_rate = _RATE
    resampler = av.AudioResampler(format="flt", layout="mono", rate=SAMPLE_RATE)
    parts = [*resampler.resample(frame), *resampler.resample(None)]
    return np.concatenate([part.to_ndarray()[0] for part in parts]).astype(np.float32)
