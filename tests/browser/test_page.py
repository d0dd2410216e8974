"""The page itself: every module loads, it can be used by keyboard, screen reader and phone, and it says what it is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.acting import start, type_question, wait_for_windows
from tests.browser.conftest import Opened
from tests.browser.service import ROOT, Service

pytestmark = pytest.mark.default

WEB = ROOT / "clients" / "web"
PHONE = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 3, "is_mobile": True, "has_touch": True}
CONTRAST = Path(__file__).with_name("contrast.js").read_text(encoding="utf-8")


def test_every_module_loads_and_nothing_comes_from_elsewhere(open_page: Opened, service: Service) -> None:
    loaded = set()
    page = open_page()
    for document in sorted(WEB.glob("*.html")):
        page.goto(f"{service.url}/{document.name}")
        names = page.evaluate("performance.getEntriesByType('resource').map(({ name }) => name)")
        assert all(name.startswith(service.url) for name in names)
        loaded |= {name.removeprefix(service.url) for name in names}
    assert loaded >= {f"/js/{module.name}" for module in WEB.glob("js/*.js")}
    policy = page.request.get(service.url).headers["content-security-policy"]
    assert "default-src 'self'" in policy  # and no test sees a violation on its console
    assert "unsafe" not in policy


def test_it_says_what_the_built_in_model_knows(open_page: Opened) -> None:
    page = open_page()
    expect(page.locator("#small-world")).to_contain_text("a small model of a small world")
    page.get_by_text("switch to Qwen2.5-Omni").click()
    assert (ROOT / "configs" / "qwen2.5-omni-3b.yaml").is_file()
    expect(page.locator("#switch-model")).to_contain_text("configs/qwen2.5-omni-3b.yaml")


def test_what_a_screen_reader_finds(open_page: Opened) -> None:
    page = open_page()
    expect(page.locator("body")).to_match_aria_snapshot(
        """
        - banner:
          - heading "OmniDrop Live" [level=1]
          - status: Not connected
        - main:
          - region "The scene":
            - heading "The scene" [level=2]
            - form "What to show":
              - combobox "Source"
              - combobox "Camera"
              - combobox "Microphone"
              - button "Start"
            - meter "Microphone level"
          - region "Questions and answers":
            - log "Questions and answers"
            - group "Example questions":
              - button "What do you see?"
            - form "Ask in writing":
              - textbox "Your question"
              - button "Ask"
            - button "Hold to talk" [disabled]
            - switch "Hands-free" [checked]
            - switch "Read answers aloud"
          - region "Memory":
            - slider "Memory"
        """
    )
    unnamed = page.evaluate(
        """() => [...document.querySelectorAll("button, input, select, canvas, video, meter")]
          .filter((element) => !element.labels?.length && !element.textContent.trim()
            && !element.getAttribute("aria-label") && !element.getAttribute("aria-labelledby"))
          .map((element) => element.outerHTML)"""
    )
    assert not unnamed


def test_everything_by_keyboard(open_camera: Opened) -> None:
    page = open_camera()
    page.get_by_role("switch", name="Hands-free").uncheck()
    page.get_by_role("combobox", name="Source").focus()
    order = []
    for _ in range(15):
        order.append(page.evaluate("document.activeElement.id || document.activeElement.textContent"))
        page.keyboard.press("Tab")
    assert order[:5] == ["source", "camera", "microphone", "start", "transcript"]
    assert order[-5:] == ["ask", "Ask", "hands-free", "read-aloud", "strip"]
    page.get_by_role("button", name="Start").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Stop")).to_be_focused()
    wait_for_windows(page, 2)
    strip = page.get_by_role("slider", name="Memory")
    strip.focus()
    page.keyboard.press("Home")
    expect(strip).to_have_attribute("aria-valuenow", "1")
    kept = re.compile(r"0:00 to 0:02: video \d+ of \d+ tokens kept; audio \d+ of \d+")
    expect(strip).to_have_attribute("aria-valuetext", kept)
    page.keyboard.press("ArrowRight")
    expect(page.locator("#strip-detail")).to_contain_text("0:02 to 0:04")
    page.keyboard.press("Shift+Tab")
    expect(page.locator("#strip-detail")).to_contain_text("windows seen")
    assert page.get_by_role("meter", name="Microphone level").evaluate("meter => meter.value") >= 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out(open_camera: Opened, scheme: str) -> None:
    page = open_camera(color_scheme=scheme, reduced_motion="reduce")
    page.get_by_role("switch", name="Hands-free").uncheck()
    start(page)
    wait_for_windows(page, 1)
    entry = type_question(page, "What do you see?")
    expect(entry.locator(".facts")).not_to_be_empty()
    assert page.evaluate(CONTRAST) == []
    assert page.evaluate("document.getAnimations().length") == 0


def test_on_a_phone(open_camera: Opened) -> None:
    page = open_camera(**PHONE)
    page.get_by_role("switch", name="Hands-free").uncheck()
    start(page)
    wait_for_windows(page, 1)
    entry = type_question(page, "What do you see?")
    expect(entry).to_have_attribute("data-state", "done")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    small = page.evaluate(
        """() => [...document.querySelectorAll("button, select, input[type=text]")]
          .filter((element) => element.checkVisibility() && element.getBoundingClientRect().height < 24)
          .map((element) => element.outerHTML)"""
    )
    assert not small  # WCAG 2.2, 2.5.8: targets of 24 pixels at least
    tops = page.evaluate(
        "['scene', 'talk', 'memory'].map((id) => document.getElementById(id).getBoundingClientRect().top)"
    )
    assert tops == sorted(tops)
