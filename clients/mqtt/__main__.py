"""``python -m clients.mqtt SESSION [QUESTION]``: ask over MQTT, or print events as JSON lines until interrupted."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from clients.mqtt.assistant import Assistant, Broker, MqttProblem


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status: 0 done, 1 not answered, 130 interrupted."""
    parser = argparse.ArgumentParser(prog="python -m clients.mqtt", description="Ask a live session over MQTT.")
    parser.add_argument("session", help="name or id of the session")
    parser.add_argument("question", nargs="?", help="without it, events are printed as they happen")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=1883)
    parser.add_argument("--prefix", default="omnidrop")
    parser.add_argument("--client-id", help="the broker keeps events for it while it is away")
    parser.add_argument("--username", help="the password is taken from MQTT_PASSWORD")
    parser.add_argument("--tls", action="store_true")
    parser.add_argument("--ca-file", type=Path, help="certificates to trust, PEM; implies --tls")
    parser.add_argument("--timeout", type=float, default=30.0, metavar="S", help="how long to wait for the answer")
    parsed = parser.parse_args(arguments)
    password = os.environ.get("MQTT_PASSWORD")
    broker = Broker(parsed.host, parsed.port, parsed.username, password, parsed.tls, parsed.ca_file)
    try:
        with Assistant(broker, parsed.session, prefix=parsed.prefix, client_id=parsed.client_id) as assistant:
            if parsed.question is not None:
                print(assistant.ask(parsed.question, parsed.timeout)["text"])
            else:
                for event in assistant.events():
                    print(json.dumps(event), flush=True)
    except MqttProblem as problem:
        print(problem, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
