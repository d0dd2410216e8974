"""Where the model's evidence lies: is an object told by the tokens that cover it, or by any?

    python -m nano_omni.evidence --windows 8 --streams 40 [--split needle] [--weights DIR] [--device cuda]

Each question is about one object or one sound. Tokens are taken away before the decoder: those that cover the object
(its *cover*), or others of the seconds in which it shows. Where evidence is local, an answer needs the cover and little
else; where the encoders have spread it, the cover is not missed and any few tokens do.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil, floor
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nano_omni import weights_dir
from nano_omni.evaluate import Examiner
from nano_omni.training.augment import CLEAN
from nano_omni.training.batch import Batch
from nano_omni.training.decoder import Layer, decode
from nano_omni.training.forward import Features, preprocess
from nano_omni.training.layout import AUDIO, IDS_PER_SECOND, NO_LABEL, PATCH_TOKENS, TEXT, VIDEO, Column, StreamShape
from nano_omni.training.mix import Asked, StreamPlan
from nano_omni.world.draws import Draws
from nano_omni.world.entities import SPLITS, TICKS, Scene, Script, Sound, Thing
from nano_omni.world.questions import worded
from nano_omni.world.script import make_script
from nano_omni.world.truth import Asked as Form
from nano_omni.world.view import View
from nano_omni.world.vocabulary import a_sound

FIRST_SEED = 8_000_000
COLUMNS = 6
REACH = 0.56
"""Half an object's box, in its diameters: a little more than half, for stretch, perspective and soft edges."""
CONDITIONS = (
    "all tokens", "cover taken away", "cover and its neighbours taken away", "all of its seconds taken away",
    "only the cover of its seconds", "only as many others of its seconds", "random 30 %", "random 10 %",
)  # fmt: skip


@dataclass(frozen=True)
class Probe:
    """A question about one object or sound.

    Attributes:
        asked: the question, put at the stream's end.
        kind: row kind of its evidence, `VIDEO` or `AUDIO`.
        cover: (second, token) of the tokens that cover it.
        near: those and the ones around them.
        seconds: in which it shows or sounds.
    """

    asked: Asked
    kind: int
    cover: frozenset[tuple[int, int]]
    near: frozenset[tuple[int, int]]
    seconds: frozenset[int]


def probes(script: Script, draws: Draws) -> Iterator[Probe]:
    """At most one question about a colour, one about a place, one about a sound."""
    view = View(script, script.seconds)
    scenes = [(scene, thing) for scene in view.past() for thing in scene.things]
    told = [(scene, thing) for scene, thing in scenes if view.names[thing.shape] == 1]
    placed = [(scene, thing) for scene, thing in scenes if view.names[thing.name] == 1 and thing.motion == "still"]
    if told:
        scene, thing = draws.choice(told)
        yield _seen(scene, thing, Form("past.colour", f"{thing.colour}.", {"shape": thing.shape}), script, draws)
    if placed:
        scene, thing = draws.choice(placed)
        yield _seen(scene, thing, Form("past.place", f"{thing.place}.", {"thing": thing.name}), script, draws)
    if view.heard:
        yield _heard(view.heard[0], Form("audio.first", f"{a_sound(view.heard[0].kind)}.", {}), script, draws)


def cover_of(scene: Scene, thing: Thing, script: Script) -> frozenset[tuple[int, int]]:
    """(second, token) of every video token that the object lies on, camera shake aside."""
    found = set()
    for frame in range(2 * script.seconds):
        tick = frame * TICKS // 2
        if scene.start <= tick < scene.end:
            x, y = thing.at((tick - scene.start) / TICKS)
            columns, rows = (_cells(middle, REACH * thing.size) for middle in (x, y))
            found |= {(frame // 2, COLUMNS * row + column) for row in rows for column in columns}
    return frozenset(found)


def cover_of_sound(sound: Sound, more: int = 0) -> frozenset[tuple[int, int]]:
    """(second, token) of every audio token during which it sounds, and of `more` before and after."""
    first, past = floor(sound.start * IDS_PER_SECOND / TICKS), ceil(sound.end * IDS_PER_SECOND / TICKS)
    return frozenset(divmod(at, IDS_PER_SECOND) for at in range(max(first - more, 0), past + more))


def _cells(middle: float, reach: float) -> range:
    low, high = floor((middle - reach) * COLUMNS), floor((middle + reach) * COLUMNS)
    return range(max(low, 0), min(high, COLUMNS - 1) + 1)


def _around(cover: frozenset[tuple[int, int]]) -> frozenset[tuple[int, int]]:
    near = set()
    for second, token in cover:
        row, column = divmod(token, COLUMNS)
        for r in range(max(row - 1, 0), min(row + 2, COLUMNS)):
            near |= {(second, COLUMNS * r + c) for c in range(max(column - 1, 0), min(column + 2, COLUMNS))}
    return frozenset(near)


def _seen(scene: Scene, thing: Thing, form: Form, script: Script, draws: Draws) -> Probe:
    cover = cover_of(scene, thing, script)
    return Probe(_put(form, script, draws), VIDEO, cover, _around(cover), frozenset(second for second, _ in cover))


def _heard(sound: Sound, form: Form, script: Script, draws: Draws) -> Probe:
    cover, near = (cover_of_sound(sound, more) for more in (0, 3))
    # The audio encoder attends within windows of 2 s.
    whole = {2 * (second // 2) + more for second, _ in cover for more in (0, 1)}
    return Probe(_put(form, script, draws), AUDIO, cover, near, frozenset(whole))


def _put(form: Form, script: Script, draws: Draws) -> Asked:
    return Asked(script.seconds, worded(form, draws, "canonical"), form.answer, form.phrase)


class Prober(Examiner):
    """Puts probes to a model, each alone after the stream, with tokens of the stream missing."""

    @torch.no_grad()
    def marks(self, script: Script, asked: Sequence[Probe]) -> list[list[bool]]:
        """Whether each probe is answered exactly, under each of `CONDITIONS`."""
        shape = StreamShape(script.seconds, compressed=False)
        plan = StreamPlan(script, shape, (), [probe.asked for probe in asked])
        batch = self.pack(plan).to(self.device)
        media = preprocess(batch, *self.media(plan, batch), torch.float32)
        features = self.thinker.encode(media, batch.anchors, batch.compressed)
        result = []
        for probe, (first, last, _) in zip(asked, batch.slots, strict=True):
            limit = int(batch.rows[first, Column.LIMIT])
            rows = torch.cat([batch.rows[:limit], batch.rows[first:last]])
            place = _places(rows, batch)
            random = np.random.default_rng(script.seed)
            kept = [_stays(name, probe, rows, place, random) for name in CONDITIONS]
            result.append([self._right(rows[stays], features) for stays in kept])
        return result

    def _right(self, rows: Tensor, features: Features) -> bool:
        embeds, positions = self.thinker.embed(rows, features)
        angles = self.thinker.angles(positions)
        seen = torch.ones(len(rows), len(rows), dtype=torch.bool, device=rows.device).tril()
        layer = Layer(seen, angles, (angles,))
        hidden = decode(self.thinker.text, embeds, [layer] * len(self.thinker.text.layers))
        labels = rows[:, Column.LABEL]
        told = labels != NO_LABEL
        logits: Tensor = self.model.lm_head(hidden[told])
        return bool((logits.argmax(-1) == labels[told]).all())


def _places(rows: Tensor, batch: Batch) -> NDArray[np.int64]:
    """(second, token of that second) of each audiovisual row; (-1, -1) of text."""
    kind, source, rank = (rows[:, column].cpu().numpy().astype(np.int64) for column in (1, 2, 3))
    starts = batch.long[:, 1].cpu().numpy()
    second = np.where(kind == VIDEO, source, -1)
    heard = kind == AUDIO
    second[heard] = starts[source[heard]] + rank[heard] // IDS_PER_SECOND
    token = np.where(heard, rank % IDS_PER_SECOND, rank)
    token[kind == TEXT] = -1
    return np.stack([second, token], 1)


def _stays(
    name: str, probe: Probe, rows: Tensor, place: NDArray[np.int64], random: np.random.Generator
) -> NDArray[np.bool_]:
    """Which rows stay under a condition."""
    kind = rows[:, Column.KIND].cpu().numpy()
    here = (kind == probe.kind) & np.isin(place[:, 0], list(probe.seconds))
    cover, near = (
        here & np.array([(int(second), int(token)) in which for second, token in place])
        for which in (probe.cover, probe.near)
    )
    if name.startswith("random"):
        gone = (kind != TEXT) & (random.random(len(kind)) >= float(name.split()[1]) / 100)
        return np.asarray(~gone)
    others = np.zeros_like(here)
    apart = np.flatnonzero(here & ~near)
    others[random.permutation(apart)[: int(cover.sum())]] = True
    removed = {
        "all tokens": np.zeros_like(here),
        "cover taken away": cover,
        "cover and its neighbours taken away": near,
        "all of its seconds taken away": here,
        "only the cover of its seconds": here & ~cover,
        "only as many others of its seconds": here & ~others,
    }
    return np.asarray(~removed[name])


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--windows", type=int, default=8)
    parser.add_argument("--streams", type=int, default=40)
    parser.add_argument("--split", choices=SPLITS, default="needle")
    parser.add_argument("--seed", type=int, default=FIRST_SEED, help="seed of the first stream")
    parser.add_argument("--weights", type=Path, default=weights_dir())
    parser.add_argument("--device", default="cpu")
    chosen = parser.parse_args(arguments)
    prober = Prober(chosen.weights, torch.device(chosen.device), CLEAN)
    counts: dict[str, NDArray[np.int64]] = defaultdict(lambda: np.zeros(len(CONDITIONS), dtype=np.int64))
    asked: dict[str, int] = defaultdict(int)
    covers: dict[str, list[int]] = defaultdict(list)
    for seed in range(chosen.seed, chosen.seed + chosen.streams):
        script = make_script(seed, chosen.windows, chosen.split)
        found = list(probes(script, Draws(seed, 411)))
        for probe, marks in zip(found, prober.marks(script, found) if found else [], strict=True):
            counts[probe.asked.category] += np.array(marks)
            asked[probe.asked.category] += 1
            covers[probe.asked.category].append(len(probe.cover))
    rows = []
    for category, right in counts.items():
        size = sum(covers[category]) / asked[category]
        print(f"{category}: {asked[category]} questions, {size:.1f} tokens cover what is asked about")
        for name, good in zip(CONDITIONS, right.tolist(), strict=True):
            print(f"    {name:40s} {100 * good / asked[category]:6.1f} %")
        shares = {name: round(good / asked[category], 4) for name, good in zip(CONDITIONS, right.tolist(), strict=True)}
        rows.append({"category": category, "n": asked[category], "cover": round(size, 2), "exact": shares})
    head = {"bench": "evidence", "split": chosen.split, "windows": chosen.windows, "seed": chosen.seed}
    print(json.dumps({**head, "streams": chosen.streams, "patch_tokens": PATCH_TOKENS, "rows": rows}))


if __name__ == "__main__":
    main()
