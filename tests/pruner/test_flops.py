"""Operation counts against figures known from elsewhere."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from pruner.flops import DecoderShape, layer_flops, prefill_flops

SEVEN_B = DecoderShape(28, 3584, 28, 4, 128, 18_944, 152_064)


def test_full_prefill_of_the_minute_takes_what_the_machine_says() -> None:
    """10,240 tokens of the 7B: 197 ms at 785 TFLOP/s, measured without the head."""
    assert 28 * layer_flops(SEVEN_B, 10_240) / 785e12 == pytest.approx(0.197, rel=0.04)


def test_projections_count_their_weights_twice() -> None:
    weights = 3584 * (28 + 4 + 4) * 128 + 28 * 128 * 3584 + 3 * 3584 * 18_944
    assert layer_flops(SEVEN_B, 1) == 2 * weights + 4 * 3584


def test_attention_is_causal_over_the_past_and_among_new_rows() -> None:
    assert layer_flops(SEVEN_B, 100) == sum(layer_flops(SEVEN_B, 1, past) for past in range(100))
    assert layer_flops(SEVEN_B, 60, 40) == sum(layer_flops(SEVEN_B, 1, past) for past in range(40, 100))


def test_only_layers_that_ran_ahead_are_spared_the_past() -> None:
    shape = DecoderShape(4, 64, 4, 2, 16, 96, 100)
    head = 2 * 64 * 100
    live = prefill_flops(shape, [80, 80, 40, 20], text=20, question=5, ahead=2)
    assert live.total == head + 2 * layer_flops(shape, 100) + layer_flops(shape, 60) + layer_flops(shape, 40)
    shallow = 2 * layer_flops(shape, 5, 95)
    assert live.after_question == head + shallow + layer_flops(shape, 60) + layer_flops(shape, 40)
    cold = prefill_flops(shape, [80, 80, 40, 20], text=20, question=5, ahead=0)
    assert cold.total == cold.after_question == live.total
    streamed = prefill_flops(shape, [80] * 4, text=20, question=5, ahead=4)
    assert streamed.after_question == head + 2 * shallow


def test_deep_layers_run_after_the_question_even_where_nothing_is_dropped() -> None:
    shape = DecoderShape(4, 64, 4, 2, 16, 96, 100)
    whole = prefill_flops(shape, [80] * 4, text=20, question=5, ahead=2)
    assert whole.after_question == 2 * 64 * 100 + 2 * layer_flops(shape, 5, 95) + 2 * layer_flops(shape, 100)


def test_a_layer_that_sees_survivors_cannot_run_ahead() -> None:
    with pytest.raises(ValueError, match="3 layers cannot run before the question"):
        prefill_flops(DecoderShape(4, 64, 4, 2, 16, 96, 100), [80, 80, 40, 20], text=20, question=5, ahead=3)


def test_shapes_are_read_from_a_configuration() -> None:
    dense = SimpleNamespace(
        num_hidden_layers=28, hidden_size=3584, num_attention_heads=28, num_key_value_heads=4,
        intermediate_size=18_944, vocab_size=152_064,
    )  # fmt: skip
    assert DecoderShape.read(dense) == SEVEN_B
    experts = SimpleNamespace(**vars(dense), head_dim=64, num_experts_per_tok=8, moe_intermediate_size=768)
    assert (DecoderShape.read(experts).feed_forward, DecoderShape.read(experts).head_dim) == (6_144, 64)
