"""A real browser, for tests of pages."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """A real browser."""
    playwright = pytest.importorskip("playwright.sync_api", reason="the Python package playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("there is no Chromium on this machine: install your system's package `chromium`")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"], timeout=120_000)
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium: Any) -> Iterator[Callable[..., Any]]:
    """Opens a page; at the end of the test it must have asked for nothing but its own files, and have no error."""
    contexts, faults = [], []

    def open_page(path: Path, **options: Any) -> Any:
        context = chromium.new_context(**{"viewport": {"width": 1280, "height": 900}} | options)
        context.set_default_timeout(60_000)
        contexts.append(context)
        tab = context.new_page()
        tab.asked = []
        beside = tuple(f"{path.parent.as_uri()}/{folder}/" for folder in ("images", "figures", "data"))

        def answer(route: Any) -> None:
            address = route.request.url
            tab.asked.append(address)
            if address == path.as_uri() or address.startswith(beside):
                route.continue_()
            else:
                faults.append(address)
                route.abort()

        context.route(re.compile("^(?!data:)"), answer)
        tab.on("console", lambda message: faults.append(message.text))
        tab.on("pageerror", lambda error: faults.append(str(error)))
        tab.goto(path.as_uri())
        return tab

    yield open_page
    for context in contexts:
        context.close()
    assert faults == []
