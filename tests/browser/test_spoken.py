"""A question that the speech itself asked: the page shows that it was spoken, and its words when they come."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from playwright.sync_api import Page, WebSocketRoute, expect

from tests.browser.acting import asked, expect_answer, start, wait_for_windows
from tests.browser.conftest import Opened

pytestmark = pytest.mark.default


class Interpreter:
    """Stands between the page and its events, and makes every question one of speech whose words are not known yet."""

    def __init__(self, page: Page) -> None:
        self._last: dict[str, Any] = {}
        self._added = 0
        self._words = ""
        page.route_web_socket(re.compile("/answers"), self._connect)

    def tell_words(self, question: str) -> None:
        """Send the words after all."""
        self._added += 1
        event = {**self._last, "type": "question.transcribed", "seq": self._last["seq"] + self._added}
        self._page.send(json.dumps(event | {"question": question, "text": self._words, "confidence": 0.9}))

    def _connect(self, page: WebSocketRoute) -> None:
        self._page = page
        page.connect_to_server().on_message(self._pass)

    def _pass(self, message: str | bytes) -> None:
        self._last = event = json.loads(message)
        if event["type"] == "question.accepted":
            self._words = event["text"]
            event = event | {"text": "", "source": "speech", "timings_ms": {"hang_over": 100.0}}
        self._page.send(json.dumps(event | {"seq": event["seq"] + self._added}))


def test_words_that_come_after_the_answer(open_camera: Opened) -> None:
    page = open_camera()
    interpreter = Interpreter(page)
    page.reload()
    page.get_by_role("switch", name="Hands-free").uncheck()
    start(page)
    wait_for_windows(page, 1)
    page.get_by_role("textbox", name="Your question").fill("What colour is the circle?")
    page.get_by_role("textbox", name="Your question").press("Enter")
    entry = asked(page, "(spoken)")
    expect_answer(entry)
    expect(entry.locator(".facts")).to_contain_text(re.compile(r"you stopped \(pause 0\.10 s, model \d\.\d\d s\)"))
    entry.get_by_role("button", name="Ask again in writing").click()
    box = page.get_by_role("textbox", name="Corrected question")
    expect(box).to_have_value("")
    box.press("Escape")
    question = entry.get_attribute("data-question")
    assert question is not None
    interpreter.tell_words(question)
    heard = asked(page, "What colour is the circle?")
    expect(heard).to_have_attribute("data-question", question)
    expect(heard).to_contain_text("spoken")
    expect(heard).not_to_contain_text("(spoken)")
    heard.get_by_role("button", name="Correct “What colour is the circle?” and ask again").click()
    expect(box).to_have_value("What colour is the circle?")
