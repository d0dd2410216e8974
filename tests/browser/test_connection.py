"""The connection is cut, in each of its parts, and the service is killed: the page repairs what it can and says so."""

from __future__ import annotations

import json
import re
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, WebSocket, expect

from tests.browser.acting import (
    asked,
    expect_answer,
    expect_notice,
    expect_state,
    session_of,
    start,
    type_question,
    wait_for_windows,
)
from tests.browser.conftest import Opened
from tests.browser.service import Relay, Service

pytestmark = pytest.mark.default

KEEP_PEERS = """
globalThis.peers = [];
globalThis.RTCPeerConnection = class extends RTCPeerConnection {
  constructor(...all) { super(...all); peers.push(this); }
};
"""


class Events:
    """Every event that a page's answer WebSockets bring, and from where each of them resumed."""

    def __init__(self, page: Page) -> None:
        self.received: list[dict[str, Any]] = []
        self.resumed_after: list[int] = []
        page.on("websocket", self._opened)

    def _opened(self, socket: WebSocket) -> None:
        match = re.search(r"after=(\d+)", socket.url)
        assert match
        self.resumed_after.append(int(match[1]))
        socket.on("framereceived", lambda frame: self.received.append(json.loads(frame)))

    def assert_gapless(self) -> None:
        numbers = [event["seq"] for event in self.received]
        assert numbers == list(range(1, len(numbers) + 1))


def quiet(page: Page) -> Page:
    """Nothing spoken interrupts what is typed."""
    page.get_by_role("switch", name="Hands-free").uncheck()
    return page


def test_cut_and_resumed_from_the_last_event(open_camera: Opened, relay: Relay, service: Service) -> None:
    page = quiet(open_camera(url=relay.url))
    events = Events(page)
    session = start(page)
    wait_for_windows(page, 1)
    expect_answer(type_question(page, "What do you see?"))
    relay.cut()
    expect_state(page, "lost")
    expect_notice(page, "lost", "The connection to the service is lost.", "tried again by itself")
    asking = {"text": "How many objects are there?"}
    httpx.post(f"{service.url}/v1/sessions/{session}/questions", json=asking).raise_for_status()
    relay.mend()
    expect_state(page, "live")
    expect_answer(asked(page, "How many objects are there?"))
    expect(page.get_by_role("alert")).to_be_empty()
    expect(page.locator("#transcript li")).to_have_count(2)
    assert session_of(page) == session
    assert events.resumed_after[0] == 0
    assert events.resumed_after[-1] > 0
    events.assert_gapless()


def test_picture_and_sound_cut_and_sent_again(open_camera: Opened) -> None:
    page = quiet(open_camera(script=KEEP_PEERS))
    events = Events(page)
    session = start(page)
    wait_for_windows(page, 1)
    page.evaluate("peers.at(-1).close()")
    expect(page.locator("#hearing")).to_have_text("No picture or sound arrives at the service.")
    expect(page.locator("#hearing")).to_be_empty()
    expect_state(page, "live")
    windows = int(page.locator("#strip").get_attribute("aria-valuemax") or 0)
    wait_for_windows(page, windows + 1)
    expect_answer(type_question(page, "What do you see?"))
    assert session_of(page) == session
    assert "source.back" in [event["type"] for event in events.received]


def test_the_model_is_killed_and_asked_again(open_camera: Opened, service: Service) -> None:
    page = quiet(open_camera())
    events = Events(page)
    session = start(page)
    wait_for_windows(page, 1)
    with service.engine_paused():
        interrupted = type_question(page, "What do you see?")
        expect(interrupted).to_have_attribute("data-state", "answering")
        service.kill_engine()
    expect(interrupted).to_contain_text("The model was restarted and is asked again.")
    expect_notice(page, "engine", "The model was restarted.", "Its memory was rebuilt.")
    expect_answer(interrupted)
    assert session_of(page) == session
    assert [event["question"] for event in events.received if event["type"] == "answer.restarted"] == [
        interrupted.get_attribute("data-question")
    ]
    events.assert_gapless()


def test_the_service_is_killed_and_goes_on_from_its_log(open_camera: Opened, service: Service) -> None:
    page = quiet(open_camera())
    events = Events(page)
    session = start(page)
    wait_for_windows(page, 1)
    with service.engine_paused():
        unanswered = type_question(page, "What do you see?")
        expect(unanswered).to_have_attribute("data-state", "answering")
        service.kill()
    expect_state(page, "lost")
    expect_notice(page, "lost", "The connection to the service is lost.", "tried again by itself")
    service.start()
    expect_notice(page, "restarted", "restarted and has forgotten the scene", "The session goes on")
    expect_state(page, "live")
    expect(unanswered).to_contain_text("Lost: the service was restarted. Ask again.")
    assert session_of(page) == session
    wait_for_windows(page, 1)
    expect_answer(type_question(page, "How many objects are there?"))
    expect_notice(page, "restarted", "restarted and has forgotten the scene", "ask again")
    events.assert_gapless()


def test_the_service_is_killed_and_starts_anew_without_its_log(open_camera: Opened, service: Service) -> None:
    page = quiet(open_camera())
    session = start(page)
    wait_for_windows(page, 1)
    with service.engine_paused():
        unanswered = type_question(page, "What do you see?")
        expect(unanswered).to_have_attribute("data-state", "answering")
        service.kill()
    expect_state(page, "lost")
    service.forget()
    service.start()
    expect_notice(page, "restarted", "restarted and has forgotten the scene", "new session")
    expect_state(page, "live")
    expect(unanswered).to_contain_text("Lost: the session ended.")
    assert session_of(page) != session
    wait_for_windows(page, 1)
    expect_answer(type_question(page, "How many objects are there?"))
    assert [one["name"] for one in service.sessions()] == [None]
