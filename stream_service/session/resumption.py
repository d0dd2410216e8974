"""What a session leaves in its log, so that a later run of the server can go on with it."""

from __future__ import annotations

import json
from dataclasses import asdict, fields

from stream_service.answers.log import Opening
from stream_service.session.controller import SessionOptions
from stream_service.types import SessionSettings, TalkMode


def opening_of(id: str, options: SessionOptions) -> Opening:
    """How the log is to remember a session; no secret is in it, ``owner`` being a client's name."""
    kept = {
        "talk": options.talk.value,
        "barge_in": options.barge_in,
        "owner": options.owner,
        "engine": asdict(options.engine),
    }
    return Opening(id, options.name, json.dumps(kept))


def options_of(opening: Opening) -> SessionOptions:
    """The inverse; engine settings that this release does not know are left out."""
    kept = json.loads(opening.options)
    known = {field.name for field in fields(SessionSettings)}
    return SessionOptions(
        talk=TalkMode(kept["talk"]),
        barge_in=kept["barge_in"],
        name=opening.name,
        owner=kept["owner"],
        engine=SessionSettings(**{name: value for name, value in kept["engine"].items() if name in known}),
    )
