"""Asking on the page, aloud and in writing, about a scene that the browser's camera and microphone play."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.acting import asked, expect_answer, start, type_question, wait_for_windows
from tests.browser.conftest import Opened
from tests.browser.service import Service

pytestmark = pytest.mark.default

CIRCLE = re.compile(r"What colou?r is the circle\?", re.IGNORECASE)
FIRST = re.compile(r"What was the first shape\?", re.IGNORECASE)
SPEAKER = """
// A speech synthesiser that speaks until it is told to stop.
globalThis.SpeechSynthesisUtterance = class extends EventTarget { constructor(text) { super(); this.text = text; } };
Object.defineProperty(globalThis, "speechSynthesis", { value: {
  said: [],
  speak(utterance) {
    this.now = utterance;
    this.said.push(utterance.text);
    utterance.dispatchEvent(new Event("start"));
  },
  cancel() { this.now?.dispatchEvent(new Event("end")); this.now = null; },
} });
"""


def bright_columns(page: Page) -> int:
    """Columns of the coverage strip with anything painted in them."""
    count: int = page.evaluate(
        """() => {
          const strip = document.getElementById("strip"), brush = strip.getContext("2d");
          const row = brush.getImageData(0, Math.round(strip.height / 2) - 6 * devicePixelRatio, strip.width, 1).data;
          const painted = [];
          for (let x = 0; x < strip.width; x++) painted.push(row[4 * x + 3] > 0);
          return painted.filter((is, x) => is && !painted[x - 1]).length;
        }"""
    )
    return count


def test_hands_free(open_camera: Opened) -> None:
    page = open_camera()
    start(page)
    first, second = asked(page, CIRCLE), asked(page, FIRST)
    expect(page.locator("#hearing")).to_have_text(re.compile("Listening|Recognising"))
    expect_answer(first)
    expect(first).to_contain_text("spoken")
    expect(first.locator(".facts")).to_contain_text(
        re.compile(r"First words \d\.\d\d s after you stopped .* \d+ % of the tokens")
    )
    expect(page.locator("#strip-summary")).to_contain_text(re.compile(r"drawn mostly from 0:\d\d–0:\d\d \(\d+ %\)"))
    expect(page.get_by_role("slider", name="Memory")).to_have_attribute("aria-valuemax", str(bright_columns(page)))
    expect_answer(second)
    expect_answer(first, "blue.")
    expect_answer(second, "a star.")


def test_push_to_talk(open_camera: Opened) -> None:
    page = open_camera()
    page.get_by_role("switch", name="Hands-free").uncheck()
    start(page)
    talk = page.get_by_role("button", name="Hold to talk")
    expect(talk).to_be_enabled()
    page.locator("h1").click()
    wait_for_windows(page, 1)
    page.keyboard.down("Space")
    expect(talk).to_have_attribute("aria-pressed", "true")
    wait_for_windows(page, 3)
    page.keyboard.up("Space")
    expect(talk).to_have_attribute("aria-pressed", "false")
    entry = asked(page, CIRCLE)
    expect_answer(entry)
    expect(page.locator("#transcript li")).to_have_count(1)
    expect_answer(entry, "blue.")


def test_in_writing_and_corrected(open_camera: Opened) -> None:
    page = open_camera()
    page.get_by_role("switch", name="Hands-free").uncheck()
    start(page)
    wait_for_windows(page, 1)
    entry = type_question(page, "What colour is the heart?")
    expect_answer(entry)
    expect(entry.locator(".facts")).to_contain_text(re.compile(r"First words after \d\.\d\d s\."))
    entry.get_by_role("button", name=re.compile("^Correct")).click()
    box = page.get_by_role("textbox", name="Corrected question")
    expect(box).to_be_focused()
    limits = page.evaluate("async () => (await (await fetch('/v1/info')).json()).limits")
    expect(box).to_have_js_property("maxLength", min(limits["question_chars"], limits["question_tokens"]))
    box.fill("What colour is the star?")
    box.press("Enter")
    expect(entry.get_by_role("button", name=re.compile("^Correct"))).to_be_focused()
    corrected = asked(page, "What colour is the star?")
    expect_answer(corrected)
    expect(entry).to_be_visible()
    page.get_by_role("group", name="Example questions").get_by_role("button", name="What do you see?").click()
    expect_answer(asked(page, "What do you see?"))


def test_a_spoken_question_interrupts_the_answer_before_it(open_camera: Opened, service: Service) -> None:
    page = open_camera()
    start(page)
    wait_for_windows(page, 1)
    with service.engine_paused():
        first = type_question(page, "Describe the stream so far.")
        spoken = asked(page, CIRCLE)
        expect(spoken).to_have_attribute("data-state", "answering")
        expect(first).to_have_attribute("data-state", "answering")
    expect(first).to_have_attribute("data-state", "cancelled")
    expect(first).to_contain_text("Interrupted by the next question.")
    expect_answer(spoken, "blue.")


def test_escape_stops_an_answer(open_camera: Opened, service: Service) -> None:
    page = open_camera()
    start(page)
    wait_for_windows(page, 1)
    with service.engine_paused():
        entry = type_question(page, "Describe the stream so far.")
        expect(entry.get_by_role("button", name="Stop answering")).to_be_visible()
        page.keyboard.press("Escape")
    expect(entry).to_have_attribute("data-state", "cancelled")
    expect(entry).to_contain_text("Stopped.")


def test_reading_aloud_is_not_heard_as_a_question(open_camera: Opened) -> None:
    page = open_camera(script=SPEAKER)
    page.get_by_role("switch", name="Read answers aloud").check()
    start(page)
    wait_for_windows(page, 1)
    entry = type_question(page, "What do you see?")
    expect_answer(entry)
    assert page.evaluate("speechSynthesis.said") == [entry.locator(".answer").inner_text()]
    wait_for_windows(page, 4)  # the first spoken question is over; our own voice spoke all the time
    expect(page.locator("#transcript li")).to_have_count(1)
    page.keyboard.press("Escape")
    expect_answer(asked(page, FIRST))
