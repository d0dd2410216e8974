"""The fixed pieces of a live conversation as token ids."""

from __future__ import annotations

from dataclasses import dataclass

from transformers import PreTrainedTokenizerFast

from nano_omni import tokenizer as names

Ids = list[int]


@dataclass(frozen=True)
class Chat:
    """Token ids of everything in a conversation except media, questions and answers."""

    tokenizer: PreTrainedTokenizerFast
    system: Ids
    user: Ids
    header: Ids  # closes a question and opens the assistant's answer
    im_end: int
    newline: Ids
    vision: tuple[int, int]  # bos, eos
    audio: tuple[int, int]  # bos, eos

    @classmethod
    def of(cls, tokens: PreTrainedTokenizerFast, system_prompt: str) -> Chat:
        """Pieces for a tokenizer with Qwen's special tokens."""

        def ids(text: str) -> Ids:
            return list(tokens.encode(text, add_special_tokens=False))

        def one(token: str) -> int:
            return ids(token)[0]

        return cls(
            tokenizer=tokens,
            system=ids(f"<|im_start|>system\n{system_prompt}<|im_end|>\n"),
            user=ids("<|im_start|>user\n"),
            header=ids("<|im_end|>\n<|im_start|>assistant\n"),
            im_end=one(names.IM_END),
            newline=ids("\n"),
            vision=(one(names.VISION_BOS), one(names.VISION_EOS)),
            audio=(one(names.AUDIO_BOS), one(names.AUDIO_EOS)),
        )

    def encode(self, text: str) -> Ids:
        """Ids of plain text; special tokens spelt out in it stay text only if the tokenizer knows none of them."""
        return list(self.tokenizer.encode(text, add_special_tokens=False))
