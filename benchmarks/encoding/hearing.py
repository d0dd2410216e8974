"""How far the encoding of windows is from that of the whole clip: features, tokens, answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.encoding.asking import compared, said
from benchmarks.encoding.rules import RULES, SERVED, Rule, features, whole
from benchmarks.quality.papers import Paper, media
from benchmarks.report import progress, table
from nano_omni.world import Draws, make_script, questions
from pruner import EncodedWindow, LiveModel, RawWindow
from pruner.compress import keep_audio

__all__ = ["as_table", "paper", "rows"]

_SALT = 31_337
_CATEGORIES = ("audio", "av", "absent.audio", "absent.av")
_REFERENCE = "whole clip"
_MUTED_S = 4
_NEAR = 1e-4


def paper(seed: int, windows: int, count: int) -> Paper:
    """Up to `count` different questions about a dense stream that cannot be answered unheard."""
    script = make_script(seed, windows)
    drawn = questions(
        script, script.seconds, Draws(seed, windows, _SALT), 3 * count, categories=_CATEGORIES, phrasing="canonical"
    )
    return Paper(script, tuple({qa.text: qa for qa in drawn}.values())[:count])


@dataclass(frozen=True)
class _Heard:
    """A clip's features [bins, frames], tokens [n, hidden] and which tokens stay, bool [n], under one rule."""

    mel: Tensor
    tokens: Tensor
    stays: Tensor
    windows: list[EncodedWindow]


def rows(model: LiveModel, papers: Sequence[Paper]) -> list[dict[str, Any]]:
    """A row for each rule, the whole clip's own first; then the same for clips that begin muted, without answers.

    Raises:
        ArithmeticError: the service's encoder does not do what `SERVED` says.
    """
    found = []
    for muted in (False, True):
        clips = [_clip(one, muted=muted) for one in papers]
        streams = [
            [model.encode([(conversation, raw)])[0] for raw in clip] for conversation, clip in _opened(model, clips)
        ]
        reference = [_heard(model, clip, None, windows) for clip, windows in zip(clips, streams, strict=True)]
        answers = None if muted else [said(model, one.windows, two) for one, two in zip(reference, papers, strict=True)]
        told = {} if answers is None else compared(papers, answers, answers)
        found.append({"rule": _REFERENCE, "muted": muted, **_apart(reference, reference), **told})
        for rule in RULES:
            heard = [_heard(model, clip, rule, windows) for clip, windows in zip(clips, streams, strict=True)]
            if rule is SERVED:
                _require_same(heard, streams)
            told = {}
            if answers is not None:
                mine = [said(model, one.windows, two) for one, two in zip(heard, papers, strict=True)]
                told = compared(papers, mine, answers)
            found.append({"rule": rule.name, "muted": muted, **_apart(heard, reference), **told})
            progress(f"{rule.name}{', muted at first' if muted else ''}")
    return found


def as_table(found: Sequence[dict[str, Any]]) -> str:
    """For people."""
    heads = ["rule", "mel, mean", "mel, most", "tokens", "worst window", "kept", "n", "accuracy", "minus whole", "same"]
    return table(heads, [_cells(one) for one in found])


def _clip(one: Paper, *, muted: bool) -> list[RawWindow]:
    (windows,) = media([one.script], "cpu")
    if not muted:
        return windows
    silent = [replace(raw, samples=np.zeros_like(raw.samples)) for raw in windows if raw.start < _MUTED_S]
    return [*silent, *windows[len(silent) :]]


def _opened(model: LiveModel, clips: Sequence[list[RawWindow]]) -> list[tuple[Any, list[RawWindow]]]:
    """A conversation for each clip, for what its encoders carry."""
    facts = model.facts
    budget = facts.window_seconds * (facts.video_rate + facts.audio_rate)
    return [(model.open(budget=budget), clip) for clip in clips]


@torch.inference_mode()
def _heard(model: LiveModel, clip: Sequence[RawWindow], rule: Rule | None, windows: Sequence[EncodedWindow]) -> _Heard:
    """A clip under a rule, or whole; its pictures as they were seen."""
    audio, seconds = model.model.audio, model.facts.window_seconds
    samples = torch.from_numpy(np.concatenate([raw.samples for raw in clip if raw.samples is not None]))
    if rule is None:
        mels = list(torch.split(whole(samples, bins=audio.bins), 100 * seconds, dim=1))
    else:
        mels = features(samples, rule, seconds=seconds, bins=audio.bins)
    encoded = [audio(mel[None].to(audio.device)) for mel in mels]
    replaced = [
        replace(window, audio=tokens[0], saliency=saliency[0])
        for window, (tokens, saliency) in zip(windows, encoded, strict=True)
    ]
    stays = [
        torch.zeros(len(seen[0]), dtype=torch.bool).index_fill_(0, keep_audio(seen[0]).cpu(), True)
        for _, seen in encoded
    ]
    return _Heard(torch.cat(mels, dim=1), torch.stack([one[0] for one, _ in encoded]), torch.stack(stays), replaced)


def _require_same(heard: Sequence[_Heard], streams: Sequence[Sequence[EncodedWindow]]) -> None:
    for one, windows in zip(heard, streams, strict=True):
        served = torch.stack([window.audio for window in windows if window.audio is not None])
        if float((one.tokens - served).norm() / served.norm()) > _NEAR:
            raise ArithmeticError("the encoder that serves does not do what this benchmark takes for it")


def _apart(heard: Sequence[_Heard], reference: Sequence[_Heard]) -> dict[str, Any]:
    """Differences to the whole clips: features in their own unit (a quarter of a decade), tokens relative."""
    pairs = list(zip(heard, reference, strict=True))
    mel = torch.cat([(one.mel - other.mel).abs().flatten() for one, other in pairs])
    error, size = (torch.cat([part(*pair) for pair in pairs]) for part in (_error, _size))
    kept = torch.cat([(one.stays & other.stays).flatten() for one, other in pairs]).sum()
    return {
        "mel_mean": round(float(mel.mean()), 6),
        "mel_most": round(float(mel.max()), 4),
        "tokens": round(float((error.square().sum() / size.square().sum()).sqrt()), 6),
        "worst_window": round(float((error / size).max()), 5),
        "kept": round(float(kept / sum(one.stays.sum() for one in reference)), 5),
    }


def _error(one: _Heard, other: _Heard) -> Tensor:
    error: Tensor = torch.linalg.vector_norm(one.tokens - other.tokens, dim=(1, 2))
    return error


def _size(one: _Heard, other: _Heard) -> Tensor:
    size: Tensor = torch.linalg.vector_norm(other.tokens, dim=(1, 2))
    return size


def _cells(one: dict[str, Any]) -> list[str]:
    told = ["", "", "", ""]
    if "n" in one:
        value, low, high = (100 * part for part in one["difference"])
        apart = "" if one["rule"] == _REFERENCE else f"{value:+.1f} [{low:+.1f}, {high:+.1f}]"
        told = [str(one["n"]), f"{100 * one['accuracy']:.1f}", apart, f"{100 * one['same_answers']:.1f} %"]
    return [
        one["rule"] + (", muted at first" if one["muted"] else ""),
        f"{one['mel_mean']:.5f}",
        f"{one['mel_most']:.3f}",
        f"{100 * one['tokens']:.2f} %",
        f"{100 * one['worst_window']:.1f} %",
        f"{100 * one['kept']:.1f} %",
        *told,
    ]
