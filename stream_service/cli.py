"""The ``omnidrop`` command: serve, ask a clip, stream a source to a server, export events, make a token, evaluate,
calibrate.

Exit status: 0 done, 1 it could not be done, 2 the input was bad (arguments, configuration, clip), 130 interrupted.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import uvloop
from pydantic import ValidationError

from benchmarks.calibration import arguments as calibration
from benchmarks.evaluation import arguments as evaluation
from clients.python import cli as client
from stream_service import app, logs
from stream_service.answers.store_export import export
from stream_service.api import certificate, tokens
from stream_service.api.http import release
from stream_service.api.security import is_loopback
from stream_service.api.tokens import Scope
from stream_service.ask import Asked
from stream_service.config import Config, load
from stream_service.errors import InvalidConfig, InvalidInput, OmniDropError, UnsupportedMedia


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parsed = _parser().parse_args(arguments)
    logs.configure(parsed.log, "text")
    try:
        status: int = parsed.run(parsed)
    except OmniDropError as error:
        print(f"omnidrop: {error.message.rstrip('.')}. {error.remedy}", file=sys.stderr)
        return 2 if isinstance(error, InvalidInput | UnsupportedMedia) else 1
    except KeyboardInterrupt:
        return 130
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="omnidrop", description="Ask a live camera and microphone aloud.")
    parser.add_argument("--version", action="version", version=f"omnidrop {release()}")
    parser.add_argument("--log", default="warning", choices=["debug", "info", "warning", "error"])
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    serving = commands.add_parser("serve", help="run the service and its page")
    serving.add_argument("--config", type=Path, metavar="FILE", help="YAML (configs/nano.yaml lists every key)")
    serving.add_argument(
        "--dev-certificate",
        action="store_true",
        help="serve HTTPS with a certificate made here, for phones; beyond loopback, a token is made if there is none",
    )
    serving.set_defaults(run=_serve)

    asking = commands.add_parser("ask", help="ask a video or audio file")
    asking.add_argument("clip", type=Path, metavar="CLIP", help="a file with a video track, an audio track, or both")
    asking.add_argument("question", metavar="QUESTION")
    asking.add_argument("--config", type=Path, metavar="FILE", help="YAML configuration, for its engine section")
    asking.add_argument("--retention", type=float, metavar="R", help="mean share of tokens over all layers, 0 to 1")
    asking.add_argument("--json", action="store_true", help="print the answer with its figures as one JSON object")
    asking.set_defaults(run=_ask)

    exporting = commands.add_parser("export", help="print a session's events as JSON lines")
    exporting.add_argument("session", metavar="SESSION", help="id or name; of several with that name, the newest")
    exporting.add_argument("--config", type=Path, metavar="FILE", help="YAML configuration, for its answers.log")
    exporting.set_defaults(run=_export)

    streaming = commands.add_parser("stream", help="publish a file or device to a server, ask, and print events")
    client.add_arguments(streaming)
    streaming.set_defaults(run=client.stream)

    checking = commands.add_parser("doctor", help="look at camera origin, ports, TURN, broker, GPU and weights")
    checking.add_argument("--config", type=Path, metavar="FILE", help="the configuration to look at")
    checking.set_defaults(run=_doctor)

    evaluating = commands.add_parser("eval", help="answer a published benchmark with a model and a pruning method")
    evaluation.add_arguments(evaluating)
    evaluating.set_defaults(run=_evaluate)

    calibrating = commands.add_parser("calibrate", help="choose how a model is pruned; writes a configuration file")
    calibration.add_arguments(calibrating)
    calibrating.set_defaults(run=_calibrate)

    minting = commands.add_parser("token", help="make a bearer token and its line for server.tokens_file")
    minting.add_argument("--scopes", default=",".join(Scope), help="of publish,ask,subscribe,admin (default: all)")
    minting.add_argument("--name", default="", help="who holds it")
    minting.set_defaults(run=_token)
    return parser


def _export(parsed: argparse.Namespace) -> int:
    log = load(parsed.config, os.environ).answers.log
    if log == "memory":
        raise InvalidConfig(
            "The events are kept in memory.",
            field="answers.log",
            remedy="Ask the running server: GET /v1/sessions/SESSION/events with Accept: application/x-ndjson.",
        )
    for line in export(log, parsed.session):
        print(line)
    return 0


def _serve(parsed: argparse.Namespace) -> int:
    config = load(parsed.config, os.environ)
    logs.configure(parsed.log, config.server.log_format)
    key = ""
    if parsed.dev_certificate:
        server = certificate.development(config.server, _state_folder(), datetime.now(UTC))
        if not server.guarded and not is_loopback(server.host):
            token = tokens.fresh()
            server = server.model_copy(update={"tokens": (tokens.AccessToken.model_validate(token),)})
            key = f"/#token={token}"  # the page keeps it and takes it out of the address; it is never sent in one
        config = config.model_copy(update={"server": server})
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(app.serve(config, lambda url: print(f"OmniDrop Live is at {url}{key}", flush=True)))
    return 0


def _doctor(parsed: argparse.Namespace) -> int:
    from stream_service import doctor  # it looks at the GPU through torch, which no other command loads here

    config = load(parsed.config, os.environ)

    async def tell() -> int:
        failed = False
        async for finding in doctor.examine(config):
            print(f"{finding.level:4}  {finding.subject:8} {finding.message.rstrip('.')}", flush=True)
            if finding.remedy:
                print(f"      {'':8} -> {finding.remedy}", flush=True)
            failed |= finding.level == "fail"
        return int(failed)

    return asyncio.run(tell())


def _evaluate(parsed: argparse.Namespace) -> int:
    from benchmarks.evaluation.__main__ import evaluate  # it loads torch

    return evaluate(parsed)


def _calibrate(parsed: argparse.Namespace) -> int:
    from benchmarks.calibration.__main__ import calibrate  # it loads torch

    return calibrate(parsed)


def _state_folder() -> Path:
    """Where this user's programs keep what they can make again (XDG base directories)."""
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "omnidrop"


def _token(parsed: argparse.Namespace) -> int:
    token = tokens.fresh()
    fields = {"token": token, "scopes": parsed.scopes.split(",")} | ({"name": parsed.name} if parsed.name else {})
    try:
        kept = tokens.AccessToken.model_validate(fields)
    except ValidationError as error:
        field = str(error.errors()[0]["loc"][0])
        raise InvalidInput(
            f"Wrong {field}.", field=field, remedy="Scopes are publish,ask,subscribe,admin; a name is letters and -._"
        ) from None
    print(f"Token, shown only here: {token}")
    print(f"Line for server.tokens_file: sha256:{kept.sha256} {','.join(kept.scopes)} {parsed.name}".rstrip())
    return 0


def _ask(parsed: argparse.Namespace) -> int:
    config: Config = load(parsed.config, os.environ)
    asked = asyncio.run(app.ask(config, parsed.clip, parsed.question, parsed.retention))
    print(_as_json(asked) if parsed.json else asked.answer.text)
    return 0


def _as_json(asked: Asked) -> str:
    answer = asked.answer
    return json.dumps(
        {
            "question": asked.question,
            "answer": answer.text,
            "finish_reason": answer.finish_reason,
            "seconds": asked.seconds,
            "windows": asked.windows,
            "retention": answer.retention,
            "deep_share": answer.deep_share,
            "tokens_per_layer": answer.tokens_per_layer,
            "generated": answer.generated,
            "timings_ms": answer.timings_ms,
        }
    )
