"""Other sources than this device's camera: clips, files, a screen, and another camera that this page only follows."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import pytest
from playwright.sync_api import Page, expect
from websockets.sync.client import connect

from tests.browser.acting import (
    COUNT_ADDRESSES,
    asked,
    expect_answer,
    expect_state,
    session_of,
    start,
    type_question,
    wait_for_windows,
)
from tests.browser.conftest import Opened
from tests.browser.service import ROOT, Service

pytestmark = pytest.mark.default

DEMO = ROOT / "clients" / "web" / "demo.mp4"
NO_CAPTURE = "delete HTMLMediaElement.prototype.captureStream;"
COUNT_METERS = """
  const later = window.requestAnimationFrame.bind(window);
  window.meters = 0;
  window.requestAnimationFrame = (then) => { window.meters += then.name === "meter"; return later(then); };
  window.metersIn = async (frames) => {
    const before = window.meters;
    for (let i = 0; i < frames; i++) await new Promise(later);
    return window.meters - before;
  };
"""
"""Tells how often the meter asked for a next frame within so many frames."""


def preview_size(page: Page) -> list[int]:
    page.wait_for_function("() => document.getElementById('preview').videoWidth > 0")
    size: list[int] = page.locator("#preview").evaluate("video => [video.videoWidth, video.videoHeight]")
    return size


def test_demo_clip_without_a_microphone(open_page: Opened) -> None:
    page = open_page()
    page.get_by_role("combobox", name="Source").select_option("demo")
    expect(page.get_by_role("combobox", name="Camera")).to_be_hidden()
    start(page)
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("goes on without a microphone")
    wait_for_windows(page, 1)
    assert preview_size(page) == [480, 480]
    page.get_by_role("switch", name="Hear the clip").check()
    expect_answer(type_question(page, "What colour is the circle?"))


def test_a_file_where_video_elements_cannot_be_captured(open_page: Opened) -> None:
    page = open_page(script=NO_CAPTURE + COUNT_ADDRESSES)
    page.get_by_role("combobox", name="Source").select_option("file")
    page.get_by_role("combobox", name="Microphone").select_option("none")
    page.get_by_role("button", name="Video file").set_input_files(DEMO)
    start(page)
    wait_for_windows(page, 2)  # the clip shows an orange circle from 2 s to 8 s
    assert preview_size(page) == [480, 480]
    entry = type_question(page, "What colour is the circle?")
    expect(entry).to_have_attribute("data-state", "done")
    page.get_by_role("button", name="Stop", exact=True).click()
    expect_state(page, "idle")
    assert page.evaluate("window.addresses") == {"made": 1, "revoked": 1}
    expect_answer(entry, "orange.")


def test_the_screen(open_camera: Opened) -> None:
    page = open_camera()
    page.get_by_role("combobox", name="Source").select_option("screen")
    start(page)
    wait_for_windows(page, 1)
    expect_answer(type_question(page, "What do you see?"))


def test_another_microphone_in_the_same_session(open_camera: Opened) -> None:
    page = open_camera(script=COUNT_METERS)
    session = start(page)
    wait_for_windows(page, 1)
    microphone = page.get_by_role("combobox", name="Microphone")
    microphone.select_option(label="Fake Audio Input 2")
    wait_for_windows(page, 3)
    microphone.select_option("none")
    expect(page.get_by_role("meter", name="Microphone level")).to_have_js_property("value", 0)
    wait_for_windows(page, 5)
    expect_state(page, "live")
    expect(page.get_by_role("alert")).to_be_empty()
    assert session_of(page) == session
    assert page.evaluate("metersIn(10)") in (9, 10, 11), "one meter, after three sources"


@pytest.fixture
def second_camera(service: Service, tmp_path: Path) -> Iterator[str]:
    """An unmodified ffmpeg that publishes the demo clip under a name."""
    name = "front-door"
    encode = (
        "-c:v libx264 -profile:v baseline -preset ultrafast -bf 0 -g 30 -pix_fmt yuv420p -c:a libopus -ar 48000 -ac 2"
    )
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", "-re", "-stream_loop", "-1", "-i", str(DEMO)]
    command += [*encode.split(), "-f", "whip", f"{service.url}/whip/{name}"]
    with (tmp_path / "ffmpeg.log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as camera:
        yield name
        camera.terminate()


def test_ffmpeg_is_the_camera_and_others_only_follow(second_camera: str, open_page: Opened, service: Service) -> None:
    page = open_page()
    page.get_by_role("combobox", name="Source").select_option("join")
    page.wait_for_function(
        """async () => {
          const source = document.getElementById("source");
          source.dispatchEvent(new Event("change"));
          return document.getElementById("join").textContent.includes("front-door");
        }"""
    )
    page.get_by_role("combobox", name="Session").select_option(label=second_camera)
    start(page)
    expect(page.get_by_role("button", name="Hold to talk")).to_be_disabled()
    address = f"{service.url.replace('http', 'ws')}/v1/sessions/{second_camera}/answers?after=0"
    with connect(address) as subscriber:
        wait_for_windows(page, 2)
        entry = type_question(page, "What do you see?")
        expect_answer(entry)
        received: list[dict[str, Any]] = []
        while not received or received[-1]["type"] != "answer.done":
            received.append(json.loads(subscriber.recv(timeout=60)))
    assert [event["seq"] for event in received] == list(range(1, len(received) + 1))
    windows = [event for event in received if event["type"] == "window.fused"]
    assert len(windows) >= 2
    assert all(event["seen"]["video"] and event["seen"]["audio"] for event in windows)
    expect(entry.locator(".answer")).to_have_text(re.compile(re.escape(received[-1]["text"].strip())))
    assert asked(page, "What do you see?").count() == 1
