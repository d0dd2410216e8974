"""A camera lives as long as it answers checks or sends media, and thirty seconds longer."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from aioice import Connection
from aioice.stun import TransactionError, TransactionTimeout

from stream_service.media import consent


class Wire:
    """A connection whose peer answers checks until ``answers_until`` and sends media until ``media_until``."""

    def __init__(self, *, answers_until: float, media_until: float) -> None:
        self.now = 100.0
        self.closed_at: float | None = None
        self.answers_until, self.media_until = answers_until, media_until
        self.remote_password = "secret"
        self._query_consent_task: Any = object()
        pair = SimpleNamespace(protocol=self, remote_addr=("192.0.2.1", 5))
        self._nominated = {1: pair}
        self.query_consent: Any = None
        consent.keep(self, lambda: min(self.now, self.media_until), lambda: self.now, self.sleep)

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        assert self.now < 10_000, "the connection never ended"

    def build_request(self, pair: object, nominate: bool) -> str:
        assert not nominate
        return "request"

    async def request(self, request: str, address: object, integrity_key: bytes, retransmissions: int) -> None:
        assert (request, integrity_key, retransmissions) == ("request", b"secret", 0)
        if self.now > self.answers_until:
            raise TransactionTimeout

    async def close(self) -> None:
        assert self._query_consent_task is None
        self.closed_at = self.now


@pytest.mark.parametrize(
    ("answers_until", "media_until"),
    [(100.0, 700.0), (700.0, 100.0), (100.0, 100.0), (300.0, 400.0)],
)
async def test_the_last_sign_of_life_counts_whichever_it_is(answers_until: float, media_until: float) -> None:
    wire = Wire(answers_until=answers_until, media_until=media_until)
    await wire.query_consent()
    last = max(answers_until, media_until)
    assert wire.closed_at is not None
    assert last + 30 <= wire.closed_at <= last + 35


async def test_it_stands_in_for_aioices_own_check() -> None:
    connection = Connection(ice_controlling=False)
    own = connection.query_consent
    consent.keep(connection, lambda: 0.0, lambda: 0.0)
    assert connection.query_consent is not own
    assert issubclass(TransactionTimeout, TransactionError)
    assert "_query_consent_task" in vars(connection)
    assert "_nominated" in vars(connection)
    await connection.close()
