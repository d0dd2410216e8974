"""Whether what is fast is right: the model's own number format against transformers in fp64, on fresh random inputs."""

from __future__ import annotations

import copy
import os
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from benchmarks.speed.bench import Bench, Row, noise
from benchmarks.speed.seams import replayed, unrecorded
from benchmarks.speed.shapes import build, reduced
from benchmarks.speed.stock import Stock
from pruner import Ask, EncodedWindow, LiveModel, LiveOptions, Turn, TurnOptions
from pruner.encoder import StreamState, WindowEncoder
from pruner.families.omni import OmniModel
from pruner.oneshot import Decoding, assemble
from pruner.policies import Everything

ERROR = "relative error, {}"
_WINDOWS, _TOKEN = 6, 300
_COURSES = 3
"""Sessions after which all passes have run as graphs: first as they are, then recorded, then replayed."""
_WHOLE = TurnOptions(deep_share=1.0, max_tokens=8)
_EAGER = LiveOptions(graphs="off")
REPLAY = "graphs against the same passes, largest difference"


def rows(bench: Bench) -> list[Row]:
    """Relative errors ‖ours - reference‖ ÷ ‖reference‖ of what each stage gives.

    A random model is built anew with the same widths and few layers; a checkpoint is compared whole.

    Raises:
        ArithmeticError: something is not a number.
    """
    seed = int.from_bytes(os.urandom(4))
    device, dtype = bench.watch.device, bench.omni.stack.dtype
    ours = bench.omni
    if bench.shape is not None:
        ours = build(reduced(bench.shape), device=device, dtype=dtype, seed=seed)
    thinker = copy.deepcopy(ours.thinker).double()
    reference = OmniModel(thinker, ours.facts, ours.prompt)
    found = _towers(ours, reference, seed) | _decoder(ours, reference, seed, bench.question)
    windows = _windows(ours, seed)
    live = _Pair(LiveModel(ours, _EAGER), LiveModel(reference, _EAGER), windows, bench.question)
    found |= live.errors()
    recorded, apart = _graphs(ours, windows, bench.question)
    found["fixed passes against eager"] = apart
    told: dict[str, float | str] = {"seed": seed, "layers": ours.stack.layers, "format": str(dtype).split(".")[-1]}
    if bad := [name for name, value in found.items() if not value < float("inf")]:
        raise ArithmeticError(f"{', '.join(bad)}: not a number")
    shared = Row("survivors shared with the reference, last layer", live.shared(), "", parts=dict(told))
    errors = [Row(ERROR.format(name), value, "", parts=dict(told)) for name, value in found.items()]
    return [*errors, shared, Row(REPLAY, recorded, "", parts=dict(told))]


def _towers(ours: OmniModel, reference: OmniModel, seed: int) -> dict[str, float]:
    stock = Stock(reference, noise(ours, _WINDOWS, seed))
    with torch.inference_mode():
        seen = ours.vision.tokens(stock.patches.to(ours.stack.dtype)).flatten(0, 1)
        blocks = torch.split(stock.mel.to(ours.stack.dtype), ours.audio.block_frames, dim=1)
        heard = torch.cat([ours.audio(block[None])[0][0] for block in blocks])
    return {"vision encoder": _error(seen, stock.see()), "audio encoder": _error(heard, stock.hear())}


def _decoder(ours: OmniModel, reference: OmniModel, seed: int, question: str) -> dict[str, float]:
    """All rows through all layers."""
    windows = [_wide(one) for one in _windows(ours, seed)]
    prompted = assemble(reference, windows, Everything().compress(windows), question)
    theirs = Stock(reference, noise(ours, 1, seed)).prefill(prompted)
    narrow = replace(prompted, embeddings=prompted.embeddings.to(ours.stack.dtype))
    pruner = Everything().prune(narrow.asked(ours.stack.layers))
    return {"whole prefill": _error(Decoding(ours.stack, narrow, pruner, limit=1).logits, theirs)}


class _Pair:
    """Two live models with the same past of the same windows."""

    def __init__(self, ours: LiveModel, reference: LiveModel, windows: Sequence[EncodedWindow], question: str) -> None:
        self._models, self._question = (ours, reference), question
        budget = sum(one.seen.total for one in windows)
        self._conversations = tuple(model.open(budget=budget) for model in self._models)
        for window in windows:
            ours.fuse([(self._conversations[0], window)])
            reference.fuse([(self._conversations[1], _wide(window))])

    def errors(self) -> dict[str, float]:
        """Of what fusing leaves, and of the logits after guiding and after one more token, nothing dropped."""
        mine, theirs = (one.store for one in self._conversations)
        found = {"fused states": _error(mine.hidden[: mine.length], theirs.hidden[: theirs.length])}
        turns = self._ask(_WHOLE)
        found["guided logits"] = _error(turns[0].logits, turns[1].logits)
        turns[1].logits = turns[0].logits.double()  # both take the same token
        for _ in range(2):
            for model, turn in zip(self._models, turns, strict=True):
                model.step([turn])
        found["decoded logits"] = _error(turns[0].logits, turns[1].logits)
        self._retract(turns)
        return found

    def shared(self) -> float:
        """Share of the survivors of the last layer that both models chose, with the model's own settings."""
        turns = self._ask(None)
        mine, theirs = (set(turn.sequences()[-1].tolist()) for turn in turns)
        self._retract(turns)
        return len(mine & theirs) / max(1, len(theirs))

    def _ask(self, options: TurnOptions | None) -> list[Turn]:
        return [
            model.guide([Ask(conversation, self._question, options)])[0]
            for model, conversation in zip(self._models, self._conversations, strict=True)
        ]

    def _retract(self, turns: Sequence[Turn]) -> None:
        for model, turn in zip(self._models, turns, strict=True):
            model.commit(turn, published=0)


def _graphs(ours: OmniModel, windows: Sequence[EncodedWindow], question: str) -> tuple[float, float]:
    """Largest difference between graphs and the same passes unrecorded, and relative error of these against eager ones.

    Raises:
        RuntimeError: nothing ran as a graph where everything should have.
    """
    graphs = LiveModel(ours, LiveOptions(graphs="on"))
    plain = unrecorded(LiveModel(ours, LiveOptions(graphs="on")))
    for _ in range(_COURSES):
        found = _course(graphs, windows, question)
    if ours.stack.device.type == "cuda" and not replayed(graphs):
        raise RuntimeError("no pass was replayed as a graph")
    same, eager = _course(plain, windows, question), _course(LiveModel(ours, _EAGER), windows, question)
    return float((found - same).abs().max()), _error(same, eager.double())


def _course(live: LiveModel, windows: Sequence[EncodedWindow], question: str) -> Tensor:
    """Everything that comes of a session: fused states, guided logits, and those after one more token, flat.

    The token is the same whatever the logits before it say.
    """
    conversation = live.open(budget=sum(one.seen.total for one in windows))
    for window in windows:
        live.fuse([(conversation, window)])
    fused = conversation.store.hidden[: conversation.store.length].clone()
    (turn,) = live.guide([Ask(conversation, question, _WHOLE)])
    guided = turn.logits
    turn.logits = torch.zeros_like(guided).index_fill_(0, torch.tensor([_TOKEN], device=guided.device), 1)
    for _ in range(2):
        live.step([turn])
    found = torch.cat([fused.flatten(), guided, turn.logits])
    live.commit(turn, published=0)
    conversation.close()
    return found


def _windows(omni: OmniModel, seed: int) -> list[EncodedWindow]:
    encoder, stream = WindowEncoder(omni), StreamState()
    return [encoder.encode([(stream, window)])[0] for window in noise(omni, _WINDOWS, seed)]


def _wide(window: EncodedWindow) -> EncodedWindow:
    """The same numbers in fp64."""
    video, audio = (None if one is None else one.double() for one in (window.video, window.audio))
    return replace(window, video=video, audio=audio)


def _error(found: Tensor, reference: Tensor) -> float:
    return float((found.double() - reference).norm() / reference.norm())
