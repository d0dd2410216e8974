"""The documentation speaks of what is there: files, keys, commands, routes, alerts; its example runs."""

import json
import re
from pathlib import Path

import pytest
import yaml

from stream_service.cli import main
from stream_service.config import Config

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs").glob("*.md"))
TEXT = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        assert target.startswith("http") or (page.parent / target).exists(), target


def test_every_key_that_is_named_exists() -> None:
    sections = Config.model_fields
    named = re.findall(r"`(\w+)\.(\w+)(?::[^`]*)?`", TEXT)
    events = json.loads((ROOT / "docs" / "api" / "asyncapi.json").read_text(encoding="utf-8"))["components"]["messages"]
    keys = [(one, key) for one, key in named if one in sections and f"{one}.{key}" not in events]
    keys += [(section.lower(), key.lower()) for section, key in re.findall(r"OMNIDROP_(\w+?)__(\w+)", TEXT)]
    assert len(keys) > 30
    for section, key in keys:
        assert key in type(getattr(Config(), section)).model_fields, (section, key)


def test_every_command_and_target_exists(capsys: pytest.CaptureFixture[str]) -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(re.findall(r"`?make ([a-z-]+)[` \n]", TEXT)) <= set(targets)
    commands = set(re.findall(r"omnidrop (?:--log info )?([a-z]+)\b", TEXT)) - {"live"}
    assert commands >= {"serve", "doctor", "token"}
    for command in commands:
        with pytest.raises(SystemExit) as done:
            main([command, "--help"])
        assert done.value.code == 0, command
    assert "--dev-certificate" in capsys.readouterr().out


def test_every_route_that_is_named_exists() -> None:
    paths = json.loads((ROOT / "docs" / "api" / "openapi.json").read_text(encoding="utf-8"))["paths"]
    named = re.findall(r"`(GET|POST|PUT|PATCH|DELETE) (/[^`?\s]+)", TEXT)
    assert len(named) > 4
    for method, path in named:
        assert method.lower() in paths[path], (method, path)


def test_every_alert_is_explained() -> None:
    rules = yaml.safe_load((ROOT / "configs" / "prometheus" / "rules.yml").read_text(encoding="utf-8"))
    alerts = {rule["alert"] for group in rules["groups"] for rule in group["rules"]}
    operating = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| (OmniDrop\w+)", operating, re.MULTILINE)) == alerts
