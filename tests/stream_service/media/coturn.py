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

from benchmarks.ports import free_port
from stream_service.media import MediaSettings

SECRET = "north-wind"


class Coturn:
    """A coturn on loopback that relays from the ports ``first`` to ``last``, which no host candidate is given."""

    first, last = 26_000, 26_063

    def __init__(self, folder: Path) -> None:
        self.port = free_port(socket.SOCK_DGRAM)
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
            turn_urls=(self.url,), turn_secret=SecretStr(SECRET), bind=("127.0.0.1",), silence_s=2.0, **more
        )

    def relayed(self, port: int) -> bool:
        return self.first <= port <= self.last

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()

    def _until_it_listens(self) -> None:
        end = time.monotonic() + 60
        while time.monotonic() < end and self.process.poll() is None:
            if self._hears(socket.SOCK_DGRAM) and self._hears(socket.SOCK_STREAM):
                return
            time.sleep(0.05)
        raise AssertionError("coturn does not listen: " + self.log.read_text(errors="replace"))

    def _hears(self, kind: socket.SocketKind) -> bool:
        """Whether it answers a binding request (RFC 8489 §5): one transport may be there before the other."""
        with closing(socket.socket(socket.AF_INET, kind)) as probe:
            probe.settimeout(1.0)
            try:
                probe.connect(("127.0.0.1", self.port))
                probe.sendall(b"\0\x01\0\0\x21\x12\xa4\x42" + bytes(12))
                return probe.recv(1024).startswith(b"\x01\x01")
            except OSError:
                return False
