"""The layered decoder against transformers' own forward, against its own one-shot form, and batched against alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from pruner import LiveModel
from pruner.decoder import LayeredDecoder
from pruner.guidance import Guidance, Score
from pruner.passes import Extension, Query
from pruner.store import FusionStore, StoreShape
from pruner.tokens import Modality, Role, TokenRows

L, F = 6, 3
TAIL, QUESTION = 5, 3
DROPS = (0, 0, 6, 5, 4, 0)
NONE = (0,) * L


@pytest.fixture(scope="module")
def decoder(tiny_model: LiveModel) -> LayeredDecoder:
    return LayeredDecoder(tiny_model.model.stack, F)


def _store(model: LiveModel) -> FusionStore:
    stack = model.model.stack
    shape = StoreShape(F, stack.kv_heads, stack.head_dim, stack.hidden_size)
    return FusionStore(shape, budget=64, text=64, dtype=stack.dtype, rotate=stack.rotate_at)


class _Conversation:
    """Random embeddings: text, 12 audiovisual tokens, text, 10 audiovisual tokens, a question of TAIL rows."""

    def __init__(self, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.media = np.array([0] * 4 + [1] * 12 + [0] * 3 + [1] * 10 + [0] * TAIL, dtype=bool)
        count = len(self.media)
        self.embeddings = torch.randn(count, 32, generator=generator, dtype=torch.float64)
        line = np.arange(count) * 3
        self.positions = np.stack([line, line - np.arange(count) % 3, line - np.arange(count) % 2], axis=1)
        self.chunk = np.where(self.media, np.arange(count) // 4, -1)

    def rows(self, where: slice) -> TokenRows:
        return TokenRows.make(
            self.positions[where],
            sequence=where.start,
            role=np.where(self.media[where], Role.MEDIA, Role.SYSTEM),
            turn=0,
            modality=np.where(self.media[where], Modality.VIDEO, Modality.TEXT),
            chunk=self.chunk[where],
        )

    def fuse(self, model: LiveModel, decoder: LayeredDecoder) -> FusionStore:
        store = _store(model)
        for where in (slice(0, 4), slice(4, 17), slice(17, len(self.media) - TAIL)):
            for number in np.unique(self.chunk[where][self.media[where]]):
                store.add_chunk(int(number), 2.0 * number, 2.0 * number + 2, 9, 9)
            decoder.fuse([Extension(store, self.rows(where), self.embeddings[where])])
        return store

    def guidance(self, drops: tuple[int, ...], score: Score = "running_max") -> Guidance:
        return Guidance(drops, torch.from_numpy(self.chunk[self.media]), question=QUESTION, score=score)

    def query(self, store: FusionStore, guidance: Guidance) -> Query:
        last = slice(len(self.media) - TAIL, len(self.media))
        return Query(store, self.rows(last), self.embeddings[last], tail=TAIL, answer=4, pruner=guidance)

    @property
    def device_positions(self) -> Tensor:
        return torch.from_numpy(self.positions.T.copy())


def _transformers(model: LiveModel, embeddings: Tensor, positions: Tensor) -> Tensor:
    thinker: Any = model.model.thinker
    text = getattr(thinker.model, "language_model", thinker.model)
    hidden = text(inputs_embeds=embeddings[None], position_ids=positions[:, None]).last_hidden_state
    logits: Tensor = thinker.lm_head(hidden[0])
    return logits


def test_without_pruning_it_is_transformers_own_forward(tiny_model: LiveModel, decoder: LayeredDecoder) -> None:
    one = _Conversation(1)
    store = one.fuse(tiny_model, decoder)
    (guided,) = decoder.guide([one.query(store, one.guidance(NONE))])
    ids = torch.tensor([20, 31, 42])
    embeddings = torch.cat((one.embeddings, tiny_model.model.stack.embed(ids)))
    ahead = torch.arange(200, 203)
    positions = torch.cat((one.device_positions, ahead.expand(3, 3)), dim=1)
    reference = _transformers(tiny_model, embeddings, positions)
    # transformers rounds norms and rotary angles to fp32
    torch.testing.assert_close(guided.logits, reference[len(one.media) - 1], atol=1e-4, rtol=0)
    for step, number in enumerate(ids):
        rows = TokenRows.make([200 + step], sequence=500 + step, role=Role.ANSWER, turn=0)
        item = Extension(store, rows, tiny_model.model.stack.embed(number[None]))
        logits = decoder.decode([(item, guided.cache)], item.embeddings, ahead[step : step + 1].expand(3, 1))
        torch.testing.assert_close(logits[0], reference[len(one.media) + step], atol=1e-4, rtol=0)


@pytest.mark.parametrize("score", ["mean", "running_max"])
def test_fuse_then_guide_is_one_shot_pruning(tiny_model: LiveModel, decoder: LayeredDecoder, score: Score) -> None:
    one = _Conversation(2)
    (guided,) = decoder.guide([one.query(one.fuse(tiny_model, decoder), one.guidance(DROPS, score))])
    whole = LayeredDecoder(tiny_model.model.stack, 0).prefill(
        one.embeddings,
        one.device_positions,
        torch.from_numpy(np.flatnonzero(one.media)),
        torch.from_numpy(np.flatnonzero(~one.media)),
        tail=TAIL,
        answer=4,
        pruner=one.guidance(DROPS, score),
    )
    assert [len(alive) for alive in whole.alive] == [22, 22, 22, 16, 11, 7]
    for ours, theirs in zip(guided.alive, whole.alive[F:], strict=True):
        assert torch.equal(ours, theirs)
    torch.testing.assert_close(guided.logits, whole.logits, atol=1e-9, rtol=0)


def test_a_batch_is_each_conversation_alone(tiny_model: LiveModel, decoder: LayeredDecoder) -> None:
    both = [_Conversation(3), _Conversation(4)]
    alone = [decoder.guide([one.query(one.fuse(tiny_model, decoder), one.guidance(DROPS))])[0] for one in both]
    stores = [one.fuse(tiny_model, decoder) for one in both]
    together = decoder.guide(
        [one.query(store, one.guidance(drops)) for one, store, drops in zip(both, stores, (DROPS, DROPS), strict=True)]
    )
    for ours, theirs in zip(together, alone, strict=True):
        torch.testing.assert_close(ours.logits, theirs.logits, atol=1e-12, rtol=0)
        assert all(torch.equal(a, b) for a, b in zip(ours.alive, theirs.alive, strict=True))


def test_a_question_over_nothing_seen(tiny_model: LiveModel, decoder: LayeredDecoder) -> None:
    store = _store(tiny_model)
    rows = TokenRows.make(np.arange(TAIL), sequence=0, role=Role.QUESTION, turn=0)
    embeddings = torch.randn(TAIL, 32, dtype=torch.float64)
    guidance = Guidance(NONE, torch.zeros(0, dtype=torch.int64), question=QUESTION)
    (guided,) = decoder.guide([Query(store, rows, embeddings, tail=TAIL, answer=2, pruner=guidance)])
    positions = torch.arange(TAIL).expand(3, TAIL)
    torch.testing.assert_close(guided.logits, _transformers(tiny_model, embeddings, positions)[-1], atol=1e-4, rtol=0)
    assert guidance.first is None


class Waits(TorchDispatchMode):
    """Notes every operation whose result's shape or value the host would have to wait for."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.operations = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        name = func.overloadpacket.__name__
        self.operations += 1
        chosen_by_mask = name in ("index", "index_put_") and any(
            index is not None and index.dtype == torch.bool for index in args[1]
        )
        if chosen_by_mask or name in ("_local_scalar_dense", "nonzero", "masked_select", "_unique2", "unique_dim"):
            self.found.append(name)
        return func(*args, **(kwargs or {}))


def test_a_guided_pass_waits_for_nothing(tiny_model: LiveModel, decoder: LayeredDecoder) -> None:
    one = _Conversation(5)
    store = one.fuse(tiny_model, decoder)
    query = one.query(store, one.guidance(DROPS))
    with Waits() as waits:
        decoder.guide([query])
    assert waits.operations > 100
    assert waits.found == []
    with Waits() as waits:
        int(torch.tensor([3]).nonzero()[0])
    assert waits.found == ["nonzero", "_local_scalar_dense"]
