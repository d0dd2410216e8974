"""What is said over MQTT, without a broker: topics, payloads, questions, Home Assistant's discovery."""

from __future__ import annotations

import json
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeGuard

from stream_service.answers.store import Stored
from stream_service.errors import InvalidInput, InvalidQuestion, OmniDropError

MAX_ASK_BYTES = 65_536
"""Longest payload of a question that is looked at; its text is bounded by ``sessions.question_chars``."""
_REMEMBERED = 512
_STATE = 255
"""Longest state of a Home Assistant entity, in characters."""


@dataclass(frozen=True, slots=True)
class Message:
    topic: str
    payload: str
    retain: bool = False


@dataclass(frozen=True, slots=True)
class Asking:
    """A question as it came; ``id`` is the asker's own, to recognise it by."""

    text: str
    id: str | None = None


class Topics:
    """The topics under one prefix. A session's part is its name, or its id if it has none."""

    def __init__(self, prefix: str) -> None:
        self.status = f"{prefix}/status"
        self.questions = f"{prefix}/+/ask"
        self._prefix = prefix

    def of(self, session: str, what: str) -> str:
        return f"{self._prefix}/{session}/{what}"

    def asked(self, topic: str) -> str:
        """The session named by the topic of a question."""
        return topic.removeprefix(f"{self._prefix}/").removesuffix("/ask")

    def messages(self, stored: Stored) -> list[Message]:
        """An event goes to ``events``; the end of an answer to ``answers`` as well, with the same ``seq``."""
        session = stored.name or stored.session
        messages = [Message(self.of(session, "events"), stored.record.json)]
        if stored.record.type == "answer.done":
            messages.append(Message(self.of(session, "answers"), stored.record.json))
        return messages

    def refusal(self, session: str, error: OmniDropError, id: str | None) -> Message:
        """Why a question was not taken."""
        facts = {"code": error.code, "message": error.message, "remedy": error.remedy, "id": id}
        return Message(self.of(session, "errors"), json.dumps(facts))


def asker_id(payload: bytes) -> str | None:
    """The asker's own ``id`` in a payload that is otherwise wrong, to tell it by; None where there is none to trust."""
    try:
        fields = json.loads(payload[: MAX_ASK_BYTES + 1])
    except (ValueError, RecursionError):
        return None
    id = fields.get("id") if isinstance(fields, dict) else None
    return id if _is_id(id) else None


class Questions:
    """Reads questions and tells repetitions apart: with QoS 1 the same one may be delivered twice."""

    def __init__(self) -> None:
        self._seen: deque[tuple[str, str]] = deque(maxlen=_REMEMBERED)

    def read(self, session: str, payload: bytes, *, retained: bool) -> Asking | None:
        """The question in ``payload``, or None if it was read before.

        It is text, or a JSON object with ``text`` and, to be recognised when it comes twice and in an error, ``id``.
        Raises InvalidQuestion and InvalidInput. One that is refused then is to be forgotten (:meth:`forget`).
        """
        if retained:
            raise InvalidInput(
                "A retained message would be asked again at every connection.",
                field="retain",
                remedy="Publish questions without the retain flag, and clear this one with an empty retained message.",
            )
        asking = _asking(payload)
        if asking.id is not None:
            if (session, asking.id) in self._seen:
                return None
            self._seen.append((session, asking.id))
        return asking

    def forget(self, session: str, asking: Asking) -> None:
        """It was not taken: who was told to try again later sends it with the same ``id``."""
        with suppress(ValueError):  # it has none
            self._seen.remove((session, asking.id or ""))


def _asking(payload: bytes) -> Asking:
    if len(payload) > MAX_ASK_BYTES:
        raise InvalidQuestion(f"The payload has {len(payload):,} bytes.", remedy=f"Send at most {MAX_ASK_BYTES:,}.")
    try:
        text = payload.decode()
    except UnicodeDecodeError:
        raise InvalidQuestion("The question is not UTF-8.", remedy="Send it as UTF-8 text.") from None
    if not text.lstrip().startswith("{"):
        return Asking(text)
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        raise InvalidQuestion(
            "The question begins like a JSON object but is none.", remedy='Send {"text": "…"}, or plain text.'
        ) from None
    for name in fields.keys() - {"text", "id"}:
        raise InvalidQuestion(f"Unknown field {name[:80]!r}.", field=name[:80], remedy="Known are text and id.")
    words, id = fields.get("text"), fields.get("id")
    if not isinstance(words, str):
        raise InvalidQuestion("The question has no text.", field="text", remedy='Send {"text": "…"}.')
    if not (id is None or _is_id(id)):
        raise InvalidQuestion("The id is not a short text.", field="id", remedy="Use up to 128 characters, or none.")
    return Asking(words, id)


def discovery(under: str, topics: Topics, name: str, release: str) -> list[Message]:
    """What makes a named session appear in Home Assistant, under its discovery prefix ``under``.

    A sensor for the last answer and a text box for questions, both of one device, which is unavailable while the
    service is (https://www.home-assistant.io/integrations/mqtt/#mqtt-discovery).
    """
    device = f"omnidrop_{name.replace('.', '_')}"  # no dots in the topics of discovery
    common: dict[str, Any] = {
        "availability_topic": topics.status,
        "device": {
            "identifiers": [device],
            "name": name,
            "manufacturer": "OmniDrop Live",
            "model": "Live camera and microphone",
            "sw_version": release,
        },
    }
    answer = common | {
        "name": "Answer",
        "unique_id": f"{device}_answer",
        "icon": "mdi:message-text",
        "state_topic": topics.of(name, "answers"),
        "value_template": f"{{{{ value_json.text[:{_STATE}] }}}}",
        "json_attributes_topic": topics.of(name, "answers"),
        "json_attributes_template": "{{ {'text': value_json.text, 'question': value_json.question,"
        " 'at': value_json.at, 'wall': value_json.wall} | tojson }}",
    }
    question = common | {
        "name": "Question",
        "unique_id": f"{device}_question",
        "icon": "mdi:comment-question",
        "command_topic": topics.of(name, "ask"),
        "max": _STATE,
    }
    return [
        Message(f"{under}/sensor/{device}/answer/config", json.dumps(answer), retain=True),
        Message(f"{under}/text/{device}/question/config", json.dumps(question), retain=True),
    ]


def _is_id(id: object) -> TypeGuard[str]:
    return isinstance(id, str) and 0 < len(id) <= 128
