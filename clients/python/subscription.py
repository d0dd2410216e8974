"""The answer WebSocket: a session's events, none lost and none twice, across broken connections."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import websockets
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI

from clients.python.errors import ConnectionLost, ServerProblem
from clients.python.http import Api, problem

Event = dict[str, Any]
"""A JSON event; every one has ``seq``, ``type``, ``session``, ``at`` and ``wall``."""

_OVER, _TRY_AGAIN, _AHEAD, _TRIMMED = 1000, 1013, 4409, 4410
_FIRST_DELAY_S, _LONGEST_DELAY_S = 0.2, 5.0


@dataclass(frozen=True, slots=True)
class Backoff:
    """How reconnecting is spaced: the delay doubles from 0.2 s to 5 s; after ``give_up_s`` without success it ends."""

    give_up_s: float = 30.0

    def delays(self) -> list[float]:
        """The delays, in order."""
        delays: list[float] = []
        delay = _FIRST_DELAY_S
        while sum(delays) < self.give_up_s:
            delays.append(delay)
            delay = min(2 * delay, _LONGEST_DELAY_S)
        return delays


class Subscription:
    """Iterate over it for the events of ``session`` (an id or a name) after number ``after``.

    It reconnects and resumes by itself. When the server has another session of that name than the one remembered, it
    starts anew with that one. The iteration ends when the session is over; it raises :class:`ServerProblem` when the
    server refuses and :class:`ConnectionLost` when it stays away.
    """

    def __init__(self, api: Api, session: str, *, after: int = 0, backoff: Backoff = Backoff()) -> None:
        self.after = after
        """Number of the last event received: what to resume with."""
        self._api, self._session, self._backoff = api, session, backoff

    @property
    def url(self) -> str:
        base = re.sub(r"^http", "ws", self._api.server)
        return f"{base}/v1/sessions/{self._session}/answers?after={self.after}"

    async def __aiter__(self) -> AsyncIterator[Event]:
        delays = iter(self._backoff.delays())
        while True:
            lost: Exception | None = None
            refusal: Event | None = None
            try:
                async with websockets.connect(self.url, additional_headers=self._api.headers) as socket:
                    async for message in socket:
                        event: Event = json.loads(message)
                        if event["seq"] == 0:  # not an event of the session: why the server closes
                            refusal = event
                        elif event["seq"] > self.after:
                            self.after = event["seq"]
                            delays = iter(self._backoff.delays())
                            yield event
                    code = socket.close_code
            except ConnectionClosed as error:
                lost, code = error, error.rcvd.code if error.rcvd is not None else None
            except InvalidStatus as error:
                raise problem(error.response.status_code, bytes(error.response.body)) from error
            except (OSError, TimeoutError, InvalidHandshake, InvalidURI) as error:
                lost, code = error, None
            if code == _OVER:
                return
            if refusal is not None:
                self.after = self._resume(code, refusal)
            elif (delay := next(delays, None)) is None:
                raise ConnectionLost(
                    f"The server stayed away: {lost}", remedy=f"Resume with after={self.after} when it is back."
                ) from lost
            else:
                await asyncio.sleep(delay)

    def _resume(self, code: int | None, refusal: Event) -> int:
        """Where to go on after a refusal, which says so; raises ServerProblem when there is no going on."""
        named: int | None = refusal.get("resume_after")
        if code in (_AHEAD, _TRIMMED) and named is not None and named != self.after:
            return named
        raise ServerProblem(refusal["message"], remedy=refusal["remedy"], status=0, code=refusal["code"])
