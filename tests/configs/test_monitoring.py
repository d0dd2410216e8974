"""Alerts and dashboard speak of metrics that the service has, and Prometheus takes both."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from stream_service.metrics import Metrics

CONFIGS = Path(__file__).parents[2] / "configs"
RULES = CONFIGS / "prometheus" / "rules.yml"
DASHBOARD = CONFIGS / "grafana" / "dashboards" / "omnidrop.json"


def known() -> set[str]:
    names, metrics = set(), Metrics()
    metrics.watch_broker(lambda: True)
    metrics.watch_log(lambda: False)
    for family in metrics.registry.collect():
        suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum")}.get(family.type, ("",))
        names |= {family.name + suffix for suffix in suffixes}
    return names


def expressions() -> Iterator[str]:
    for group in yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]:
        yield from (rule["expr"] for rule in group["rules"])
    for panel in dashboard()["panels"]:
        yield from (target["expr"] for target in panel["targets"])


def dashboard() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    return document


def test_every_metric_that_is_looked_at_exists() -> None:
    named = {name for expression in expressions() for name in re.findall(r"omnidrop_\w+", expression)}
    assert len(named) > 20
    assert named <= known()


def test_every_metric_is_looked_at() -> None:
    looked = " ".join(expressions())
    families = {re.sub(r"_(total|bucket|count|sum)$", "", name) for name in known()}
    unseen = {family for family in families if family not in looked} - {"omnidrop_reconnect_gap_seconds"}
    assert unseen <= {"omnidrop_degradation"}, "alerts watch the degraded windows instead"


def test_panels_are_laid_out_without_overlap() -> None:
    cells: set[tuple[int, int]] = set()
    for panel in dashboard()["panels"]:
        place = panel["gridPos"]
        mine = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not mine & cells, panel["title"]
        assert max(x for x, _ in mine) < 24
        cells |= mine


@pytest.mark.default
@pytest.mark.parametrize("command", [["check", "rules", "rules.yml"], ["test", "rules", "rules.test.yml"]])
def test_prometheus_takes_the_rules(command: list[str]) -> None:
    ours = Path(sys.executable).parent / "promtool"  # where scripts/promtool puts it
    program = shutil.which("promtool") or (ours if ours.is_file() else pytest.fail("no promtool: make system-packages"))
    done = subprocess.run([program, *command], cwd=RULES.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
