"""The shipped checkpoint: complete, consistent, and able to answer."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from safetensors import safe_open

from nano_omni import facts, weights_dir
from nano_omni.evaluate import Examiner, plans, score
from nano_omni.tokenizer import SPECIAL_TOKENS
from nano_omni.training.augment import CLEAN
from nano_omni.training.rows import main_rows


def test_weights_are_bfloat16_and_about_thirty_megabytes() -> None:
    path = weights_dir() / "model.safetensors"
    with safe_open(path, "pt") as file:
        sizes = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
        assert {part.get_dtype() for part in sizes.values()} == {"BF16"}
    assert 29e6 < path.stat().st_size < 31e6


def test_facts_are_those_of_the_configuration() -> None:
    known = facts()
    assert (known.frame_size, known.fps, known.segment_windows, known.fusion_depth) == (168, 2, 8, 6)


@pytest.mark.default
def test_answers_a_held_out_stream() -> None:
    torch.manual_seed(0)
    examiner = Examiner(weights_dir(), torch.device("cpu"), CLEAN)
    assert examiner.tokenizer.convert_tokens_to_ids(list(SPECIAL_TOKENS)) == list(range(len(SPECIAL_TOKENS)))
    mix = replace(main_rows()[0].mix, fewest_slots=12, slots_per_window=0.0, phrasing="canonical")
    counts = score(examiner, plans(mix, windows=4, streams=1, seed=3))
    right, asked = (sum(pair[i] for pair in counts.values()) for i in (0, 1))
    assert asked >= 10
    assert right >= asked - 1, counts
