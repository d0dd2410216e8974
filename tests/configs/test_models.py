"""The configurations of Qwen's models against what is published of those models."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pruner import TurnOptions
from pruner.compress import audio_count, video_count
from pruner.families.facts import ModelFacts, read_facts
from pruner.families.omni import FAMILIES
from stream_service.config import load

CONFIGS = Path(__file__).parents[2] / "configs"
PUBLISHED = {
    "qwen2.5-omni-3b": ("qwen2_5_omni", 36, 2048, 16, 2, 25, 18, 336),
    "qwen2.5-omni-7b": ("qwen2_5_omni", 28, 3584, 28, 4, 25, 14, 336),
    "qwen3-omni": ("qwen3_omni_moe", 48, 2048, 32, 4, 13, 24, 384),
}


def _facts(name: str, directory: Path) -> ModelFacts:
    kind, layers, hidden, heads, kv_heads, rate, _, _ = PUBLISHED[name]
    text = {
        "num_hidden_layers": layers,
        "hidden_size": hidden,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "head_dim": 128,
    }
    thinker = {
        "text_config": text,
        "vision_config": {"deepstack_visual_indexes": [8, 16, 24]},
        "position_id_per_seconds": rate,
        "seconds_per_chunk": 2,
    }
    whole = {"model_type": kind, "thinker_config": thinker}
    (directory / "config.json").write_text(json.dumps(whole), encoding="utf-8")
    return read_facts(directory, FAMILIES)


@pytest.mark.parametrize("name", list(PUBLISHED))
def test_depth_frame_and_schedule_are_those_of_the_method(name: str, tmp_path: Path) -> None:
    engine = load(CONFIGS / f"{name}.yaml", {}).engine
    facts = _facts(name, tmp_path)
    depth, side = PUBLISHED[name][-2:]
    assert engine.fusion_depth is None
    assert (facts.fusion_depth, facts.height, facts.width, facts.video_rate) == (depth, side, side, 144)
    assert facts.system
    assert engine.dtype == "bfloat16"
    assert engine.budget >= facts.window_seconds * (facts.video_rate + facts.audio_rate)
    assert engine.hang_s < engine.load_timeout_s


@pytest.mark.parametrize("name", list(PUBLISHED))
def test_what_is_said_of_the_budget_is_so(name: str, tmp_path: Path) -> None:
    path, facts = CONFIGS / f"{name}.yaml", _facts(name, tmp_path)
    audio = audio_count(facts.window_seconds * facts.audio_rate)
    brings = [video_count(2, facts.video_rate, patch) + audio for patch in (0, 2)]
    windows, held, budget = 0, 0, load(path, {}).engine.budget
    while held + brings[windows % 2] <= budget:
        held += brings[windows % 2]
        windows += 1
    said = f"A window of 2 s brings {brings[0]} or {brings[1]} tokens in turns: the first {2 * windows} s all fit"
    assert said in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", list(PUBLISHED))
def test_the_share_kept_is_the_papers_thirty_per_cent(name: str, tmp_path: Path) -> None:
    """Over a minute that fits the budget, layer mean, relative to the tokens before compression."""
    engine = load(CONFIGS / f"{name}.yaml", {}).engine
    facts = _facts(name, tmp_path)
    options = TurnOptions(deep_share=engine.deep_share, schedule=engine.schedule)
    options.check(facts.layers, facts.fusion_depth)
    audio = audio_count(facts.window_seconds * facts.audio_rate)
    kept = sum(video_count(2, facts.video_rate, 2 * (window % 2)) + audio for window in range(30))
    raw = 30 * facts.window_seconds * (facts.video_rate + facts.audio_rate)
    assert kept <= engine.budget
    alive = options.solved(facts.layers, facts.fusion_depth, kept, raw).alive(kept)
    assert sum(alive) / facts.layers / raw == pytest.approx(0.30, abs=0.005)
