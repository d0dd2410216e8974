"""The tokenizer: byte-level BPE of 768 entries that carries Qwen2.5-Omni's special tokens and pre-tokenisation."""

from __future__ import annotations

from collections.abc import Iterable

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

VOCABULARY_SIZE = 768

PAD = "<|endoftext|>"
IM_START = "<|im_start|>"
IM_END = "<|im_end|>"
AUDIO = "<|AUDIO|>"
IMAGE = "<|IMAGE|>"
VIDEO = "<|VIDEO|>"
VISION_BOS = "<|vision_bos|>"
VISION_EOS = "<|vision_eos|>"
AUDIO_BOS = "<|audio_bos|>"
AUDIO_EOS = "<|audio_eos|>"
SPECIAL_TOKENS = (PAD, IM_START, IM_END, AUDIO, IMAGE, VIDEO, VISION_BOS, VISION_EOS, AUDIO_BOS, AUDIO_EOS)

# Qwen2's pre-tokenisation: contractions, words with at most one leading mark, single digits, runs of marks, white
# space.
_PIECES = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def train_tokenizer(corpus: Iterable[str], vocabulary_size: int = VOCABULARY_SIZE) -> PreTrainedTokenizerFast:
    """Learn the merges from `corpus` (same corpus, same tokenizer) and wrap them for transformers.

    Ids: the ten special tokens, then the 256 bytes, then the merges; fewer than `vocabulary_size` if the corpus is
    too small.
    """
    core = Tokenizer(models.BPE(byte_fallback=False))
    core.normalizer = normalizers.NFC()
    core.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_PIECES), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary_size,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    core.train_from_iterator(corpus, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        pad_token=PAD,
        eos_token=IM_END,
        clean_up_tokenization_spaces=False,
        model_max_length=32_768,
        extra_special_tokens={
            "im_start_token": IM_START,
            "audio_token": AUDIO,
            "image_token": IMAGE,
            "video_token": VIDEO,
            "vision_bos_token": VISION_BOS,
            "vision_eos_token": VISION_EOS,
            "audio_bos_token": AUDIO_BOS,
            "audio_eos_token": AUDIO_EOS,
        },
    )
