"""The broker's configuration that we give away: Mosquitto takes it, and it lets in whom it says."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.ports import free_port
from tests.stream_service.answers.broker import Listener, Mosquitto, send
from tests.stream_service.answers.test_mqtt import certificate

pytestmark = [pytest.mark.default, pytest.mark.timeout(240)]
CONFIGS = Path(__file__).parents[3] / "configs" / "broker"
__all__ = ["certificate"]


@pytest.fixture
def broker(certificate: Path, tmp_path: Path) -> Iterator[Mosquitto]:
    users = tmp_path / "users"
    for number, name in enumerate(("omnidrop", "listener", "homeassistant")):
        command = ["mosquitto_passwd", *(["-c"] if number == 0 else []), "-b", str(users), name, f"{name}-secret"]
        subprocess.run(command, check=True, capture_output=True)
    port = free_port()
    text = (CONFIGS / "mosquitto.conf").read_text(encoding="utf-8")
    for ours, here in {
        "listener 8883": f"listener {port} 127.0.0.1",
        "/etc/mosquitto/omnidrop/topics.acl": str(CONFIGS / "topics.acl"),
        "/etc/mosquitto/omnidrop/users": str(users),
        "/etc/mosquitto/omnidrop": str(certificate),
        "/var/lib/mosquitto/": f"{tmp_path}/",
    }.items():
        assert ours in text
        text = text.replace(ours, here)
    broker = Mosquitto(tmp_path, port=port, config=text + "user root\n")
    yield broker
    broker.kill()


def test_everyone_may_do_what_the_list_says_and_nothing_else(broker: Mosquitto, certificate: Path) -> None:
    def of(name: str) -> tuple[str, ...]:
        return ("--cafile", str(certificate / "server.pem"), "-u", name, "-P", f"{name}-secret")

    hears = Listener(broker, "omnidrop/#", options=of("listener"))
    asked = Listener(broker, "omnidrop/+/ask", options=of("omnidrop"))
    send(broker, "omnidrop/porch/answers", "forged", *of("listener"))
    send(broker, "homeassistant/sensor/x/config", "forged", *of("listener"))
    send(broker, "omnidrop/porch/ask", "from a client", *of("listener"))
    send(broker, "omnidrop/porch/ask", "from the house", *of("homeassistant"))
    for what in ("events", "answers", "errors"):
        send(broker, f"omnidrop/porch/{what}", "from the service", *of("omnidrop"))
    send(broker, "omnidrop/status", "online", *of("omnidrop"))
    hears.until("omnidrop/status")
    assert asked.until("omnidrop/porch/ask", 2) == ["from a client", "from the house"]
    for what in ("events", "answers", "errors"):
        assert hears.of(f"omnidrop/porch/{what}") == ["from the service"]
    hears.close()
    asked.close()
    with pytest.raises(subprocess.CalledProcessError):
        send(broker, "omnidrop/porch/ask", "from nobody", "--cafile", str(certificate / "server.pem"))
