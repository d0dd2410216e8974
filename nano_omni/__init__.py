"""nano-omni: the built-in model, a Qwen2.5-Omni thinker of 15 M parameters trained on procedural audiovisual scenes.

`weights_dir()` is where the shipped checkpoint lives; `facts()` reads what training and serving must agree on to the
byte.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

__all__ = ["FACTS_FILE", "NanoFacts", "facts", "weights_dir"]

FACTS_FILE = "omnidrop.json"


@dataclass(frozen=True)
class NanoFacts:
    """What the weights were trained with, as `omnidrop.json` beside them says it.

    `frame_size` is in pixels (square frames), `fps` in frames per second, `sample_rate` in Hz, `segment_windows` in
    windows of 2 s; `fusion_depth` is the first decoder layer after which audiovisual tokens may be dropped plus one;
    `spoken_questions`: a question may be speech itself, which no training here teaches. Position ids below
    `position_limit` were trained; without it, as many as `max_windows_trained` windows take.
    """

    system_prompt: str = "You watch and hear a live stream. Answer briefly."
    frame_size: int = 168
    fps: int = 2
    sample_rate: int = 16_000
    window_seconds: int = 2
    segment_windows: int = 8
    max_answer_tokens: int = 64
    fusion_depth: int = 6
    max_windows_trained: int = 32
    spoken_questions: bool = False
    position_limit: int | None = None


def weights_dir() -> Path:
    """Directory of the shipped checkpoint, in the layout `from_pretrained` reads."""
    return Path(__file__).parent / "weights"


@cache
def facts(directory: Path | None = None) -> NanoFacts:
    """Facts of the checkpoint in `directory` (the shipped one if None). Raises FileNotFoundError if there is none."""
    path = (directory or weights_dir()) / FACTS_FILE
    return NanoFacts(**json.loads(path.read_text(encoding="utf-8")))
