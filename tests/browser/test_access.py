"""The page and the administrator's page on a server that asks for tokens, with WebSockets opened by tickets."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.acting import expect_answer, start, type_question, wait_for_windows
from tests.browser.conftest import Launch, Opened
from tests.browser.service import Service

pytestmark = pytest.mark.default

TOKEN = "a-token-of-the-operator"
VIEWER = "a-token-that-may-only-watch"


@pytest.fixture(scope="module")
def guarded(service: Service, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A server with tokens; ``service`` is asked for so that both skip without a model."""
    tokens = f"[{TOKEN}, {{token: {VIEWER}, scopes: [subscribe]}}]"
    settings = {"OMNIDROP_SERVER__TOKENS": tokens, "OMNIDROP_SPEECH__MODE": "off"}
    running = Service(tmp_path_factory.mktemp("guarded") / "log", **settings)
    running.start()
    yield running
    running.stop()


@pytest.fixture
def admin(launch: Launch) -> Iterator[Page]:
    browser: Browser = launch()
    context = browser.new_context()
    yield context.new_page()
    context.close()


def test_a_token_in_the_fragment_opens_the_page_and_its_sockets(
    open_page: Opened, guarded: Service, admin: Page
) -> None:
    sockets: list[str] = []
    page = open_page(url=f"{guarded.url}/#token={TOKEN}")
    page.on("websocket", lambda socket: sockets.append(socket.url))
    assert TOKEN not in page.url
    page.get_by_role("combobox", name="Source").select_option("demo")
    session = start(page)
    wait_for_windows(page, 1)
    expect_answer(type_question(page, "What colour is the circle?"))
    assert sockets
    assert all("ticket=" in url and TOKEN not in url for url in sockets)

    admin.goto(f"{guarded.url}/admin.html#token={TOKEN}")
    row = admin.get_by_role("row").filter(has_text=session)
    expect(row).to_contain_text("live")
    expect(row).to_contain_text("What colour is the circle?")
    expect(row).to_contain_text(re.compile(r"\d+ of \d+"))
    budget = row.get_by_role("spinbutton", name=f"Memory of {session}")
    change = row.get_by_role("button", name="Change")
    expect(budget).to_have_value("2048")
    budget.fill("4096")
    change.click()
    expect(admin.get_by_role("alert")).to_contain_text("at most 2048 tokens")
    budget.fill("200")
    change.click()
    expect(row).to_contain_text(re.compile(r"\d+ of 200"))
    expect(admin.get_by_role("alert")).to_be_empty()
    row.get_by_role("button", name=f"End {session}").click()
    expect(admin.get_by_text("No session is open.")).to_be_visible()
    expect(page.get_by_role("alert")).to_contain_text("closed by a client")


def test_without_the_right_token_both_pages_say_what_is_missing(guarded: Service, admin: Page) -> None:
    admin.goto(f"{guarded.url}/admin.html")
    expect(admin.get_by_role("alert")).to_contain_text("#token=")
    admin.goto(f"{guarded.url}/admin.html?again#token={VIEWER}")
    expect(admin.get_by_role("alert")).to_contain_text("scope admin")
