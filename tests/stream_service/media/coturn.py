"""A real coturn on loopback, with the shared-secret scheme of credentials."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from stream_service.media import MediaSettings

SECRET = "north-wind"


def free_port() -> int:
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Coturn:
    """A coturn on loopback that relays from the ports ``first`` to ``last``."""

    first, last = 46_000, 46_063

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        program = shutil.which("turnserver")
        assert program is not None, "install the Debian package coturn"
        self.log = folder / "coturn.log"
        command = [
            program, "-n", "--no-cli", "--no-tls", "--no-dtls", "--simple-log", "--log-file", self.log, "--verbose",
            "--pidfile", folder / "coturn.pid", "--listening-ip", "127.0.0.1", "--listening-port", self.port,
            "--relay-ip", "127.0.0.1", "--min-port", self.first, "--max-port", self.last, "--allow-loopback-peers",
            "--realm", "omnidrop.test", "--use-auth-secret", "--static-auth-secret", SECRET,
        ]  # fmt: skip
        self.process = subprocess.Popen(list(map(str, command)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._until_it_listens()

    @property
    def url(self) -> str:
        return f"turn:127.0.0.1:{self.port}?transport=udp"

    def settings(self, **more: Any) -> MediaSettings:
        return MediaSettings(
            turn_urls=(self.url,), turn_secret=SecretStr(SECRET), bind=("127.0.0.1",), silence_s=1.0, **more
        )

    def relayed(self, port: int) -> bool:
        return self.first <= port <= self.last

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()

    def _until_it_listens(self) -> None:
        end = time.monotonic() + 20
        while time.monotonic() < end and self.process.poll() is None:
            with closing(socket.socket()) as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
        raise AssertionError("coturn does not listen: " + self.log.read_text(errors="replace"))
