"""What can go wrong before anything is shown: each in words, with a remedy, and nothing left half started."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.acting import COUNT_ADDRESSES, expect_notice, expect_state, start
from tests.browser.conftest import Opened
from tests.browser.service import Service

pytestmark = pytest.mark.default

DEVICES = "--use-fake-device-for-media-stream"


def expect_not_started(page: Page) -> None:
    expect_state(page, "idle")
    expect(page.get_by_role("button", name="Start")).to_be_focused()


def press_start(page: Page) -> None:
    page.get_by_role("button", name="Start").click()


def test_permission_denied(open_page: Opened) -> None:
    page = open_page(DEVICES)
    press_start(page)
    expect_notice(page, "permission", "not allowed to use the camera or microphone", "Allow them")
    expect_not_started(page)
    page.get_by_role("button", name="Dismiss").click()
    expect(page.get_by_role("alert")).to_be_empty()


def test_no_device(open_page: Opened) -> None:
    page = open_page(permissions=["camera", "microphone"])
    press_start(page)
    expect_notice(page, "no_device", "No camera or microphone was found.", "demo clip")
    expect_not_started(page)


def test_a_page_that_is_not_secure(open_page: Opened, service: Service) -> None:
    page = open_page(DEVICES, url=f"http://page.test:{service.port}")
    press_start(page)
    expect_notice(page, "insecure_origin", "only to secure pages", f"http://localhost:{service.port}")
    expect_not_started(page)


def test_server_full(open_camera: Opened, service: Service) -> None:
    pages = [open_camera() for _ in range(3)]
    for page in pages[:2]:
        start(page)
    press_start(pages[2])
    expect_notice(pages[2], "server_full", re.compile("session"), re.compile("later|moment|again"))
    expect_not_started(pages[2])
    pages[0].get_by_role("button", name="Stop").click()
    expect_state(pages[0], "idle")
    pages[2].wait_for_function("async () => (await (await fetch('/v1/sessions')).json()).sessions.length < 2")
    start(pages[2])
    expect(pages[2].get_by_role("alert")).to_be_empty()


def test_asked_before_anything_is_shown(open_page: Opened) -> None:
    page = open_page()
    box = page.get_by_role("textbox", name="Your question")
    box.fill("What do you see?")
    box.press("Enter")
    expect_notice(page, "no_session", "Nothing is being shown yet.", "press Start")
    expect(box).to_have_value("What do you see?")


def test_a_file_that_is_no_video(open_page: Opened, tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"not a video")
    page = open_page(script=COUNT_ADDRESSES)
    page.get_by_role("combobox", name="Source").select_option("file")
    press_start(page)
    expect_notice(page, "no_file", "No video file was chosen.", "Choose one")
    page.get_by_role("button", name="Video file").set_input_files(broken)
    press_start(page)
    expect_notice(page, "bad_file", "cannot play this video", "MP4")
    expect_not_started(page)
    assert page.evaluate("window.addresses") == {"made": 1, "revoked": 1}


def test_another_camera_that_is_not_there(open_page: Opened) -> None:
    page = open_page()
    page.get_by_role("combobox", name="Source").select_option("join")
    press_start(page)
    expect_notice(page, "no_session", "No other camera is live now.", "omnidrop stream")
    expect_not_started(page)


def test_the_session_is_ended_by_someone_else(open_camera: Opened, service: Service) -> None:
    page = open_camera()
    start(page)
    service.end_sessions()
    expect_notice(page, "closed", "The session has ended: closed by a client.", "Press Start")
    expect_state(page, "idle")
    assert not service.sessions()
    page.get_by_role("textbox", name="Your question").fill("What do you see?")
    start(page)


def test_a_question_that_is_refused(open_camera: Opened) -> None:
    page = open_camera()
    start(page)
    page.evaluate("document.getElementById('ask').maxLength = 10000")
    box = page.get_by_role("textbox", name="Your question")
    box.fill("why " * 2000)
    box.press("Enter")
    expect_notice(page, "invalid_question", "characters", "Ask in at most")
