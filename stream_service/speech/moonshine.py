"""moonshine tiny-en (Jeffries et al., arXiv 2410.15608) run by onnxruntime: an encoder of raw samples, a text decoder.

The weights are those that the moonshine-voice wheel carries. Its own library decodes greedily and tells no
probabilities; here the decoder's scores are open, which gives a beam search with hints and a confidence, in less time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from stream_service.errors import StartupError
from stream_service.speech.vocabulary import BEGIN, Vocabulary
from stream_service.types import Samples

_WEIGHTS = "moonshine_voice/assets/tiny-en"
_LAYERS, _HEADS, _WIDTH = 6, 8, 36
_SELF = tuple(f"{layer}.decoder.{part}" for layer in range(_LAYERS) for part in ("key", "value"))
_CROSS = tuple(f"{layer}.encoder.{part}" for layer in range(_LAYERS) for part in ("key", "value"))

Tensor = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Memory:
    """What the decoder attends to. ``spoken`` is per hypothesis and grows by one token a step; ``heard`` is fixed."""

    encoded: Tensor
    heard: dict[str, Tensor]
    spoken: dict[str, Tensor]


class Moonshine:
    """The two networks and their vocabulary. Thread-safe: it holds no state between calls.

    Raises :class:`StartupError` when moonshine-voice is missing or is a release without the weights.
    """

    def __init__(self) -> None:
        try:
            folder = Path(str(metadata.distribution("moonshine-voice").locate_file(_WEIGHTS)))
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = options.inter_op_num_threads = 1
            self.vocabulary = Vocabulary.load(folder / "tokenizer.bin")
            self._encoder, self._decoder = (
                onnxruntime.InferenceSession(str(folder / name), options, providers=["CPUExecutionProvider"])
                for name in ("encoder_model.ort", "decoder_model_merged.ort")
            )
        except Exception as error:  # onnxruntime's own classes share no base, and a missing file is one of them
            raise StartupError(
                f"cannot load the speech recogniser: {error}",
                remedy="Install moonshine-voice==0.1.0, the release that carries its weights, or set speech.mode: off.",
            ) from error

    def listen(self, samples: Samples) -> tuple[Tensor, Memory]:
        """Encode float32 ``[n]`` samples (n ≥ 1,600) and score the first token: logits float32 ``[1, vocabulary]``."""
        audio = {"input_values": samples[None], "attention_mask": np.ones((1, len(samples)), dtype=np.int64)}
        encoded = self._encoder.run(None, audio)[0]
        nothing = np.zeros((1, _HEADS, 0, _WIDTH), dtype=np.float32)
        empty = dict.fromkeys((*_SELF, *_CROSS), nothing)
        logits, *caches = self._run(encoded, np.array([[BEGIN]]), empty, (*_SELF, *_CROSS))
        present = dict(zip((*_SELF, *_CROSS), caches, strict=True))
        heard = {name: present[name] for name in _CROSS}
        return logits[:, -1], Memory(encoded, heard, {name: present[name] for name in _SELF})

    def extend(self, memory: Memory, rows: Sequence[int], tokens: Sequence[int]) -> tuple[Tensor, Memory]:
        """Continue hypothesis ``rows[i]`` of the step before by ``tokens[i]``: logits ``[len(rows), vocabulary]``."""
        many = len(rows)
        heard = memory.heard
        if len(heard[_CROSS[0]]) != many:
            heard = {name: np.repeat(value[:1], many, axis=0) for name, value in heard.items()}
        past = {name: value[list(rows)] for name, value in memory.spoken.items()}
        encoded = np.repeat(memory.encoded[:1], many, axis=0)
        logits, *caches = self._run(encoded, np.array(tokens)[:, None], past | heard, _SELF)
        return logits[:, -1], Memory(encoded, heard, dict(zip(_SELF, caches, strict=True)))

    def _run(
        self, encoded: Tensor, tokens: NDArray[np.int64], past: dict[str, Tensor], wanted: Sequence[str]
    ) -> list[Tensor]:
        feed = {
            "input_ids": tokens,
            "encoder_hidden_states": encoded,
            "encoder_attention_mask": np.ones(encoded.shape[:2], dtype=np.int64),
            "use_cache_branch": np.array([past[_SELF[0]].shape[2] > 0]),
            **{f"past_key_values.{name}": value for name, value in past.items()},
        }
        outputs: list[Tensor] = self._decoder.run(["logits", *(f"present.{name}" for name in wanted)], feed)
        return outputs
