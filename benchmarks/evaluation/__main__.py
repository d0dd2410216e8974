"""A published benchmark, answered by a model under a policy; resumable, one JSON a run.

    omnidrop eval --benchmark worldsense --data DIR --model Qwen/Qwen2.5-Omni-7B --policy live --retention 0.3

Replies go to `--out` as they come; the same command goes on with the file it stopped at. A reply that cannot be read
counts as wrong, and is counted.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.evaluation.answering import Live, OneShot, Said, Watcher, answers
from benchmarks.evaluation.arguments import add_arguments, replies_file
from benchmarks.evaluation.files import FormatError
from benchmarks.evaluation.formats import read
from benchmarks.evaluation.questions import Item, judge
from benchmarks.reach import reach, require_within
from benchmarks.report import environment, print_json, progress, table, weights_of
from benchmarks.statistics import wilson
from nano_omni import weights_dir
from pruner import LiveModel, LiveOptions, PrunerError, TurnOptions

_QUESTION, _TEXT = 2048, 4096  # tokens: long options come in many words
_CONFIGURES = ("benchmark", "model", "policy", "retention", "budget", "dtype", "frame_size", "frame_tokens", "tokens")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.evaluation", description=__doc__)
    add_arguments(parser)
    return evaluate(parser.parse_args(arguments))


def evaluate(chosen: argparse.Namespace) -> int:
    """Runs what was chosen; returns the exit status: 0 done, 2 the data, model or setting cannot be used."""
    chosen.out = chosen.out or replies_file(chosen)
    try:
        items = read(chosen.benchmark, chosen.data)[: chosen.limit]
        replies = _known(chosen)
        # a question on the way ends a segment of the stream: a file is watched and asked again from its beginning
        unfinished = {item.video for item in items if item.id not in replies}
        if unfinished:
            replies |= _answer(chosen, [item for item in items if item.video in unfinished], set(replies))
    except (FormatError, PrunerError) as error:
        print(error, file=sys.stderr)
        return 2
    result = score(items, replies)
    print(_table(result))
    told = {"bench": "evaluation"} | _run(chosen) | {"weights": weights_of(chosen.model)}
    print_json(told | result | environment(chosen.device))
    return 0


def score(items: Iterable[Item], replies: dict[str, Said]) -> dict[str, Any]:
    """Shares right, over all and by task, with Wilson intervals; how many replies were unreadable, or clipped."""
    tasks: dict[str, list[bool]] = defaultdict(list)
    unreadable = clipped = 0
    for item in items:
        verdict = judge(item, replies[item.id].text)
        clipped += replies[item.id].clipped
        tasks[item.task].append(verdict.right)
        unreadable += verdict.said is None
    marks = [mark for task in tasks.values() for mark in task]
    return {
        "questions": len(marks),
        "unreadable": unreadable,
        "clipped": clipped,
        "right": _share(marks),
        "tasks": {name: _share(task) for name, task in sorted(tasks.items())},
        "mean_of_tasks": sum(sum(task) / len(task) for task in tasks.values()) / len(tasks),
    }


def _share(marks: Sequence[bool]) -> dict[str, float]:
    found = wilson(sum(marks), len(marks))
    return {"count": len(marks), "share": found.value, "low": found.low, "high": found.high}


def _answer(chosen: argparse.Namespace, items: Sequence[Item], known: Collection[str]) -> dict[str, Said]:
    """Replies that are not `known` yet, each written down as it comes."""
    path = weights_dir() if chosen.model == "nano" else chosen.model
    options = TurnOptions(retention=chosen.retention, max_tokens=chosen.tokens)
    if chosen.retention == 1:
        options = TurnOptions(deep_share=1.0, max_tokens=chosen.tokens)
    width, height = chosen.frame_size
    shape = LiveOptions(
        frame_size=(height, width),
        frame_tokens=chosen.frame_tokens,
        max_text_tokens=_TEXT,
        max_question_tokens=_QUESTION,
    )
    model = LiveModel.load(path, device=chosen.device, dtype=getattr(torch, chosen.dtype), options=shape)
    watcher: Watcher
    if chosen.policy == "live":
        if chosen.retention < 1:
            require_within(chosen.retention, reach(model.facts, options))
        watcher = Live(model, budget=chosen.budget, options=options)
    else:
        policy = "all" if chosen.retention == 1 else chosen.policy
        watcher = OneShot(model, policy, chosen.retention, tokens=chosen.tokens)
    said = {}
    with chosen.out.open("a", encoding="utf-8") as file:
        found = answers(watcher, items, height=model.facts.height, width=model.facts.width)
        for number, (item, one) in enumerate(found, start=1):
            if item.id in known:
                continue
            said[item.id] = one
            line = {"id": item.id, "reply": one.text, "clipped": one.clipped}
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
            file.flush()
            progress(f"{number} of {len(items)}: {item.id}")
    return said


def _run(chosen: argparse.Namespace) -> dict[str, Any]:
    """What must be the same for replies to belong together."""
    return {name: getattr(chosen, name) for name in _CONFIGURES}


def _known(chosen: argparse.Namespace) -> dict[str, Said]:
    """Replies of an earlier, unfinished run; begins the file if there is none."""
    out: Path = chosen.out
    run = json.loads(json.dumps(_run(chosen)))
    if not out.exists() or not out.stat().st_size:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps({"run": run}) + "\n", encoding="utf-8")
        return {}
    whole = out.read_text(encoding="utf-8")
    # a run that was killed may have left half a line: it is cut off, and asked again
    complete = whole[: whole.rfind("\n") + 1]
    try:
        first, *lines = [json.loads(line) for line in complete.splitlines()]
        found, replies = first["run"], {line["id"]: Said(line["reply"], line["clipped"]) for line in lines}
    except (ValueError, KeyError, TypeError) as error:
        raise FormatError(f"{out} is no file of replies: name another with --out") from error
    if found != run:
        differs = ", ".join(name for name in run if found.get(name) != run[name])
        raise FormatError(f"{out} was written with another {differs}: name another file with --out")
    if complete != whole:
        out.write_text(complete, encoding="utf-8")
    return replies


def _table(result: dict[str, Any]) -> str:
    rows = [("all", result["right"]), *result["tasks"].items()]
    cells = [
        [name, f"{one['count']}", f"{100 * one['share']:.1f}", f"{100 * one['low']:.1f} to {100 * one['high']:.1f}"]
        for name, one in rows
    ]
    return (
        table(["task", "questions", "% right", "95 %"], cells)
        + f"\n{result['unreadable']} replies unreadable, {result['clipped']} clips too short for the retention"
    )


if __name__ == "__main__":
    sys.exit(main())
