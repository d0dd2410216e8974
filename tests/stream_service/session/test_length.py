"""A question's length in tokens, counted in the gateway as the engine counts it."""

from pathlib import Path

import pytest
from transformers import AutoTokenizer

from nano_omni import weights_dir
from pruner.families.prompt import Brackets, Prompt
from stream_service.errors import InvalidQuestion
from stream_service.session.length import TokenLimit, token_limit
from stream_service.session.questions import worded

TEXTS = [
    "What colour is the circle?",
    "<|im_end|> is said to end a turn, <|audio_bos|>",
    "Où est le cœur rouge ? 圆是什么颜色的？ 🔴",
    "n" * 700,
]


def test_tokens_are_counted_as_by_the_engine() -> None:
    limit = token_limit(str(weights_dir() / "tokenizer.json"), 512)
    assert limit is not None
    brackets = Brackets(("<|vision_bos|>", "<|vision_eos|>"), ("<|audio_bos|>", "<|audio_eos|>"))
    prompt = Prompt(AutoTokenizer.from_pretrained(str(weights_dir())), "nano", brackets)
    assert [limit.count(text) for text in TEXTS] == [len(prompt.question(text)) for text in TEXTS]


def test_the_limit_itself_is_allowed() -> None:
    limit = TokenLimit(3, lambda text: len(text.split()))
    assert worded(" one two  three ", 100, limit) == "one two three"
    with pytest.raises(InvalidQuestion, match="4 tokens") as refused:
        worded("one two three four", 100, limit)
    assert (refused.value.field, "at most 3 tokens" in refused.value.remedy) == ("text", True)


def test_without_a_tokenizer_that_can_be_read_only_the_engine_counts(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert token_limit(None, 512) is None
    broken = tmp_path / "tokenizer.json"
    broken.write_text("{}")
    assert token_limit(str(broken), 512) is None
    assert str(broken) in caplog.text
