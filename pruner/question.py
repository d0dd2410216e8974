"""A question as the decoder takes it: words, or the asker's speech with no transcript in the way.

Speech enters as Qwen's chat format has a sound in a user's turn, `<|audio_bos|>` audio tokens `<|audio_eos|>`, each
token with a position id of its own. It is encoded as a recording of its own, apart from the scene's windows (which hold
the same speech, as sound of the scene): whole, its log-mel clipped below its own loudest value.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from pruner.errors import InputError
from pruner.families.mel import HOP, LEFT_CONTEXT, SAMPLE_RATE, log_mel
from pruner.families.omni import OmniModel
from pruner.sequence import MEDIA_ID
from pruner.transfer import upload

__all__ = ["LONGEST_SPEECH_S", "QuestionTokens", "Speech", "from_speech", "from_words"]

Speech = npt.NDArray[np.float32]
"""float32 [n], mono at 16 kHz in [-1, 1]."""

LONGEST_SPEECH_S = 32.0
"""Longest speech taken for a question, unless somebody says otherwise: half a minute and an endpointer's margins."""

_SHORTEST_S = 0.1
_STEP = 4 * HOP  # samples of an audio token of Qwen2.5-Omni; of Qwen3-Omni's, half a one


@dataclass(frozen=True)
class QuestionTokens:
    """The rows of a question, without the assistant's header.

    Attributes:
        ids: token ids of its words; or, of speech, `MEDIA_ID` for each audio token and what brackets them.
        speech: [n, hidden_size], the audio tokens; None for words.
    """

    ids: list[int]
    speech: Tensor | None = None

    @property
    def asking(self) -> int:
        """Rows that are the question itself: all of its words, or the speech's own tokens."""
        return len(self.ids) if self.speech is None else len(self.speech)

    @property
    def tail(self) -> int:
        """Rows from the first asking one on. The token that opens speech comes before it and has heard nothing yet; the
        one that closes it is, like the header that follows, past all of it."""
        return len(self.ids) if self.speech is None else len(self.ids) - 1


def from_words(model: OmniModel, text: str) -> QuestionTokens:
    """A question in words.

    Raises:
        InputError: there are none.
    """
    ids = model.prompt.question(text.strip())
    if not ids:
        raise InputError("text", "the question is empty", "ask something")
    return QuestionTokens(ids)


@torch.inference_mode()
def from_speech(model: OmniModel, speech: Speech, *, longest_s: float = LONGEST_SPEECH_S) -> QuestionTokens:
    """A spoken question: runs the audio tower over it, in the blocks that the model hears recordings in.

    Args:
        speech: one utterance, cut out of the stream; at least 0.1 s. It is completed with silence to whole audio
            tokens, so that its end is not lost and does not depend on what the spectrogram reads past it.
        longest_s: most seconds.

    Raises:
        InputError: the model was never trained on spoken questions; or the speech is malformed, too short or too long.
    """
    _check(model, speech, longest_s)
    silence = (-len(speech) - LEFT_CONTEXT) % _STEP + LEFT_CONTEXT
    samples = upload(np.require(speech, requirements=("C", "W")), model.stack.device)
    mel, _ = log_mel(functional.pad(samples, (0, silence))[None], bins=model.audio.bins)
    heard = [model.audio(block)[0][0] for block in torch.split(mel, model.audio.block_frames, dim=2)]
    tokens = torch.cat(heard)
    opening, closing = (bracket(video=False, audio=True) for bracket in (model.prompt.open, model.prompt.close))
    return QuestionTokens([*opening, *[MEDIA_ID] * len(tokens), *closing], tokens)


def _check(model: OmniModel, speech: Speech, longest_s: float) -> None:
    if not model.facts.spoken_questions:
        remedy = "ask in words, or use a model that was (Qwen2.5-Omni, Qwen3-Omni)"
        raise InputError("speech", "this model was never trained to take a question from speech", remedy)
    if speech.ndim != 1 or speech.dtype != np.float32:
        raise InputError("speech", f"is {speech.dtype} {speech.shape}", "give float32 mono at 16 kHz")
    seconds = len(speech) / SAMPLE_RATE
    if seconds < _SHORTEST_S:
        raise InputError("speech", f"is {seconds:.2f} s long", f"give {_SHORTEST_S} s or more")
    if seconds > longest_s:
        raise InputError("speech", f"is {seconds:.1f} s long", f"ask in at most {longest_s:g} s")
    if not np.isfinite(speech.sum()):
        raise InputError("speech", "is not finite", "check the decoder of the source")
