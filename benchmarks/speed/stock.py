"""transformers' own modules on the same model and minute: what everything is compared with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pruner import RawWindow
from pruner.families.frames import fit, patchify
from pruner.families.mel import log_mel
from pruner.families.omni import OmniModel
from pruner.families.qwen2_5_omni import part
from pruner.oneshot import Prompted

__all__ = ["Stock"]

_QUIET = -10.0
"""log10 of the smallest mel power: nothing was heard before."""


class Stock:
    """A thinker used as its authors do, over one recording.

    Args:
        omni: whose thinker it is.
        raw: the recording.

    Attributes:
        thinker: transformers' model.
        patches: [n, 1176], the recording's pictures as the vision tower reads them.
        mel: [bins, frames], its sound as the audio tower reads it.
    """

    def __init__(self, omni: OmniModel, raw: Sequence[RawWindow]) -> None:
        stack, facts = omni.stack, omni.facts
        self.thinker: Any = omni.thinker
        self._text: Any = getattr(self.thinker.model, "language_model", self.thinker.model)
        frames = torch.from_numpy(np.concatenate([one.frames for one in raw if one.frames is not None]))
        fitted = fit(frames.to(stack.device), facts.height, facts.width)
        self.patches = patchify(fitted[None], dtype=stack.dtype)
        self._grid = torch.tensor([[len(frames) // 2, 2 * facts.rows, 2 * facts.columns]], device=stack.device)
        samples = torch.from_numpy(np.concatenate([one.samples for one in raw if one.samples is not None]))
        quiet = torch.tensor([_QUIET], device=stack.device)
        mel, _ = log_mel(samples[None].to(stack.device), None, quiet, bins=omni.audio.bins)
        self.mel = mel[0].to(stack.dtype)

    @property
    def attention(self) -> str:
        """How its decoder attends."""
        return str(self._text.config._attn_implementation)

    @torch.inference_mode()
    def see(self) -> Tensor:
        """Video tokens of the whole recording [n, hidden_size]."""
        tokens: Tensor = part(self.thinker, "visual")(self.patches, grid_thw=self._grid).pooler_output
        return tokens

    @torch.inference_mode()
    def hear(self) -> Tensor:
        """Audio tokens of the whole recording [n, hidden_size]."""
        lengths = torch.tensor([self.mel.shape[1]], device=self.mel.device)
        tower = part(self.thinker, "audio_tower")
        tokens: Tensor = tower(self.mel, feature_lens=lengths, aftercnn_lens=(lengths - 1) // 2 + 1).last_hidden_state
        return tokens

    @torch.inference_mode()
    def prefill(self, prompted: Prompted) -> Tensor:
        """All rows through all layers; logits [vocabulary] of the first answer token."""
        out = self._text(
            inputs_embeds=prompted.embeddings[None], position_ids=prompted.positions[:, None], use_cache=True
        )
        logits: Tensor = self.thinker.lm_head(out.last_hidden_state[0, -1])
        return logits
