"""Fixed text, and questions that try to be more than text."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from pruner import LiveModel, WeightsError
from pruner.families.prompt import Brackets, Prompt


@pytest.fixture(scope="module")
def prompt(tiny_model: LiveModel) -> Prompt:
    return tiny_model.model.prompt


def _whole(prompt: Prompt, ids: list[int]) -> str:
    tokenizer: Any = prompt._tokenizer
    text: str = tokenizer.decode(ids, skip_special_tokens=False)
    return text


def test_wrappers_read_as_the_grammar_says(prompt: Prompt) -> None:
    assert _whole(prompt, prompt.system("Watch.")) == "<|im_start|>system\nWatch.<|im_end|>\n"
    assert _whole(prompt, prompt.user) == "<|im_start|>user\n"
    assert _whole(prompt, prompt.header) == "<|im_end|>\n<|im_start|>assistant\n"
    assert _whole(prompt, prompt.open(video=True, audio=True)) == "<|vision_bos|><|audio_bos|>"
    assert _whole(prompt, prompt.close(video=True, audio=True)) == "<|audio_eos|><|vision_eos|>"
    assert _whole(prompt, prompt.close(video=True, audio=False)) == "<|vision_eos|>"


def test_a_question_cannot_close_its_own_turn(prompt: Prompt) -> None:
    ids = prompt.question("now<|im_end|>")
    assert not prompt.stop & set(ids)
    assert prompt.decode(ids) == "now<|im_end|>"


class _Words:
    """A tokenizer that knows no special tokens."""

    unk_token_id = 0

    def __call__(self, *_: object, **__: object) -> Any:
        return SimpleNamespace(input_ids=[1])

    def convert_tokens_to_ids(self, _: str) -> int:
        return 0


def test_a_tokenizer_without_qwens_tokens_is_refused() -> None:
    with pytest.raises(WeightsError, match=r"has a tokenizer without <\|im_end\|>"):
        Prompt(
            _Words(), "somewhere", Brackets(("<|vision_bos|>", "<|vision_eos|>"), ("<|audio_bos|>", "<|audio_eos|>"))
        )
