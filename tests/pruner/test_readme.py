"""The lines for people who have a transformers model, or a spoken question, run as they stand."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import transformers

import pruner
from pruner import Ask, LiveModel

from .test_generate import _inputs, thinker  # noqa: F401 - the fixture

README = Path(pruner.__file__).with_name("README.md")


class _Inputs(dict[str, Any]):
    """What a processor returns: a mapping that moves."""

    def to(self, device: str) -> _Inputs:
        assert device == "cuda"
        return self


class _Processor:
    """Stands in for the official processor, whose tokenizer and templates cannot be had here."""

    def __init__(self, tokenizer: Any, inputs: dict[str, Any]) -> None:
        self.tokenizer, self._inputs = tokenizer, inputs

    def apply_chat_template(self, chat: object, **options: object) -> _Inputs:
        assert options == {"tokenize": True, "return_dict": True, "return_tensors": "pt", "use_audio_in_video": True}
        return _Inputs(self._inputs)


def _snippets() -> list[str]:
    return re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


def test_a_question_can_be_speech(tiny_model: LiveModel) -> None:
    _, snippet = _snippets()
    samples = np.random.default_rng(0).uniform(-0.1, 0.1, 16_000).astype(np.float32)
    conversation = tiny_model.open(budget=400)
    names: dict[str, Any] = {"Ask": Ask, "model": tiny_model, "conversation": conversation, "samples": samples}
    exec(compile(snippet, str(README), "exec"), names)
    assert names["turn"].conversation is conversation


def test_the_snippet_runs_and_streams_text(
    thinker: Any,  # noqa: F811
    tiny_directory: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    snippet, _ = _snippets()
    assert len([line for line in snippet.splitlines() if line]) == 6
    inputs = _inputs(thinker)
    tokenizer = transformers.AutoTokenizer.from_pretrained(tiny_directory)
    processor = _Processor(tokenizer, inputs)
    monkeypatch.setattr(transformers, "AutoProcessor", SimpleNamespace(from_pretrained=lambda name: processor))
    kind = SimpleNamespace(from_pretrained=lambda name, dtype, device_map: thinker)
    monkeypatch.setattr(transformers, "Qwen2_5OmniThinkerForConditionalGeneration", kind)
    monkeypatch.setattr(thinker.generation_config, "max_new_tokens", 5)
    generate = pruner.generate
    # the clip is too short for 30 %: fewer layers and tokens than the paper's
    monkeypatch.setattr(pruner, "generate", lambda *args, **kwargs: generate(*args, **{**kwargs, "retention": 0.55}))
    names: dict[str, Any] = {"name": "Qwen/Qwen2.5-Omni-7B", "chat": [], "media": {"use_audio_in_video": True}}
    exec(compile(snippet, str(README), "exec"), names)
    prompt = inputs["input_ids"].shape[1]
    assert torch.equal(names["ids"][:, :prompt], inputs["input_ids"])
    answer = names["ids"][0, prompt:]
    assert 1 <= len(answer) <= 5
    assert capsys.readouterr().out.rstrip("\n") == tokenizer.decode(answer).rstrip("\n")
