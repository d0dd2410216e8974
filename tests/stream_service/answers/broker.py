"""A real Mosquitto on loopback, that a test may kill and start again, and its command-line clients."""

from __future__ import annotations

import json
import socket
import subprocess
import threading
import time
from pathlib import Path
from typing import IO, Any

from benchmarks.ports import free_port


class Mosquitto:
    """Keeps its port and messages over restarts; ``lines`` add to its configuration, ``config`` replaces it."""

    def __init__(self, folder: Path, *lines: str, port: int | None = None, config: str | None = None) -> None:
        self.port = port or free_port()
        self._config = folder / "mosquitto.conf"
        access = [] if any("allow_anonymous" in line for line in lines) else ["allow_anonymous true"]
        keeping = ["persistence true", f"persistence_location {folder}/"]
        keeping += ["autosave_interval 1", "autosave_on_changes true"]
        settings = [f"listener {self.port} 127.0.0.1", "user root", *keeping, *access, *lines]
        self._config.write_text(config or "\n".join(settings) + "\n")
        self._log = folder / "mosquitto.log"
        self.start()

    def start(self) -> None:
        """Returns once it accepts connections."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(["mosquitto", "-c", str(self._config)], stdout=log, stderr=log)
        deadline = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                assert self._process.poll() is None, self._log.read_text()
                assert time.monotonic() < deadline, self._log.read_text()
                time.sleep(0.02)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(60)


class Listener:
    """``mosquitto_sub``: what comes to ``topics`` while it is open, as (topic, payload, retained)."""

    def __init__(self, broker: Mosquitto, *topics: str, options: tuple[str, ...] = ()) -> None:
        self.messages: list[tuple[str, str, bool]] = []
        self._changed = threading.Condition()
        chosen = [part for topic in topics for part in ("-t", topic)]
        command = [
            "stdbuf",
            "-oL",
            "mosquitto_sub",
            "-h",
            "127.0.0.1",
            "-p",
            str(broker.port),
            "-q",
            "1",
            "-F",
            "%j",
            *chosen,
            *options,
        ]
        self._process = subprocess.Popen([*command, "-d"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert self._process.stdout is not None
        self._subscribed = threading.Event()
        self._reader = threading.Thread(target=self._read, args=(self._process.stdout,), daemon=True)
        self._reader.start()
        assert self._subscribed.wait(60), "mosquitto_sub did not subscribe"

    def until(self, topic: str, count: int = 1, timeout_s: float = 60.0) -> list[str]:
        """The payloads that came to ``topic``, once there are ``count``."""
        with self._changed:
            found = self._changed.wait_for(lambda: len(self.of(topic)) >= count, timeout_s)
            assert found, f"{len(self.of(topic))} of {count} messages came to {topic}; all: {self.messages[-20:]}"
            return self.of(topic)

    def of(self, topic: str) -> list[str]:
        return [payload for heard, payload, _ in self.messages if heard == topic]

    def events(self, topic: str) -> list[dict[str, Any]]:
        return [json.loads(payload) for payload in self.of(topic)]

    def close(self) -> None:
        self._process.kill()
        self._process.wait(60)
        self._reader.join(60)

    def _read(self, stream: IO[str]) -> None:
        for line in stream:
            if "received SUBACK" in line:
                self._subscribed.set()
            elif line.startswith("{"):
                message = json.loads(line)
                with self._changed:
                    self.messages.append((message["topic"], message["payload"], bool(message["retain"])))
                    self._changed.notify_all()
        stream.close()


def send(broker: Mosquitto, topic: str, payload: str, *options: str) -> None:
    """``mosquitto_pub`` with QoS 1."""
    command = ["mosquitto_pub", "-h", "127.0.0.1", "-p", str(broker.port), "-q", "1", "-t", topic, "-s", *options]
    subprocess.run(command, input=payload.encode("utf-8", "surrogateescape"), check=True, timeout=60)
