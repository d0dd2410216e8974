"""One session, asked and listened to over MQTT."""

from __future__ import annotations

import json
import queue
import secrets
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from clients.mqtt.once import Once

Event = dict[str, Any]
"""A JSON event; every one has ``seq``, ``type``, ``session``, ``at`` and ``wall``."""


class MqttProblem(Exception):
    """The broker, or the service behind it, does not do what was asked."""


@dataclass(frozen=True, slots=True)
class Broker:
    """Where the broker is. TLS is used when ``ca_file`` is given (PEM), or ``tls`` with the system's certificates."""

    host: str
    port: int = 1883
    username: str | None = None
    password: str | None = None
    tls: bool = False
    ca_file: Path | None = None


class Assistant:
    """A context manager around a connection to ``broker``, for the session called ``session`` (a name or an id).

    paho-mqtt reconnects by itself; what the broker delivers twice is dropped here. With a ``client_id`` the broker
    keeps what comes while this client is away, until the next one with that id. Used by one thread.
    """

    def __init__(
        self,
        broker: Broker,
        session: str,
        *,
        prefix: str = "omnidrop",
        client_id: str | None = None,
        timeout_s: float = 10.0,
    ) -> None:
        self._broker = broker
        self._topics = f"{prefix}/{session}"
        self._status = f"{prefix}/status"
        self._timeout_s = timeout_s
        self._once = Once()
        self._heard: queue.Queue[tuple[str, Event]] = queue.Queue()
        self._subscribed: queue.Queue[str] = queue.Queue()
        self.online: bool | None = None
        """Whether the service says that it is there; None before it said anything."""
        self._client = paho.Client(CallbackAPIVersion.VERSION2, client_id or "", clean_session=client_id is None)
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = lambda *_: self._subscribed.put("")
        self._client.on_message = self._on_message
        if broker.username is not None:
            self._client.username_pw_set(broker.username, broker.password)
        if broker.tls or broker.ca_file is not None:
            self._client.tls_set_context(ssl.create_default_context(cafile=broker.ca_file))

    def __enter__(self) -> Self:
        """Raises MqttProblem when the broker cannot be reached, or lets nobody in."""
        try:
            self._client.connect(self._broker.host, self._broker.port)
        except OSError as error:
            raise MqttProblem(f"The broker {self._broker.host}:{self._broker.port} is not there: {error}.") from error
        self._client.loop_start()
        try:
            refused = self._subscribed.get(timeout=self._timeout_s)
        except queue.Empty:
            refused = "it does not answer"
        if refused:
            self.__exit__()
            raise MqttProblem(f"The broker {self._broker.host}:{self._broker.port} refuses: {refused}.")
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def events(self, timeout_s: float | None = None) -> Iterator[Event]:
        """The session's events as they happen, each once; ends after ``timeout_s`` seconds without any."""
        for what, event in self._messages(timeout_s):
            if what == "events":
                yield event

    def ask(self, text: str, timeout_s: float = 30.0) -> Event:
        """Ask about the stream as it is now; returns the answer.done event.

        Raises MqttProblem when the question is refused, cancelled, or not answered within ``timeout_s`` seconds.
        """
        id = secrets.token_hex(8)
        self._client.publish(f"{self._topics}/ask", json.dumps({"text": text, "id": id}), qos=1)
        words = " ".join(text.split())
        question = None
        for what, event in self._messages(timeout_s):
            kind = event.get("type")
            if what == "errors" and event.get("id") == id:
                raise MqttProblem(f"{event['message']} {event['remedy']}")
            if question is None and kind == "question.accepted" and (event["source"], event["text"]) == ("mqtt", words):
                question = event["question"]
            elif question is not None and event.get("question") == question:
                if kind == "answer.done":
                    return event
                if kind in ("answer.cancelled", "error"):
                    raise MqttProblem(f"The question was not answered: {event.get('reason') or event['message']}.")
        hint = "" if self.online else " The service is not connected to this broker."
        raise MqttProblem(f"No answer came within {timeout_s:g} s.{hint}")

    def _messages(self, timeout_s: float | None) -> Iterator[tuple[str, Event]]:
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            try:
                yield self._heard.get(timeout=left)
            except queue.Empty:
                return

    # On paho's thread ------------------------------------------------------------------------------------------------

    def _on_connect(self, client: paho.Client, userdata: Any, flags: Any, reason: Any, properties: Any) -> None:
        if reason.is_failure:
            self._subscribed.put(str(reason))
            return
        topics = [f"{self._topics}/events", f"{self._topics}/errors", self._status]
        client.subscribe([(topic, 1) for topic in topics])

    def _on_message(self, client: paho.Client, userdata: Any, message: paho.MQTTMessage) -> None:
        what = message.topic.rpartition("/")[2]
        if message.topic == self._status:
            self.online = message.payload == b"online"
            return
        event = json.loads(message.payload)
        if what != "events" or self._once.fresh(event):
            self._heard.put((what, event))
