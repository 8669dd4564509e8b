"""Debian's Chromium, driven by Playwright; pages that may ask no other host."""

from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

CHROMIUM = "/usr/bin/chromium"
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"),
    *("--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
)
# A microphone that beeps, and that is never refused.
MICROPHONE = (
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
)


@contextmanager
def driver():
    """Starts Playwright, or skips the test where there is no browser.

    Yields
    ------
    playwright.sync_api.Playwright
    """
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="the extra [test] is missing: playwright"
    )
    if not Path(CHROMIUM).exists():
        pytest.skip(f"{CHROMIUM} is missing: apt-get install chromium")
    with playwright.sync_playwright() as started:
        yield started


@contextmanager
def chromium(driver, *flags):
    """Starts the browser.

    Arguments
    ---------
    driver : playwright.sync_api.Playwright
        Of :func:`driver`.
    *flags : str
        Added to ``FLAGS``.

    Yields
    ------
    playwright.sync_api.Browser
    """
    browser = driver.chromium.launch(
        executable_path=CHROMIUM, args=[*FLAGS, *flags]
    )
    yield browser
    browser.close()


@contextmanager
def opened(browser, address, **options):
    """Opens a page, and checks at the end what it has asked for and logged.

    Arguments
    ---------
    browser : playwright.sync_api.Browser
        Of :func:`chromium`.
    address : str
        The page's.
    **options
        Of the browser's context, such as ``viewport`` and ``color_scheme``.

    Yields
    ------
    playwright.sync_api.Page
    """
    context = browser.new_context(**options)
    page = context.new_page()
    requests, errors = [], []
    page.on("request", lambda request: requests.append(request.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on(
        "console",
        lambda said: said.type == "error" and errors.append(said.text),
    )
    page.goto(address)
    yield page
    context.close()
    elsewhere = [url for url in requests if not is_here(url)]
    assert not elsewhere
    assert not errors


def is_here(url):
    """Whether an address is of this machine, or of the page itself."""
    parts = urlsplit(url)
    return (
        parts.scheme in ("data", "blob", "file")
        or parts.hostname == "127.0.0.1"
    )
