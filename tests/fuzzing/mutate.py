"""Seeded mutations: text by lines and by words, JSON by structure, bytes at random."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from typing import Any

NASTY = (
    "", " ", "-1", "0", "65536", "4294967296", "99999999999999999999999", "1e999", "NaN", "None", "a" * 5_000, "\0",
    "é", "\u202e", "😀", "%00", "%", "{}", "[]", "..", "/", "*", '"', "\\", "127.0.0.1", "::1", "0.0.0.0", "256.1.1.1",
    "x.local", "sha-256", "video", "audio", "application", "actpass", "recvonly", "a=", "m=", "=", ":", ";", "\ud800",
    "\r", "\n\n",
)  # fmt: skip
"""Words at which parsers stumble."""


def text(rng: random.Random, seeds: Sequence[str]) -> str:
    """A seed, or a few changes away from one; now and then nothing like it."""
    if rng.random() < 0.03:
        return noise(rng).decode("latin-1")
    lines = rng.choice(seeds).split("\r\n")
    for _ in range(rng.choice((0, 1, 1, 1, 2, 3, 8))):
        rng.choice(_LINES)(rng, lines, seeds)
    ends = rng.choice(("\r\n",) * 8 + ("\n", "\r", "\r\n\r\n"))
    whole = ends.join(lines)
    return whole[: rng.randrange(len(whole) + 1)] if rng.random() < 0.05 else whole


def _drop(rng: random.Random, lines: list[str], _: Sequence[str]) -> None:
    if lines:
        del lines[rng.randrange(len(lines))]


def _double(rng: random.Random, lines: list[str], _: Sequence[str]) -> None:
    if lines:
        lines.insert(rng.randrange(len(lines)), rng.choice(lines))


def _swap(rng: random.Random, lines: list[str], _: Sequence[str]) -> None:
    if lines:
        a, b = rng.randrange(len(lines)), rng.randrange(len(lines))
        lines[a], lines[b] = lines[b], lines[a]


def _borrow(rng: random.Random, lines: list[str], seeds: Sequence[str]) -> None:
    lines.insert(rng.randrange(len(lines) + 1), rng.choice(rng.choice(seeds).split("\r\n")))


def _word(rng: random.Random, lines: list[str], _: Sequence[str]) -> None:
    """Replace what stands between two separators by something nasty."""
    if not lines:
        return
    at = rng.randrange(len(lines))
    for separator in rng.sample((" ", ":", "=", "/", ";"), 5):
        words = lines[at].split(separator)
        if len(words) > 1:
            words[rng.randrange(len(words))] = rng.choice(NASTY)
            lines[at] = separator.join(words)
            return


def _character(rng: random.Random, lines: list[str], _: Sequence[str]) -> None:
    if lines:
        at = rng.randrange(len(lines))
        here = rng.randrange(len(lines[at]) + 1)
        lines[at] = lines[at][:here] + chr(rng.randrange(1, 0x250)) + lines[at][here + rng.randrange(2) :]


def _repeat(rng: random.Random, lines: list[str], _: Sequence[str]) -> None:
    if lines:
        lines[rng.randrange(len(lines)) :] *= rng.choice((2, 3, 40))


_LINES: tuple[Callable[[random.Random, list[str], Sequence[str]], None], ...] = (
    _drop, _double, _swap, _borrow, _word, _word, _word, _character, _repeat,
)  # fmt: skip


def noise(rng: random.Random) -> bytes:
    """Up to 300 random bytes."""
    return rng.randbytes(rng.randrange(300))


def value(rng: random.Random, depth: int = 0) -> Any:
    """Some JSON value."""
    kind = rng.randrange(9 if depth < 4 else 6)
    if kind == 6:
        return [value(rng, depth + 1) for _ in range(rng.randrange(4))]
    if kind >= 7:
        return {rng.choice(("text", "mode", "action", "session", *NASTY)): value(rng, depth + 1) for _ in range(3)}
    plain = (None, True, rng.randrange(-(10**20), 10**20), rng.random() * 1e300, rng.choice(NASTY), float("nan"))
    return plain[kind]


def body(rng: random.Random, seeds: Sequence[object]) -> bytes:
    """JSON, nearly JSON, or not at all."""
    kind = rng.randrange(10)
    if kind < 3:
        return json.dumps(rng.choice(seeds)).encode()
    if kind < 6:
        seed = rng.choice(seeds)
        changed = dict(seed) if isinstance(seed, dict) else {}
        changed[rng.choice((*changed, *changed, rng.choice(NASTY)))] = rng.choice((value(rng), rng.choice(NASTY)))
        return json.dumps(changed).encode(errors="replace")
    if kind == 6:
        return json.dumps(value(rng)).encode(errors="replace")
    if kind == 7:
        deep = rng.choice((10, 1_000, 30_000))
        return rng.choice((b"[" * deep, b'{"text":' * deep, b"[" * deep + b"]" * deep))
    if kind == 8:
        whole = bytearray(json.dumps(rng.choice(seeds)).encode())
        whole[rng.randrange(len(whole))] = rng.randrange(256)
        return bytes(whole[: rng.randrange(len(whole)) + 1])
    return noise(rng)
