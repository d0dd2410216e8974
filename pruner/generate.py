"""Pruned generation for people who have a transformers model and a processor's inputs.

    inputs = processor(text=…, videos=…, audio=…, return_tensors="pt", …)
    ids = pruner.generate(thinker, inputs, retention=0.3)

Like `thinker.generate(**inputs, do_sample=False)`, and identical to it at `retention=1.0`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from pruner.errors import InputError
from pruner.families.facts import family_of
from pruner.families.omni import FAMILIES
from pruner.oneshot import Decoding, Prompted, selected
from pruner.policies import Everything, Policy, make
from pruner.policies.base import Selection, raw_tokens
from pruner.processed import Clip, read_clip
from pruner.tokens import NONE, Modality
from pruner.tracks import Rows
from pruner.transfer import Fetched, upload

__all__ = ["Streamer", "generate"]

DEFAULT_TOKENS = 1024
"""Bound of an answer where neither the caller nor the model's generation configuration sets one: that of transformers'
whole models."""


class Streamer(Protocol):
    """What transformers' streamers are: `TextStreamer`, `TextIteratorStreamer`, …"""

    def put(self, value: Tensor) -> None:
        """Takes the prompt's ids [1, n] first, then every new id [1]."""
        ...

    def end(self) -> None:
        """The answer is over."""
        ...


@torch.inference_mode()
def generate(
    model: Any,
    inputs: Mapping[str, Any],
    *,
    retention: float = 0.3,
    policy: Policy | str = "omnidrop",
    question_audio: int | None = None,
    max_new_tokens: int | None = None,
    streamer: Streamer | None = None,
) -> Tensor:
    """Answers one prompt with fewer audiovisual tokens, greedily, up to the id that ends a turn.

    Args:
        model: a thinker of Qwen2.5-Omni or Qwen3-Omni (`Qwen2_5OmniThinkerForConditionalGeneration`,
            `Qwen3OmniMoeThinkerForConditionalGeneration`), or the whole model with its talker. It is not changed.
        inputs: what its processor returned, for one prompt. Images stay whole.
        retention: layer mean of the share of audiovisual tokens kept, relative to all; 1.0 keeps everything.
        policy: one of `pruner.policies.NAMES`, or a method that is already set to its retention.
        question_audio: which sound of the prompt is the question, in the order of `input_features`: 0 the first, -1 the
            last. It comes after the scene, stays whole and guides what is kept, as the words do that may stand beside
            it. None where the question is in words: every sound is then part of the scene and is pruned.
        max_new_tokens: bound of the answer; None for the model's generation configuration.
        streamer: as of transformers; sees tokens as they come.

    Returns:
        int64 [1, n + m], the prompt's ids and those of the answer, the one that ends it included.

    Raises:
        InputError: several prompts, inputs that do not fit together, no such `question_audio` after the scene, a
            retention above 1, or no token to generate.
        ScheduleError: a retention that cannot be reached; says what can.
        UnsupportedModelError: another family.
    """
    if retention > 1:
        raise InputError("retention", f"is {retention}, of 1", "keep at most everything")
    if max_new_tokens is not None and max_new_tokens < 1:
        raise InputError("max_new_tokens", f"is {max_new_tokens}", "ask for a token at least")
    thinker = getattr(model, "thinker", model)
    family = family_of(str(getattr(thinker.config, "model_type", None)), FAMILIES)
    limit = max_new_tokens or getattr(thinker.generation_config, "max_new_tokens", None) or DEFAULT_TOKENS
    clip = read_clip(family, thinker, inputs, question_audio=question_audio)
    stack = family.stack(thinker, False)
    method = _policy(policy, retention, stack.layers)
    prompted = _select(clip, method)
    pruner = method.prune(prompted.asked(stack.layers))
    new: list[Tensor] = []
    if streamer is not None:
        streamer.put(clip.ids[None].cpu())
    for token in _until(Decoding(stack, prompted, pruner, limit=limit), clip.stop):
        new.append(torch.tensor([token]))
        if streamer is not None:
            streamer.put(new[-1])
    if streamer is not None:
        streamer.end()
    return torch.cat((clip.ids, torch.cat(new).to(clip.ids.device)))[None]


def _policy(policy: Policy | str, retention: float, layers: int) -> Policy:
    if not isinstance(policy, str):
        return policy
    return make(policy, retention, layers) if retention < 1 else Everything()


def _until(tokens: Iterator[int], stop: frozenset[int]) -> Iterator[int]:
    for token in tokens:
        yield token
        if token in stop:
            return


def _select(clip: Clip, policy: Policy) -> Prompted:
    """The sequence of text and of the audiovisual rows that enter layer 0, in order."""
    windows = [one.window for one in clip.windows]
    embeddings, added = clip.embeddings.clone(), clip.added
    window = np.full(len(clip.ids), NONE)
    modality = np.full(len(clip.ids), Modality.TEXT)
    selections = policy.compress(windows)
    for number, (one, chosen, (seen, heard)) in enumerate(
        zip(clip.windows, selections, _places(selections), strict=True)
    ):
        video, audio = one.video[seen], one.audio[heard]
        here = np.concatenate((video, audio))
        embeddings[upload(here, embeddings.device)] = selected(one.window, chosen).to(embeddings.dtype)
        if added is not None and one.window.deep is not None:
            added[upload(video, added.device)] = one.window.deep.flatten(0, 1)[chosen.video.to(added.device)]
        window[here], modality[video], modality[audio] = number, Modality.VIDEO, Modality.AUDIO
    kept = np.flatnonzero(~clip.media | (window != NONE))
    media = np.flatnonzero(window[kept] != NONE)
    index = upload(kept, embeddings.device)
    return Prompted(
        embeddings=embeddings[index],
        positions=clip.positions[:, index],
        media=torch.from_numpy(media),
        chunk=torch.from_numpy(window[kept][media]),
        modality=torch.from_numpy(modality[kept][media]),
        raw=raw_tokens(windows),
        tail=clip.tail,
        question=clip.question,
        added=added[index] if added is not None else None,
    )


def _places(selections: Sequence[Selection]) -> Iterator[tuple[Rows, Rows]]:
    """What was selected of each window's video and sound, on the host; one wait for the device for all of them."""
    parts = [part for one in selections for part in (one.video, one.audio)]
    if not parts:
        return
    device = parts[0].device
    fetched = Fetched(torch.cat([part.to(device) for part in parts])).numpy()
    places = np.split(fetched, np.cumsum([len(part) for part in parts])[:-1])
    yield from zip(places[::2], places[1::2], strict=True)
