"""Qwen3-Omni's audio encoder over many windows at once, with the attention that pruning needs.

Convolutions work on seconds (100 mel frames, 13 tokens) that know nothing of each other. Attention spans what is given
in one call: in a recording transformers gives it 8 s at a time; a live window is encoded by itself, 2 s or less, which
is among the spans the encoder was trained on (1 to 8 s), but is not equal to encoding 8 s at once.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from pruner.families.audio import layer_output

__all__ = ["AudioTower3"]


class AudioTower3:
    """The encoder for spans of at most `block_frames`.

    Args:
        module: transformers' `Qwen3OmniMoeAudioEncoder`.
    """

    def __init__(self, module: Any) -> None:
        self._module = module
        self.dtype: torch.dtype = module.conv2d1.weight.dtype
        self.device: torch.device = module.conv2d1.weight.device
        self.bins: int = module.num_mel_bins
        self.block_frames: int = module.n_window_infer
        self._second: int = 2 * module.n_window

    def __call__(self, mel: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens and their saliency.

        Args:
            mel: [B, bins, frames], at most `block_frames`; a last second that is not whole is filled with zeros for
                the convolutions, as transformers does, and gives fewer tokens.

        Returns:
            [B, n, hidden] tokens as the decoder takes them, 13 a second, and float32 [B, n]: the attention each token
            receives in the last layer, mean over heads and rows.
        """
        module = self._module
        hidden = self._convolved(mel.to(self.dtype))
        for layer in module.layers[:-1]:
            hidden, _ = layer_output(layer, hidden, watch=False)
        hidden, received = layer_output(module.layers[-1], hidden, watch=True)
        return module.proj2(module.act(module.proj1(module.ln_post(hidden)))), received

    def _convolved(self, mel: Tensor) -> Tensor:
        """[B, bins, frames] to [B, n, width], second by second."""
        module, frames = self._module, mel.shape[2]
        if frames > self._second:
            mel = functional.pad(mel, (0, -frames % self._second))
        seconds = mel.reshape(len(mel), self.bins, -1, min(frames, self._second)).transpose(1, 2)
        x = seconds.flatten(0, 1)[:, None]
        for convolution in (module.conv2d1, module.conv2d2, module.conv2d3):
            x = functional.gelu(convolution(x))
        tokens: Tensor = module.conv_out(x.permute(0, 3, 1, 2).flatten(2))
        tokens = tokens + module.positional_embedding.positional_embedding[: tokens.shape[1]].to(tokens.dtype)
        whole, rest = divmod(frames, self._second)
        count = whole * tokens.shape[1] + _after_convolutions(rest)
        return tokens.view(len(mel), -1, tokens.shape[-1])[:, :count]


def _after_convolutions(frames: int) -> int:
    """Tokens left of `frames` by three convolutions of stride 2."""
    for _ in range(3):
        frames = (frames + 1) // 2
    return frames
