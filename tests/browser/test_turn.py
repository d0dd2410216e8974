"""A browser that cannot reach the service by UDP: the page's picture and sound come through a TURN server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.browser.acting import expect_answer, start, type_question, wait_for_windows
from tests.browser.conftest import Opened
from tests.browser.service import Service
from tests.stream_service.media.coturn import SECRET, Coturn

pytestmark = pytest.mark.default

SHUT_IN = """
globalThis.peers = [];
globalThis.RTCPeerConnection = class extends RTCPeerConnection {
  constructor(configuration) { super({ ...configuration, iceTransportPolicy: "relay" }); peers.push(this); }
};
"""
PAIR_IN_USE = """async () => {
  const report = await peers.at(-1).getStats();
  const transport = [...report.values()].find(({ type }) => type === "transport");
  const pair = report.get(transport.selectedCandidatePairId);
  return [report.get(pair.localCandidateId).candidateType, report.get(pair.remoteCandidateId).candidateType];
}"""


@pytest.fixture
def coturn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Coturn]:
    server = Coturn(tmp_path_factory.mktemp("coturn"))
    yield server
    server.stop()


@pytest.fixture
def behind(coturn: Coturn, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that hands out credentials for the TURN server."""
    running = Service(
        tmp_path_factory.mktemp("service") / "log",
        OMNIDROP_MEDIA__TURN_URLS=f"['{coturn.url}']",
        OMNIDROP_MEDIA__TURN_SECRET=SECRET,
        OMNIDROP_MEDIA__BIND="['127.0.0.1']",
    )
    running.start()
    yield running
    running.stop()


def test_the_page_publishes_through_the_turn_server(
    behind: Service, open_page: Opened, camera_flags: tuple[str, ...]
) -> None:
    page = open_page(*camera_flags, url=behind.url, script=SHUT_IN)
    start(page)
    wait_for_windows(page, 2)
    assert page.evaluate(PAIR_IN_USE) == ["relay", "host"]
    expect_answer(type_question(page, "What do you see?"))
    expect(page.get_by_role("alert")).to_be_hidden()
