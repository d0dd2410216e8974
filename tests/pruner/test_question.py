"""Spoken questions: what is encoded, what is refused, and what they are to the store."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import WhisperFeatureExtractor

import nano_omni
from pruner import Ask, ConversationState, InputError, LiveModel, RawWindow, TurnOptions
from pruner.families.omni import OmniModel
from pruner.families.qwen2_5_omni import part
from pruner.guidance import Guidance
from pruner.novelty import neighbours
from pruner.oneshot import assemble, reply
from pruner.policies.base import Asked, Selection, whole
from pruner.policies.live import Live
from pruner.question import LONGEST_SPEECH_S, Speech, from_speech
from pruner.sequence import MEDIA_ID
from pruner.tokens import NONE, Modality, Role, TokenRows
from pruner.windows import EncodedWindow

FEW = TurnOptions(deep_share=0.3, max_tokens=3)


def speech(seconds: float, seed: int = 0) -> Speech:
    noise = np.random.default_rng(seed).standard_normal(round(16_000 * seconds))
    return (0.2 * noise).clip(-1, 1).astype(np.float32)


def whisper(samples: Speech, *, third: bool) -> Tensor:
    """[128, frames] of a recording as each family's processor asks Whisper's extractor for them.

    The recording is completed with silence to whole audio tokens of 40 ms, 200 samples of it or more.
    """
    padded = np.pad(samples, (0, -(len(samples) + 200) % 640 + 200))
    extractor = WhisperFeatureExtractor(feature_size=128)
    padding = True if third else "max_length"
    found = extractor(padded, sampling_rate=16_000, padding=padding, return_attention_mask=True, return_tensors="pt")
    mel: Tensor = found["input_features"][0][:, found["attention_mask"][0].bool()]
    assert mel.shape[1] == len(padded) // 160
    return mel


@pytest.mark.parametrize("seconds", [0.1, 1.99, 5.37])
@pytest.mark.parametrize("directory", ["tiny_directory", "tiny3_directory"])
def test_speech_is_heard_as_transformers_hears_a_recording(
    directory: str, seconds: float, request: pytest.FixtureRequest
) -> None:
    model = OmniModel.load(request.getfixturevalue(directory))
    third = model.facts.model_type.startswith("qwen3")
    mel = whisper(speech(seconds), third=third)
    lengths = torch.tensor([mel.shape[1]])
    tower: Any = part(model.thinker, "audio_tower")
    with torch.inference_mode():
        if third:
            theirs = tower(mel, feature_lens=lengths).last_hidden_state
        else:
            _, count = tower._get_feat_extract_output_lengths(lengths)
            theirs = tower(mel, feature_lens=lengths, aftercnn_lens=(lengths - 1) // 2 + 1).last_hidden_state
            assert len(theirs) == int(count)
    found = from_speech(model, speech(seconds))
    assert found.speech is not None
    torch.testing.assert_close(found.speech, theirs, atol=1e-4, rtol=1e-4)
    assert found.ids[1:-1] == [MEDIA_ID] * len(theirs)
    names = ("<|audio_start|>", "<|audio_end|>") if third else ("<|audio_bos|>", "<|audio_eos|>")
    tokenizer: Any = model.prompt._tokenizer
    assert [found.ids[0], found.ids[-1]] == tokenizer.convert_tokens_to_ids(list(names))
    assert (found.asking, found.tail) == (len(theirs), len(theirs) + 1)


@pytest.mark.parametrize(
    ("samples", "problem"),
    [
        (speech(0.05), "0.05 s long; give 0.1 s or more"),
        (speech(0.0), "0.00 s long"),
        (speech(LONGEST_SPEECH_S + 0.1), "32.1 s long; ask in at most 32 s"),
        (speech(1.0).astype(np.float64), "is float64"),
        (speech(1.0).reshape(2, -1), r"\(2, 8000\)"),
        (np.full(8_000, np.nan, np.float32), "not finite"),
    ],
)
def test_speech_that_is_none_is_refused_and_nothing_changes(
    tiny_model: LiveModel, samples: Speech, problem: str
) -> None:
    conversation, other = tiny_model.open(budget=400), tiny_model.open(budget=400)
    before = conversation.store.length
    with pytest.raises(InputError, match=problem) as caught:
        tiny_model.guide([Ask(other, "Fine?"), Ask(conversation, speech=samples)])
    assert caught.value.field == "speech"
    assert (conversation.store.length, other.store.length) == (before, before)
    assert conversation.state is other.state is ConversationState.LISTENING


def test_a_question_is_spoken_or_written(tiny_model: LiveModel) -> None:
    with pytest.raises(InputError, match="comes with words"):
        tiny_model.guide([Ask(tiny_model.open(budget=400), "What?", speech=speech(1.0))])


def test_the_longest_speech_can_be_chosen(load_tiny: Callable[..., LiveModel]) -> None:
    model = load_tiny(max_speech_s=1.0)
    conversation = model.open(budget=400)
    with pytest.raises(InputError, match="at most 1 s"):
        model.guide([Ask(conversation, speech=speech(1.1))])
    (turn,) = model.guide([Ask(conversation, speech=speech(1.0))])
    model.commit(turn, published=0)


def test_a_long_question_needs_room_for_its_answer(load_tiny: Callable[..., LiveModel]) -> None:
    model = load_tiny(max_text_tokens=600)
    with pytest.raises(InputError, match="no room"):
        model.guide([Ask(model.open(budget=400), speech=speech(24.0))])


@pytest.mark.default
def test_nano_was_never_trained_on_speech_and_says_so() -> None:
    """With the refusal lifted everything flows; what it answers means nothing."""
    family = OmniModel.load(nano_omni.weights_dir())
    assert not family.facts.spoken_questions
    model = LiveModel(family)
    with pytest.raises(InputError, match=r"never trained .*Qwen2\.5-Omni"):
        model.guide([Ask(model.open(budget=400), speech=speech(1.0))])
    with pytest.raises(InputError, match="never trained"):
        assemble(family, [], [], speech(1.0))
    family.facts = replace(family.facts, spoken_questions=True)
    model = LiveModel(family)
    conversation = model.open(budget=400)
    model.fuse([(conversation, one) for one in model.encode([(conversation, RawWindow(0.0, None, speech(2.0)))])])
    (turn,) = model.guide([Ask(conversation, speech=speech(1.0), options=FEW)])
    while not model.step([turn])[0].done:
        pass
    model.commit(turn)
    assert int((conversation.store.rows.role == Role.QUESTION).sum()) == 26 + 2


def test_facts_say_who_understands_speech(tiny_directory: Path, tiny3_directory: Path) -> None:
    assert OmniModel.load(tiny_directory).facts.spoken_questions
    assert OmniModel.load(tiny3_directory).facts.spoken_questions
    assert not nano_omni.facts().spoken_questions


def _encoded(model: LiveModel, seconds: int) -> list[EncodedWindow]:
    conversation = model.open(budget=2_000)
    random = np.random.default_rng(1)
    found = []
    for start in range(0, seconds, 2):
        frames = random.integers(0, 256, (4, 84, 84, 3), dtype=np.uint8)
        found += model.encode([(conversation, RawWindow(float(start), frames, speech(2.0, start)))])
    return found


def test_written_and_spoken_questions_share_a_batch(tiny_model: LiveModel) -> None:
    asks: list[dict[str, Any]] = [{"text": "What?"}, {"speech": speech(0.8)}, {"speech": speech(2.5, 1)}]

    windows = _encoded(tiny_model, 4)

    def answers(groups: list[list[dict[str, Any]]]) -> list[Tensor]:
        logits = []
        for group in groups:
            conversations = [tiny_model.open(budget=600) for _ in group]
            for conversation in conversations:
                for window in windows:
                    tiny_model.fuse([(conversation, window)])
            turns = tiny_model.guide(
                [Ask(one, options=FEW, **asked) for one, asked in zip(conversations, group, strict=True)]
            )
            logits += [turn.logits for turn in turns]
        return logits

    for together, alone in zip(answers([asks]), answers([[one] for one in asks]), strict=True):
        torch.testing.assert_close(together, alone, atol=1e-10, rtol=0)


def test_asked_of_a_recording_it_is_answered_as_live(tiny_model: LiveModel) -> None:
    windows = _encoded(tiny_model, 6)
    policy = Live(0.5, depth=tiny_model.facts.fusion_depth)
    alone = reply(tiny_model.model, windows, speech(1.4), policy, max_tokens=4)
    conversation = tiny_model.open(budget=2_000)
    for window in windows:
        tiny_model.fuse([(conversation, window)])
    options = TurnOptions(retention=0.5, max_tokens=4)
    (turn,) = tiny_model.guide([Ask(conversation, speech=speech(1.4), options=options)])
    torch.testing.assert_close(turn.logits, alone.logits, atol=1e-9, rtol=0)
    while not tiny_model.step([turn])[0].done:
        pass
    assert turn.ids == alone.ids
    assert [len(one) for one in turn.sequences()] == [len(one) for one in alone.alive]


class _Spy:
    """A policy that drops nothing and keeps what the decoder shows it."""

    name, ahead = "spy", False

    def compress(self, windows: Any) -> list[Selection]:
        return [whole(window) for window in windows]

    def prune(self, asked: Asked) -> Guidance:
        self.asked = asked
        self.rows: list[int] = []
        guidance = Guidance((0,) * asked.layers, asked.chunk, question=asked.question, score="mean")
        observe = guidance.observe

        def watch(layer: int, attention: Tensor) -> None:
            self.rows.append(attention.shape[1])
            self.mean = attention[:, : asked.question].mean(dim=(0, 1))
            observe(layer, attention)

        guidance.observe = watch  # type: ignore[method-assign]
        return guidance


def test_a_policy_scores_by_the_speechs_own_rows(tiny_model: LiveModel) -> None:
    spy = _Spy()
    found = reply(tiny_model.model, _encoded(tiny_model, 4), speech(1.0), spy, max_tokens=1)
    header = len(tiny_model.model.prompt.header)
    assert spy.asked.question == 26
    assert set(spy.rows) == {26 + 1 + header}, "its tokens, what closes it, and the header"
    assert found.prompted.tail == 26 + 1 + header


def test_speech_is_text_to_the_store(load_tiny: Callable[..., LiveModel]) -> None:
    """Never pruned, never evicted for the scene's sake; bounded as text is, and gone with its whole turn."""
    model = load_tiny(max_text_tokens=260, max_question_tokens=64)
    conversation = model.open(budget=140)
    windows = _encoded(model, 6)
    for turn_number in range(6):
        for window in windows:
            model.fuse([(conversation, window)])
        (turn,) = model.guide([Ask(conversation, speech=speech(2.0, turn_number), options=FEW)])
        while not model.step([turn])[0].done:
            pass
        model.commit(turn)
        rows = conversation.store.rows
        heard = (rows.role == Role.QUESTION) & (rows.modality == Modality.AUDIO)
        assert not (heard & rows.media).any()
        turns, sizes = np.unique(rows.turn[heard], return_counts=True)
        assert set(sizes) == {51}, "whole, or not there"
        assert turns[-1] == turn_number, "the newest stays"
        assert conversation.store.media <= 140
        assert conversation.store.text <= 260
    assert len(turns) < 6, "older ones left"
    assert (rows.chunk[heard] == NONE).all()


def test_speech_that_asks_is_no_past_of_the_first_sound() -> None:
    """Novelty compares sound of the scene with sound of the scene."""
    kinds = [Role.QUESTION, Role.QUESTION, Role.OPEN, Role.MEDIA, Role.MEDIA, Role.MEDIA]
    rows = TokenRows.make(
        np.arange(6),
        sequence=0,
        role=kinds,
        turn=0,
        modality=[Modality.AUDIO, Modality.AUDIO, Modality.TEXT, Modality.AUDIO, Modality.AUDIO, Modality.AUDIO],
        chunk=[NONE, NONE, NONE, 0, 0, 1],
    )
    pairs = [(here.tolist(), past.tolist()) for here, past in neighbours(rows, 2)]
    assert pairs == [([3, 4], []), ([5], [3, 4])]
