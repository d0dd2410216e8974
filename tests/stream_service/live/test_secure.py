"""The server as a phone meets it: HTTPS by its own certificate, a token made for it, nothing secret in its log."""

from __future__ import annotations

import json
import os
import re
import signal
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

pytestmark = pytest.mark.default


class Secure:
    """``omnidrop serve --dev-certificate`` beyond loopback, logging all it can as JSON."""

    def __init__(self, model: str, folder: Path) -> None:
        settings = {
            "OMNIDROP_SERVER__HOST": "0.0.0.0",
            "OMNIDROP_SERVER__PORT": "0",
            "OMNIDROP_SERVER__LOG_FORMAT": "json",
            "OMNIDROP_ENGINE__MODEL": model,
            "OMNIDROP_ENGINE__THREADS": "1",
            "OMNIDROP_SPEECH__MODE": "off",
            "OMNIDROP_ANSWERS__LOG": "memory",
            "XDG_STATE_HOME": str(folder),
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "stream_service", "--log", "debug", "serve", "--dev-certificate"],
            env=os.environ | settings,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.log: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        told = re.fullmatch(r"OmniDrop Live is at https://\S+:(\d+)/#token=(\S+)\n", self.process.stdout.readline())
        assert told, "".join(self.log)
        self.address, self.token = f"127.0.0.1:{told[1]}", told[2]
        self.trust = ssl.create_default_context(cafile=folder / "omnidrop" / "certificate.pem")

    def _read(self) -> None:
        assert self.process.stderr is not None
        self.log.extend(self.process.stderr)

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(60)
        self._reader.join(60)
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self.process.stdout.close()
        self.process.stderr.close()
        return status


@pytest.fixture
def secure(model: str, tmp_path: Path) -> Iterator[Secure]:
    running = Secure(model, tmp_path)
    yield running
    if running.process.poll() is None:
        running.stop()


def test_https_a_ticket_and_a_log_without_secrets(secure: Secure) -> None:
    bearer = {"Authorization": f"Bearer {secure.token}"}
    wrong = "a-wrong-token-that-somebody-tries"
    with httpx.Client(base_url=f"https://{secure.address}", verify=secure.trust, timeout=60) as client:
        assert client.get("/v1/sessions").status_code == 401
        assert client.get("/v1/sessions", headers={"Authorization": f"Bearer {wrong}"}).status_code == 401
        assert client.get("/v1/sessions", headers=bearer).json() == {"sessions": []}
        made = client.post("/v1/tickets", json={"session": "door"}, headers=bearer).json()["ticket"]
    socket = f"wss://{secure.address}/v1/sessions/door/answers"
    with connect(f"{socket}?ticket={made}", ssl=secure.trust) as opened:
        assert json.loads(opened.recv())["code"] == "not_found"
    with pytest.raises(InvalidStatus):
        connect(f"{socket}?ticket={made}", ssl=secure.trust)
    with connect(socket, ssl=secure.trust, additional_headers=bearer) as opened:
        opened.recv()
    assert secure.stop() == 0
    lines = [json.loads(line) for line in secure.log]
    assert any("/v1/sessions/door/answers" in line["message"] for line in lines), "it logs what it may"
    assert [line for line in lines if line["level"] in ("error", "critical")] == [], "to refuse is no mistake"
    told = "".join(secure.log)
    assert [secret for secret in (secure.token, made, wrong) if secret in told] == []
