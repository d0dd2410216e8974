"""Answers to several questions at once, which `pruner.oneshot.reply` gives one by one; tests hold the two together.

A method that only chooses tokens at the input gives every question about a recording the same past. Its pass runs once;
each question then continues a copy of the keys and values token by token. Where tokens are dropped on the way, every
question has a pass of its own. In both cases the answers are decoded side by side.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pruner.decoder import Guided, LayeredDecoder
from pruner.deep import DeepCache
from pruner.families.omni import OmniModel
from pruner.guidance import LayerPruner
from pruner.oneshot import Prompted

COPIES_BYTES = 1 << 28
"""Memory for the caches that run side by side."""


@dataclass(frozen=True)
class Answer:
    """An answer.

    Attributes:
        ids: its tokens, without the one that stops it.
        alive: for each layer, the rows (int64) of the audiovisual tokens that enter it.
    """

    ids: list[int]
    alive: list[Tensor]


@torch.inference_mode()
def answer_together(model: OmniModel, prompts: Sequence[Prompted], pruner: LayerPruner, *, limit: int) -> list[Answer]:
    """Greedy answers to questions that share their past.

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
    whole = _pass(model, prompts[0], past, pruner, tail=1, room=room)
    side_by_side = max(1, COPIES_BYTES // whole.cache.nbytes)
    found = []
    for start in range(0, len(prompts), side_by_side):
        some = [_Running(one, copy.deepcopy(whole.cache), fed=past) for one in prompts[start : start + side_by_side]]
        _decode(model, some, limit)
        found += [Answer(one.ids, [one.prompt.media] * model.stack.layers) for one in some]
    return found


@torch.inference_mode()
def answer_each(
    model: OmniModel, prompts: Sequence[Prompted], pruners: Sequence[LayerPruner], *, limit: int
) -> list[Answer]:
    """Greedy answers to questions that each prune a pass of their own.

    Args:
        prompts: any.
        pruners: one for each.
        limit: most tokens of an answer.
    """
    found: list[Answer] = []
    some: list[tuple[_Running, list[Tensor]]] = []

    def finish() -> None:
        _decode(model, [one for one, _ in some], limit)
        found.extend(Answer(one.ids, alive) for one, alive in some)
        some.clear()

    held = 0
    for prompt, pruner in zip(prompts, pruners, strict=True):
        count = len(prompt.embeddings)
        guided = _pass(model, prompt, count, pruner, tail=prompt.tail, room=limit)
        one = _Running(prompt, guided.cache, fed=count)
        one.take(int(guided.logits.argmax()), model.prompt.stop, limit)
        some.append((one, guided.alive))
        held += guided.cache.nbytes
        if held > COPIES_BYTES:
            finish()
            held = 0
    finish()
    return found


class _Running:
    """A question whose first `fed` rows are in its cache."""

    def __init__(self, prompt: Prompted, cache: DeepCache, *, fed: int) -> None:
        self.prompt, self.cache, self.fed = prompt, cache, fed
        self.ids: list[int] = []
        self.done = False

    @property
    def asking(self) -> bool:
        """Whether rows of the question are still to be fed."""
        return self.fed < len(self.prompt.embeddings)

    def take(self, token: int, stop: frozenset[int], limit: int) -> None:
        """Note the token that follows all that was fed."""
        if token in stop:
            self.done = True
            return
        self.ids.append(token)
        self.done = len(self.ids) == limit

    def row(self, model: OmniModel) -> tuple[Tensor, Tensor]:
        """Embedding [1, hidden_size] and position [3, 1] of the next row: one of the question, or an answer token."""
        prompt, at = self.prompt, self.fed
        self.fed += 1
        count = len(prompt.embeddings)
        if at < count:
            return prompt.embeddings[at : at + 1], prompt.positions[:, at : at + 1]
        token = torch.tensor(self.ids[-1:], device=model.stack.device)
        return model.stack.embed(token), (prompt.positions.amax() + 1 + at - count).expand(3, 1)


def _pass(model: OmniModel, prompt: Prompted, rows: int, pruner: LayerPruner, *, tail: int, room: int) -> Guided:
    """The first `rows` rows of a prompt through all layers, with room for `room` more."""
    device = model.stack.device
    text = torch.ones(rows, dtype=torch.bool)
    text[prompt.media] = False
    return LayeredDecoder(model.stack, 0).prefill(
        prompt.embeddings[:rows],
        prompt.positions[:, :rows],
        prompt.media.to(device),
        text.nonzero().flatten().to(device),
        tail=tail,
        answer=room,
        pruner=pruner,
        added=prompt.added[:rows] if prompt.added is not None else None,
    )


def _decode(model: OmniModel, questions: Sequence[_Running], limit: int) -> None:
    """Feed what is left of each question and then its answer, all of them in one batch."""
    decoder = LayeredDecoder(model.stack, 0)
    running = [one for one in questions if not one.done]
    while running:
        rows = [one.row(model) for one in running]
        logits = decoder.decode(
            [(None, one.cache) for one in running],
            torch.cat([hidden for hidden, _ in rows]),
            torch.cat([position for _, position in rows], dim=1),
        )
        for one, token in zip(running, logits.argmax(dim=-1).tolist(), strict=True):
            if not one.asking:
                one.take(token, model.prompt.stop, limit)
        running = [one for one in running if not one.done]
