"""What people do on the page, and what they look for."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.service import TRAINED

COUNT_ADDRESSES = """
  window.addresses = { made: 0, revoked: 0 };
  const { createObjectURL, revokeObjectURL } = URL;
  URL.createObjectURL = (file) => { window.addresses.made++; return createObjectURL(file); };
  URL.revokeObjectURL = (address) => { window.addresses.revoked++; revokeObjectURL(address); };
"""
"""A script for the page: an address made for a file keeps the file until it is revoked."""


def start(page: Page) -> str:
    """Press Start; returns the session's id once the page says that it is live."""
    page.get_by_role("button", name="Start").click()
    expect_state(page, "live")
    return session_of(page)


def session_of(page: Page) -> str:
    session = page.locator("body").get_attribute("data-session")
    assert session
    return session


def expect_state(page: Page, state: str) -> None:
    expect(page.locator("#connection")).to_have_attribute("data-state", state)


def wait_for_windows(page: Page, count: int) -> None:
    """Until the page shows that so many windows have become memory."""
    page.wait_for_function("count => Number(document.getElementById('strip').ariaValueMax) >= count", arg=count)


def asked(page: Page, text: str | re.Pattern[str]) -> Locator:
    """The newest entry of a question."""
    return page.locator("#transcript li").filter(has=page.locator(".words", has_text=text)).last


def type_question(page: Page, text: str) -> Locator:
    box = page.get_by_role("textbox", name="Your question")
    box.fill(text)
    box.press("Enter")
    expect(box).to_have_value("")
    return asked(page, text)


def expect_answer(entry: Locator, answer: str | None = None) -> None:
    """The entry is answered, in the end by ``answer``: the truth of the scene, which only the trained model knows."""
    expect(entry).to_have_attribute("data-state", "done")
    if answer is None:
        return
    if not TRAINED:
        pytest.skip("everything but the answer's words was checked: nano_omni/weights holds no trained model")
    expect(entry.locator(".answer")).to_have_text(answer)


def expect_notice(page: Page, code: str, words: str | re.Pattern[str], remedy: str | re.Pattern[str]) -> None:
    """The page says what is wrong and what can be done about it, where a screen reader speaks it at once."""
    notice = page.get_by_role("alert")
    expect(notice).to_have_attribute("data-code", code)
    expect(notice).to_contain_text(words)
    expect(notice).to_contain_text(remedy)
