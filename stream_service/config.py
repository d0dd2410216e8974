"""A deployment's configuration: one YAML file, one section a stage, environment variables over it.

``OMNIDROP_SECTION__KEY`` overrides ``section.key``; its value is read as YAML (``OMNIDROP_SERVER__PORT=9000``,
``OMNIDROP_SERVER__TOKENS='["…"]'``). An unknown key is an error that names the nearest one. ``python -m
stream_service.config`` prints the reference with every key and default: it is ``configs/nano.yaml``.
"""

from __future__ import annotations

import difflib
import json
import re
import sys
import textwrap
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from stream_service.answers.mqtt_settings import MqttSettings
from stream_service.answers.settings import AnswersSettings
from stream_service.api.settings import ServerSettings
from stream_service.engine.settings import EngineSettings
from stream_service.errors import InvalidConfig
from stream_service.media.settings import MediaSettings
from stream_service.session.settings import SessionsSettings
from stream_service.speech.settings import SpeechSettings
from stream_service.windows.settings import WindowSettings

_PREFIX = "OMNIDROP_"
_SECRET = re.compile(r"token|credential|password|secret|url\b")  # values of such keys are never repeated


class _Loader(yaml.SafeLoader):
    """YAML 1.2's booleans, true and false only: here "off" is a word (speech.mode: off)."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:bool"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"true|True|TRUE|false|False|FALSE"), list("tTfF"))


class Config(BaseModel):
    """Every setting of a deployment."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    server: ServerSettings = Field(default_factory=ServerSettings, description="HTTP and WebSocket server.")
    media: MediaSettings = Field(default_factory=MediaSettings, description="Ingest over WebRTC.")
    windows: WindowSettings = Field(default_factory=WindowSettings, description="Cutting media into windows.")
    speech: SpeechSettings = Field(default_factory=SpeechSettings, description="Spoken questions.")
    engine: EngineSettings = Field(default_factory=EngineSettings, description="The model and its scheduler.")
    sessions: SessionsSettings = Field(default_factory=SessionsSettings, description="Sessions and their questions.")
    answers: AnswersSettings = Field(default_factory=AnswersSettings, description="Events and their subscribers.")
    mqtt: MqttSettings = Field(default_factory=MqttSettings, description="The bridge to an MQTT broker.")


def load(path: Path | None, environ: Mapping[str, str]) -> Config:
    """The configuration in the file at ``path`` (all defaults for None) with the overrides in ``environ``.

    Raises InvalidConfig: no such file, not YAML, an unknown key, a value out of range, or one that another forbids;
    ``field`` names the key.
    """
    document = {} if path is None else _read(path)
    for name, value in sorted(environ.items()):
        if name.startswith(_PREFIX) and "__" in name:
            _override(document, name, value)
    try:
        config = Config.model_validate(document)
    except ValidationError as error:
        raise _explain(error) from None
    _check_together(config)
    return config


def _check_together(config: Config) -> None:
    """What no section can know of another."""
    waiting, queue = config.sessions.waiting_questions, config.engine.question_queue
    if waiting > queue:
        raise InvalidConfig(
            f"sessions.waiting_questions is {waiting}, but the engine lets only {queue} questions wait.",
            field="sessions.waiting_questions",
            remedy=f"Lower it to {queue}, or raise engine.question_queue to {waiting}.",
        )


def _read(path: Path) -> dict[str, Any]:
    try:
        document = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise InvalidConfig(
            f"Cannot read {path}: {reason}.", remedy="Name a readable YAML file with --config."
        ) from None
    except yaml.YAMLError as error:
        where = getattr(error, "problem_mark", None)
        line = "" if where is None else f" in line {where.line + 1}"
        raise InvalidConfig(f"{path} is not YAML{line}.", remedy="Correct its indentation or quoting there.") from None
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise InvalidConfig(f"{path} holds no sections.", remedy="Write sections of keys, as in configs/nano.yaml.")
    return document


def _override(document: dict[str, Any], name: str, value: str) -> None:
    section, _, key = name.removeprefix(_PREFIX).lower().partition("__")
    try:
        parsed = yaml.load(value, _Loader)
    except yaml.YAMLError:
        raise InvalidConfig(f"{name} is not a YAML value.", field=name, remedy="Quote it as YAML would.") from None
    inside = document.setdefault(section, {})
    if not isinstance(inside, dict):
        raise InvalidConfig(f"{section} is not a section.", field=section, remedy="Write keys below it.")
    inside[key] = value if _is_text(section, key) and not isinstance(parsed, str | None) else parsed


def _is_text(section: str, key: str) -> bool:
    """Whether a key holds text, so that a password of digits is not a number."""
    part = Config.model_fields.get(section)
    holds = None if part is None else _section_of(part.annotation)
    field = None if holds is None else holds.model_fields.get(key)
    if field is None:
        return False
    # Only of a union are the arguments alternatives: tuple[str, ...] holds a list of texts, not a text.
    is_union = get_origin(field.annotation) in (Union, UnionType)
    return bool({str, SecretStr} & {field.annotation, *(get_args(field.annotation) if is_union else ())})


def _explain(error: ValidationError) -> InvalidConfig:
    """The first mistake, in words that help to correct it."""
    first = error.errors()[0]
    place = [str(part) for part in first["loc"]]
    field = ".".join(place)
    if first["type"] == "extra_forbidden":
        return InvalidConfig(f"Unknown key {field}.", field=field, remedy=_nearest(place))
    # A whole section or entry is not repeated either: a secret may stand in it.
    hidden = _SECRET.search(field) or isinstance(first["input"], Mapping)
    value = "" if hidden else f", not {json.dumps(first['input'], default=str)[:80]}"
    return InvalidConfig(f"{field}: {first['msg']}{value}.", field=field, remedy=f"Correct {field}.")


def _nearest(place: list[str]) -> str:
    """What the last part of ``place`` was probably meant to be."""
    section: type[BaseModel] = Config
    for part in place[:-1]:
        if part in section.model_fields:
            section = _section_of(section.model_fields[part].annotation) or section
    known = list(section.model_fields)
    close = difflib.get_close_matches(place[-1], known, n=1, cutoff=0.5)
    if close:
        return f"Did you mean {'.'.join([*place[:-1], close[0]])}?"
    return f"Known here: {', '.join(known)}."


def _section_of(annotation: object) -> type[BaseModel] | None:
    """The model that a field holds, itself or in a tuple."""
    for candidate in (annotation, *get_args(annotation)):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None


def reference() -> str:
    """The commented YAML document of every key with its default."""
    lines = [
        "# OmniDrop Live with its built-in model. Every key is here with its default: delete what you do not change.",
        "# OMNIDROP_SECTION__KEY=value in the environment overrides a key, e.g. OMNIDROP_SERVER__PORT=9000.",
    ]
    defaults = Config()
    for name, info in Config.model_fields.items():
        section: BaseModel = getattr(defaults, name)
        lines += ["", f"# {info.description}", f"{name}:"]
        for key, field in type(section).model_fields.items():
            lines += textwrap.wrap(
                _sentence(field.description or ""), 112, initial_indent="  # ", subsequent_indent="  # "
            )
            lines.append(f"  {key}: {_yaml(getattr(section, key))}")
    return "\n".join(lines) + "\n"


def _sentence(description: str) -> str:
    first = description.partition(" ")[0]
    opening = description[:1] if first.endswith(":") else description[:1].upper()  # "crop: …" explains a value
    return opening + description[1:].rstrip(".") + "."


def _yaml(value: object) -> str:
    """``value`` on one line, as YAML reads it back."""
    if isinstance(value, Enum):
        return str(value.value)
    text = yaml.safe_dump(list(value) if isinstance(value, tuple) else value, default_flow_style=True, width=10**6)
    return text.removesuffix("...\n").strip()


if __name__ == "__main__":
    sys.stdout.write(reference())
