"""A real service, a real Chromium, and a filmed scene as its camera and microphone."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Playwright, expect, sync_playwright

from tests.browser.footage import Footage, film, star_then_circle
from tests.browser.service import OTHER_MODEL, TRAINED, Relay, Service

CHROMIUM = "/usr/bin/chromium"
ALWAYS = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--allow-loopback-in-peer-connection",
    "--host-resolver-rules=MAP page.test 127.0.0.1",
)
NETWORK_REPORTS = ("Failed to load resource", "WebSocket connection to")
"""How the browser itself reports what a test did to the network, or an error status that the page shows in words."""
Launch = Callable[..., Browser]
Opened = Callable[..., Page]


@dataclass
class Trouble:
    """Everything on the consoles of a test's pages that must not be there."""

    found: list[str] = field(default_factory=list)

    def watch(self, page: Page) -> Page:
        page.on("pageerror", lambda error: self.found.append(str(error)))
        page.on("console", self._note)
        return page

    def _note(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not message.text.startswith(NETWORK_REPORTS):
            self.found.append(message.text)


@pytest.fixture(scope="package")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    if not TRAINED and OTHER_MODEL not in os.environ:
        pytest.fail("nano_omni/weights holds no model, and OMNIDROP_ENGINE__MODEL names no other")
    settings = {"OMNIDROP_ENGINE__MAX_SESSIONS": "2", "OMNIDROP_SERVER__ALLOWED_HOSTS": "[page.test]"}
    running = Service(tmp_path_factory.mktemp("service") / "log", **settings)
    running.start()
    yield running
    running.stop()


@pytest.fixture(autouse=True)
def no_session_left(service: Service) -> Iterator[None]:
    yield
    service.end_sessions()


@pytest.fixture
def relay(service: Service) -> Iterator[Relay]:
    between = Relay(service.port)
    yield between
    between.close()


@pytest.fixture(scope="package")
def footage(tmp_path_factory: pytest.TempPathFactory) -> Footage:
    questions = [(4.5, "What colour is the circle?"), (8.5, "What was the first shape?")]
    return film(tmp_path_factory.mktemp("footage"), star_then_circle(), questions)


@pytest.fixture(scope="package")
def playwright() -> Iterator[Playwright]:
    if not Path(CHROMIUM).is_file():
        pytest.fail("Debian's chromium is not installed: make system-packages")
    expect.set_options(timeout=60_000)
    with sync_playwright() as running:
        yield running


@pytest.fixture(scope="package")
def launch(playwright: Playwright) -> Iterator[Launch]:
    """Start Chromium with further flags; one process for all tests that want the same ones."""
    running: dict[tuple[str, ...], Browser] = {}

    def started(*flags: str) -> Browser:
        if flags not in running:
            running[flags] = playwright.chromium.launch(executable_path=CHROMIUM, args=[*ALWAYS, *flags])
        return running[flags]

    yield started
    for browser in running.values():
        browser.close()


@pytest.fixture
def open_page(service: Service, launch: Launch) -> Iterator[Opened]:
    """Open the page in a browser with the given flags and context options; nothing may complain on its console."""
    trouble, contexts = Trouble(), []

    def opened(
        *flags: str, url: str = service.url, script: str = "", permissions: list[str] | None = None, **options: Any
    ) -> Page:
        context = launch(*flags).new_context(permissions=permissions, **options)
        context.set_default_timeout(60_000)
        contexts.append(context)
        if script:
            context.add_init_script(script)
        page = trouble.watch(context.new_page())
        page.goto(url)
        expect(page.locator("#model")).not_to_be_empty()
        return page

    yield opened
    for context in contexts:
        context.close()
    assert not trouble.found


@pytest.fixture
def camera_flags(footage: Footage) -> tuple[str, ...]:
    """Flags of a browser whose camera and microphone play the footage once."""
    return (
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-video-capture={footage.camera}",
        f"--use-file-for-fake-audio-capture={footage.microphone}%noloop",
    )


@pytest.fixture
def open_camera(open_page: Opened, camera_flags: tuple[str, ...]) -> Opened:
    """As ``open_page``, in the browser with the filmed camera and microphone."""

    def opened(**options: Any) -> Page:
        return open_page(*camera_flags, **options)

    return opened
