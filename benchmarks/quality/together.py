"""Answers to several questions about one recording whose past does not depend on the question.

A method that only chooses tokens at the input gives every question the same past. Its pass runs once; each question
then continues a copy of the keys and values token by token, all of them in one batch. Attention is causal, so the
answers are those of `pruner.oneshot.reply`, which tests hold them against.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor

from pruner.decoder import LayeredDecoder
from pruner.deep import DeepCache
from pruner.families.omni import OmniModel
from pruner.guidance import LayerPruner
from pruner.oneshot import Prompted

COPIES_BYTES = 1 << 28
"""Memory for the copies that run side by side."""


@torch.inference_mode()
def answer_together(
    model: OmniModel, prompts: Sequence[Prompted], pruner: LayerPruner, *, limit: int
) -> list[list[int]]:
    """Greedy answers, without the tokens that stop them.

    Args:
        model: the model.
        prompts: equal but for their tails.
        pruner: of any of them; drops nothing.
        limit: most tokens of an answer.

    Raises:
        ValueError: the pruner drops tokens, or the prompts begin differently.
    """
    past = len(prompts[0].embeddings) - prompts[0].tail
    if any(pruner.drops) or any(len(one.embeddings) - one.tail != past for one in prompts):
        raise ValueError("these questions do not share their past")
    room = max(one.tail for one in prompts) + limit
    cache = _past(model, prompts[0], past, pruner, room)
    side_by_side = max(1, COPIES_BYTES // cache.nbytes)
    return [
        ids
        for start in range(0, len(prompts), side_by_side)
        for ids in _continue(model, prompts[start : start + side_by_side], past, cache, limit)
    ]


def _past(model: OmniModel, prompted: Prompted, past: int, pruner: LayerPruner, room: int) -> DeepCache:
    """Keys and values of the first `past` rows in all layers, with room for more."""
    device = model.stack.device
    text = torch.ones(past, dtype=torch.bool)
    text[prompted.media] = False
    return (
        LayeredDecoder(model.stack, 0)
        .prefill(
            prompted.embeddings[:past],
            prompted.positions[:, :past],
            prompted.media.to(device),
            text.nonzero().flatten().to(device),
            tail=1,
            answer=room,
            pruner=pruner,
        )
        .cache
    )


def _continue(
    model: OmniModel, prompts: Sequence[Prompted], past: int, cache: DeepCache, limit: int
) -> list[list[int]]:
    caches = [copy.deepcopy(cache) for _ in prompts]
    ids: list[list[int]] = [[] for _ in prompts]
    running = list(range(len(prompts)))
    decoder = LayeredDecoder(model.stack, 0)
    step = 0
    while running:
        rows = [_row(model, prompts[at], past + step, ids[at]) for at in running]
        logits = decoder.decode(
            [(None, caches[at]) for at in running],
            torch.cat([hidden for hidden, _ in rows]),
            torch.cat([position for _, position in rows], dim=1),
        )
        step += 1
        likeliest = logits.argmax(dim=-1).tolist()
        for at, token in zip(list(running), likeliest, strict=True):
            if step < prompts[at].tail:
                continue
            if token in model.prompt.stop:
                running.remove(at)
                continue
            ids[at].append(token)
            if len(ids[at]) == limit:
                running.remove(at)
    return ids


def _row(model: OmniModel, prompted: Prompted, at: int, ids: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Embedding [1, hidden_size] and position [3, 1] of row `at`: one of the question, or an answer token."""
    count = len(prompted.embeddings)
    if at < count:
        return prompted.embeddings[at : at + 1], prompted.positions[:, at : at + 1]
    token = torch.tensor(ids[-1:], device=model.stack.device)
    return model.stack.embed(token), (prompted.positions.amax() + 1 + at - count).expand(3, 1)
