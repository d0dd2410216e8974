"""The Dockerfile and docker-compose.yml, where no Docker runs: what they name is there, and fits together."""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from stream_service.api.tokens import Scope, digest_of, read_file
from stream_service.config import Config, load

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = ("omnidrop-cpu", "omnidrop-gpu")
MADE = {"./secrets/tls", "./secrets/tokens", "./secrets/metrics_token"}
"""What scripts/compose-secrets makes."""
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")


EMPTY = ["TORCH_INDEX", "TLS_CERTIFICATE", "TLS_KEY", "OTEL_EXPORTER_OTLP_ENDPOINT"]
"""What may stay empty in .env."""


def filled(text: str, values: dict[str, str]) -> str:
    """``text`` with ${NAME} and ${NAME:-default} replaced as Compose does."""
    return re.sub(r"\$\{(\w+)(?::-([^}]*))?\}", lambda found: values.get(found[1]) or found[2] or "", text)


def example() -> dict[str, str]:
    lines = (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def test_every_mounted_path_is_in_the_repository_or_a_volume() -> None:
    for name, service in SERVICES.items():
        for volume in service.get("volumes", []):
            source = filled(volume, example()).split(":")[0]
            if source.startswith("./"):
                assert source in MADE | {"./models"} or (ROOT / source).exists(), (name, volume)
            else:
                assert source in COMPOSE["volumes"], (name, volume)
        assert set(service.get("secrets", [])) <= set(COMPOSE["secrets"])
    assert {secret["file"] for secret in COMPOSE["secrets"].values()} <= MADE


def test_every_variable_has_a_line_in_the_example() -> None:
    named = set(re.findall(r"(?<!\$)\$\{(\w+)", (ROOT / "docker-compose.yml").read_text(encoding="utf-8")))
    assert named | {"COMPOSE_PROFILES"} == set(example())


@pytest.mark.parametrize("name", OURS)
def test_the_service_takes_its_environment(name: str) -> None:
    values = example() | {"TURN_SECRET": "k1", "MQTT_PASSWORD": "k2"}
    environ = {key: filled(str(value), values) for key, value in SERVICES[name]["environment"].items()}
    config = load(ROOT / "configs" / "nano.yaml", environ)
    assert config.server.guarded
    assert config.server.tls_certificate is None
    assert config.engine.device == ("cuda" if name == "omnidrop-gpu" else "cpu")
    tls = {"TLS_CERTIFICATE": "/run/tls/certificate.pem", "TLS_KEY": "/run/tls/key.pem"}
    environ = {key: filled(str(value), values | tls) for key, value in SERVICES[name]["environment"].items()}
    assert load(None, environ).server.scheme == "https"


def test_ports_agree_with_the_image_and_the_configuration() -> None:
    service = SERVICES["omnidrop-cpu"]
    (web, media) = service["ports"]
    assert web.endswith(f":{Config().server.port}")
    first, last = yaml.safe_load(service["environment"]["OMNIDROP_MEDIA__UDP_PORTS"])
    assert media == f"{first}-{last}:{first}-{last}/udp"
    assert f"EXPOSE {Config().server.port}/tcp {first}-{last}/udp" in DOCKERFILE
    turn = (ROOT / "configs" / "coturn" / "turnserver.conf").read_text(encoding="utf-8")
    low, high = (re.search(rf"^{bound}-port=(\d+)$", turn, re.MULTILINE) for bound in ("min", "max"))
    assert low
    assert high
    assert f"{low[1]}-{high[1]}:{low[1]}-{high[1]}/udp" in SERVICES["coturn"]["ports"]


def test_the_addresses_inside_agree() -> None:
    scrape = yaml.safe_load((ROOT / "configs" / "prometheus" / "prometheus.yml").read_text(encoding="utf-8"))
    (job,) = scrape["scrape_configs"]
    assert job["static_configs"][0]["targets"] == [f"omnidrop:{Config().server.port}"]
    assert job["authorization"]["credentials_file"] == "/run/secrets/metrics_token"
    assert scrape["rule_files"][0] in {volume.split(":")[1] for volume in SERVICES["prometheus"]["volumes"]}
    assert all("omnidrop" in SERVICES[name]["networks"]["default"]["aliases"] for name in OURS)
    assert SERVICES["omnidrop-cpu"]["environment"]["OMNIDROP_MQTT__HOST"] in SERVICES
    grafana = ROOT / "configs" / "grafana" / "provisioning"
    source = yaml.safe_load((grafana / "datasources" / "prometheus.yml").read_text(encoding="utf-8"))["datasources"][0]
    assert source["url"] == "http://prometheus:9090"
    provider = yaml.safe_load((grafana / "dashboards" / "omnidrop.yml").read_text(encoding="utf-8"))["providers"][0]
    assert provider["options"]["path"] in {volume.split(":")[1] for volume in SERVICES["grafana"]["volumes"]}


@pytest.mark.parametrize("name", SERVICES)
def test_every_container_is_confined_and_pinned(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert re.search(r":v?\d+\.\d+|^omnidrop-live:(cpu|gpu)$", service["image"])
    assert name in OURS or "healthcheck" in service


def test_the_image_copies_what_is_there_runs_what_it_installs_and_not_as_root() -> None:
    for sources in re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE):
        assert all((ROOT / source).exists() for source in sources.split()), sources
    assert re.search(r"^USER 10001:10001$", DOCKERFILE, re.MULTILINE)
    assert re.search(r"^ARG PYTHON=3\.11\.\d+-slim-bookworm$", DOCKERFILE, re.MULTILINE)
    allowed = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    copied = {
        source for line in re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE) for source in line.split()
    }
    assert copied == set(allowed)
    assert os.access(ROOT / "scripts" / "container-health", os.X_OK)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for name in ("docker-compose.yml", ".env.example"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts")
    return tmp_path


def prepare(copy: Path) -> str:
    return subprocess.run([copy / "scripts" / "compose-secrets"], capture_output=True, text=True, check=True).stdout


def test_the_secrets_are_made_once_and_fit(copy: Path) -> None:
    told = prepare(copy)
    page = re.search(r"#token=(\S+)", told)
    assert page
    operator, prometheus = read_file(copy / "secrets" / "tokens")
    assert operator.sha256 == digest_of(page[1])
    assert prometheus.sha256 == digest_of((copy / "secrets" / "metrics_token").read_text())
    assert prometheus.client.may(Scope.ADMIN)
    assert (copy / ".env").stat().st_mode & 0o077 == 0
    before = (copy / ".env").read_text()
    assert re.findall(r"^(\w+)=$", before, re.MULTILINE) == EMPTY
    assert prepare(copy) == ""
    assert (copy / ".env").read_text() == before


@pytest.mark.default
def test_compose_takes_the_file(copy: Path) -> None:
    program = shutil.which("docker-compose")
    if program is None:
        pytest.fail("Debian's docker-compose is not installed: make system-packages")
    prepare(copy)
    done = subprocess.run([program, "config", "--services"], cwd=copy, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert set(done.stdout.split()) == set(SERVICES)
