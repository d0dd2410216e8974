"""How much of what happened is still there after minutes and hours, whatever a model then makes of it?

    python -m benchmarks.long.kept --streams 4 --minutes 12 [--rules live,uniform_tokens] [--weights DIR]

For everything that streams show and sound, under each way to forget: the share of which at least one, two and four
tokens are still in the store, by age. Streams are traced once, without questions, so that nothing is importance.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from statistics import fmean
from typing import Any

import torch

from benchmarks.long.forgetting import RULES, chosen_rules
from benchmarks.long.traces import Trace, replay, trace
from benchmarks.quality.arguments import add_common, positive, require_seeds
from benchmarks.report import environment, fingerprint, model_path, print_json, progress, table
from nano_omni.world.long import AGES, LongStream
from pruner import LiveModel
from pruner.eviction import EvictionRule

LEAST = (1, 2, 4)
"""Tokens of something that may be enough to tell it by."""
_NEAR = 0.25
"""An event counts as so old when its age differs by no more than this share."""
_WINDOWS_A_MINUTE = 30


def kept(traces: Sequence[Trace], rule: EvictionRule, budget: int, moments: frozenset[int]) -> list[dict[str, Any]]:
    """A row for each kind of event and age: how many there are, and of which share enough tokens are held.

    Args:
        traces, rule, budget: what happened, and how it is forgotten.
        moments: windows after which the store is looked into.
    """
    held = defaultdict[tuple[str, int], list[int]](list)
    for one in traces:
        for window, alive in replay(one, rule, budget, moments):
            for event in one.evidence:
                age = window / _WINDOWS_A_MINUTE - event.end / 60
                near = [minutes for minutes in AGES if abs(age - minutes) <= max(_NEAR * minutes, 0.5)]
                if near and len(event.tokens):
                    held[event.kind, min(near, key=lambda minutes: abs(age - minutes))].append(
                        int(alive[event.tokens].sum())
                    )
    return [
        {
            "kind": kind,
            "age": age,
            "n": len(counts),
            "tokens": round(fmean(counts), 2),
            "at_least": {least: round(fmean(count >= least for count in counts), 4) for least in LEAST},
        }
        for (kind, age), counts in sorted(held.items())
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.long.kept", description=__doc__.partition("\n")[0])
    add_common(parser)
    parser.add_argument("--minutes", type=positive, default=12, help="length of a stream (%(default)s)")
    parser.add_argument("--streams", type=positive, default=2, help="streams, of consecutive seeds (%(default)s)")
    parser.add_argument("--budget", type=positive, default=4096, help="audiovisual tokens of a session (%(default)s)")
    parser.add_argument("--rules", default=",".join(RULES), help="ways to forget, by commas (%(default)s)")
    chosen = parser.parse_args(arguments)
    try:
        require_seeds(chosen.seed, chosen.streams)
        rules = chosen_rules(chosen.rules)
        streams = [LongStream(seed, chosen.minutes) for seed in range(chosen.seed, chosen.seed + chosen.streams)]
    except ValueError as error:
        parser.error(str(error))
    torch.set_num_threads(chosen.threads)
    began = time.monotonic()
    model = LiveModel.load(model_path(chosen.model), device=chosen.device).model
    traces = []
    for stream in streams:
        traces.append(trace(model, stream, chosen.budget, chosen.device))
        progress(f"stream {stream.seed} after {time.monotonic() - began:.0f} s")
    windows = _WINDOWS_A_MINUTE * chosen.minutes
    moments = frozenset((3 * windows // 4, windows))
    found = [{"rule": rule, "held": kept(traces, RULES[rule], chosen.budget, moments)} for rule in rules]
    print(_table(found))
    print(
        f"tokens held of what was to be seen and heard, a mean; in brackets the share with at least {LEAST} in per cent"
    )
    same = {"minutes": chosen.minutes, "budget": chosen.budget, "seed": chosen.seed, "streams": chosen.streams}
    about = {"model": chosen.model, "weights": fingerprint(model_path(chosen.model)), **environment(chosen.device)}
    print_json({"bench": "long.kept", **same, "rows": found, **about})
    return 0


def _table(found: Sequence[dict[str, Any]]) -> str:
    ages = sorted({row["age"] for one in found for row in one["held"]})
    lines = []
    for one in found:
        for kind in sorted({row["kind"] for row in one["held"]}):
            by_age = {row["age"]: row for row in one["held"] if row["kind"] == kind}
            lines.append([one["rule"], kind, *(_cell(by_age[age]) if age in by_age else "" for age in ages)])
    return table(["forgets by", "of a", *(f"{age} min" for age in ages)], lines, left=(0, 1))


def _cell(row: dict[str, Any]) -> str:
    shares = ", ".join(f"{100 * share:.0f}" for share in row["at_least"].values())
    return f"{row['tokens']:.1f} [{shares}]"


if __name__ == "__main__":
    sys.exit(main())
