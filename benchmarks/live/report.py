"""Episodes as lines, and all of them as one line of JSON. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.live.episode import Played
from benchmarks.report import table
from benchmarks.statistics import percentile


def lines(played: Played) -> list[str]:
    """An episode for people: what was asked, heard, answered, and how long each part took."""
    episode, story = played.episode, played.story
    marks = [f"{'right' if played.right else 'WRONG'}", f"{'heard' if played.heard else 'MISHEARD'}"]
    parts = ", ".join(f"{name} {ms:.0f}" for name, ms in story.parts_ms.items())
    took = "no text" if played.ttft_ms is None else f"first text after {played.ttft_ms:.0f} ms"
    script = f"seed {episode.script.seed}, {episode.script.windows} windows"
    return [
        f"{episode.number:2}  {', '.join(marks)}  {episode.qa.category} ({script})",
        f"    asked   {episode.qa.text}",
        f"    heard   {story.text if story.text is not None else f'- ({story.ended})'}",
        f"    truth   {episode.qa.answer}",
        f"    answer  {story.answer if story.answer is not None else f'- ({story.ended})'}",
        f"    {took} (by the server: {parts or '-'} ms); {story.windows} windows, {story.windows_lost} lost; "
        f"skew {_or_dash(played.skews_ms, lambda skews: f'{percentile([abs(skew) for skew in skews], 0.95):.1f}')} ms",
    ]


def result(episodes: Sequence[Played]) -> dict[str, Any]:
    """The JSON line's figures. Percentiles are nearest ranks; those of nothing are null."""
    ttfts = [one.ttft_ms for one in episodes if one.ttft_ms is not None]
    skews = [abs(skew) for one in episodes for skew in one.skews_ms]
    return {
        "bench": "live",
        "episodes": len(episodes),
        "transcripts_exact": sum(one.heard for one in episodes),
        "answers_exact": sum(one.right for one in episodes),
        "ttft_ms_p50": _percentile(ttfts, 0.5),
        "ttft_ms_p95": _percentile(ttfts, 0.95),
        "windows_lost": sum(one.story.windows_lost for one in episodes),
        "av_skew_ms_p95": _percentile(skews, 0.95),
        "answered": len(ttfts),
        "windows": sum(one.story.windows for one in episodes),
        "packets_lost": sum(one.packets_lost for one in episodes),
        "unasked_questions": sum(one.story.unasked for one in episodes),
        "parts_ms": parts(episodes),
        "rows": [_row(one) for one in episodes],
    }


def parts(episodes: Sequence[Played]) -> dict[str, dict[str, float | None]]:
    """Median and 95th percentile of each part; `delivery` is what lies outside of the server's reckoning."""
    told = [one.story.parts_ms for one in episodes if one.story.parts_ms]
    found = {name: [one[name] for one in told] for name in (told[0] if told else ())}
    found["delivery"] = [
        one.ttft_ms - one.story.server_ttft_ms
        for one in episodes
        if one.ttft_ms is not None and one.story.server_ttft_ms is not None
    ]
    return {name: {"p50": _percentile(ms, 0.5), "p95": _percentile(ms, 0.95)} for name, ms in found.items()}


def parts_table(found: dict[str, Any]) -> str:
    """The parts for people."""
    rows = [[name, *(_or_dash(value, "{:.1f}".format) for value in of.values())] for name, of in found.items()]
    return table(["last voiced sample to first text", "p50 ms", "p95 ms"], rows)


def _row(one: Played) -> dict[str, Any]:
    episode, story = one.episode, one.story
    return {
        "seed": episode.script.seed,
        "windows": episode.script.windows,
        "category": episode.qa.category,
        "asked": episode.qa.text,
        "heard": story.text,
        "truth": episode.qa.answer,
        "answer": story.answer,
        "ended": story.ended,
        "ttft_ms": None if one.ttft_ms is None else round(one.ttft_ms, 1),
        "parts_ms": {name: round(ms, 1) for name, ms in story.parts_ms.items()},
        "retention": story.retention,
    }


def _percentile(values: Sequence[float], share: float) -> float | None:
    return round(percentile(values, share), 1) if values else None


def _or_dash(value: Any, shown: Callable[[Any], str]) -> str:
    return "-" if value is None or value == [] else shown(value)
