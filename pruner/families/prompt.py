"""The fixed text of a conversation as token ids: system prompt, turn and segment wrappers, headers.

Ids come from the model's own tokenizer, by the names of Qwen's special tokens. What a user typed or said is tokenized
with special tokens split up, so that a question cannot close its own turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pruner.errors import WeightsError

__all__ = ["Brackets", "Prompt"]


@dataclass(frozen=True)
class Brackets:
    """Names of the special tokens around a segment's media, as the family's tokenizer has them."""

    video: tuple[str, str]
    audio: tuple[str, str]


class Prompt:
    """Token ids of everything around the media.

    Args:
        tokenizer: a Hugging Face tokenizer with Qwen's special tokens.
        path: the directory that it came from.
        brackets: of the family.
        stop: further ids that end an answer, from the model's generation configuration.

    Attributes:
        path: as given.
        user: `<|im_start|>user\\n`.
        header: `<|im_end|>\\n<|im_start|>assistant\\n`, which ends every question.
        end: `<|im_end|>\\n`, which ends every answer.
        stop: ids that end an answer when sampled.
    """

    def __init__(self, tokenizer: Any, path: str, brackets: Brackets, stop: Sequence[int] = ()) -> None:
        self._tokenizer = tokenizer
        self.path = path
        self.user = self._fixed("<|im_start|>user\n")
        self.header = self._fixed("<|im_end|>\n<|im_start|>assistant\n")
        self.end = self._fixed("<|im_end|>\n")
        self.stop = frozenset((self._special("<|im_end|>"), *stop))
        self._bos, self._eos = (
            {"video": self._special(brackets.video[end]), "audio": self._special(brackets.audio[end])} for end in (0, 1)
        )

    def system(self, text: str) -> list[int]:
        """`<|im_start|>system\\n…<|im_end|>\\n`."""
        return [*self._fixed("<|im_start|>system\n"), *self.question(text), *self.end]

    def question(self, text: str) -> list[int]:
        """Ids of plain text; special tokens written in it stay plain text."""
        return self._ids(text, split=True)

    def open(self, *, video: bool, audio: bool) -> list[int]:
        """What begins a segment: `<|vision_bos|>`, `<|audio_bos|>` or both (or what the family calls them)."""
        return [self._bos[kind] for kind, there in (("video", video), ("audio", audio)) if there]

    def close(self, *, video: bool, audio: bool) -> list[int]:
        """What ends a segment: `<|audio_eos|>`, `<|vision_eos|>` or both."""
        return [self._eos[kind] for kind, there in (("audio", audio), ("video", video)) if there]

    def decode(self, ids: Sequence[int]) -> str:
        """Text of answer ids, special tokens left out."""
        text: str = self._tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return text

    def _fixed(self, text: str) -> list[int]:
        return self._ids(text, split=False)

    def _ids(self, text: str, *, split: bool) -> list[int]:
        ids = self._tokenizer(text, add_special_tokens=False, split_special_tokens=split).input_ids
        return [int(number) for number in ids]

    def _special(self, name: str) -> int:
        found = self._tokenizer.convert_tokens_to_ids(name)
        if found is None or found == self._tokenizer.unk_token_id:
            raise WeightsError(self.path, f"has a tokenizer without {name}", "use the tokenizer the model came with")
        return int(found)
