"""Uses the page of `obswarm run --web` in two headless Chromiums: `python -m tests.support.real_page FOLDER TARGET`.

The folder has loadtest.py. Runs by itself, because gevent's patches and Playwright do not go together.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.support.live_page import TIMEOUT_MS, button
from tests.support.patience import HANG_S
from tests.support.programs import command


def main(folder: Path, target: str) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    expect.set_options(timeout=TIMEOUT_MS)
    with sync_playwright() as playwright:
        # As root, which CI often is, Chromium has no sandbox.
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        server = serve(folder, target, port)
        try:
            one, errors = opened(browser, url)
            other, more_errors = opened(browser, url)
            start(one)
            watch(one, other)
            change_and_trip(one, other)
            stop(one)
            look_back(one)
            server.kill()
            server.wait(HANG_S)
            expect(other.locator("#state")).to_have_text("connection lost")
            expect(other.locator("#banners")).to_contain_text("No connection to the server since")
            server = serve(folder, target, port)
            # The run was of the process that is gone.
            expect(other.locator("#state")).to_have_text("ready")
            expect(other.locator("#banners")).to_contain_text("The server was restarted")
            expect(other.locator("#figures")).to_be_hidden()
            assert one.evaluate("window.intruded") is None
            # What the browser itself says of a server that does not respond is no fault of the page.
            assert [each for each in errors + more_errors if "Failed to load resource" not in each] == []
        finally:
            browser.close()
            server.send_signal(signal.SIGINT)
            server.wait(HANG_S)


def serve(folder: Path, target: str, port: int) -> "subprocess.Popen[bytes]":
    """Start a server, and wait until it accepts connections."""
    words = ("--workers", 0, "-H", target, "--web", "--web-port", port, "--hold-when", "users > 5")
    process = subprocess.Popen(
        command("run", "loadtest.py", *words),
        cwd=folder,
        stderr=subprocess.PIPE,
        env={**os.environ, "OBSWARM_STORE": "", "OBSWARM_NO_REPORT": ""},
    )
    assert process.stderr is not None
    logged = []
    for line in process.stderr:
        logged.append(line)
        if f"Page: http://127.0.0.1:{port}".encode() in line:
            break
    else:
        raise AssertionError(b"".join(logged).decode())
    # Nobody reads the rest of it.
    os.set_blocking(process.stderr.fileno(), False)
    return process


def opened(browser: Browser, url: str) -> tuple[Page, list[str]]:
    """Return a page, and the list of what goes wrong in it."""
    page = browser.new_context(viewport={"width": 1024, "height": 800}).new_page()
    page.set_default_timeout(TIMEOUT_MS)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if message.type in ("error", "warning") else None)
    page.goto(url)
    page.wait_for_selector("form.start h2")
    return page, errors


def start(page: Page) -> None:
    page.get_by_label("Users", exact=True).fill("2")
    page.get_by_label("Spawn rate").fill("50")
    page.get_by_label("Tag", exact=True).fill("nightly")
    page.get_by_label("greeting").fill("hello")
    button(page, "Start").click()
    expect(page).to_have_url(re.compile("#charts$"))


def watch(one: Page, other: Page) -> None:
    for page in (one, other):
        expect(page.locator("#state")).to_have_text("running")
        expect(page.locator("#figures")).to_contain_text("2 of 2")
    other.goto(f"{other.url.partition('#')[0]}#endpoints")
    expect(other.get_by_role("row").filter(has_text="GET /hello")).to_contain_text(re.compile(r"\d+/s"))
    other.goto(f"{other.url.partition('#')[0]}#failures")
    expect(other.get_by_role("row").filter(has_text="<b>sold out</b>")).to_contain_text("GET /hello")
    other.goto(f"{other.url.partition('#')[0]}#workers")
    expect(other.get_by_role("row").filter(has_text="local")).to_contain_text("ready")
    expect(one.locator(".chart", has_text="Requests per second").locator("canvas")).to_have_attribute(
        "aria-label", re.compile(r"maximum [1-9]")
    )


def change_and_trip(one: Page, other: Page) -> None:
    other.goto(f"{other.url.partition('#')[0]}#guards")
    row = other.get_by_role("row").filter(has_text="users > 5")
    expect(row).to_contain_text("ok")
    button(one, "Hold").click()
    expect(other.locator("#state")).to_have_text("holding")
    one.locator("#commands").get_by_role("button", name="Release").click()
    expect(other.locator("#state")).to_have_text("running")
    button(one, "Change load").click()
    one.get_by_role("dialog").get_by_label("Users", exact=True).fill("10")
    button(one, "Change").click()
    expect(row).to_contain_text("tripped")
    for page in (one, other):
        expect(page.locator("#banners")).to_contain_text("users > 5")
    button(one, "Annotate").click()
    one.get_by_label("Text").fill("deployed <b>1.4.2</b>")
    button(one, "Add").click()
    expect(one.locator(".annotations")).to_contain_text("deployed <b>1.4.2</b>")


def stop(page: Page) -> None:
    button(page, "Stop").click()
    expect(page.locator("#state")).to_have_text("stopped")
    expect(page.locator("#banners")).to_contain_text("The run has ended")


def look_back(page: Page) -> None:
    page.goto(f"{page.url.partition('#')[0]}#runs")
    page.get_by_role("combobox", name="Tag", exact=True).select_option("nightly")
    page.get_by_role("button", name=re.compile("^Explain run")).click()
    expect(page.locator(".panel h3")).not_to_be_empty()
    report = page.get_by_role("link", name=re.compile("^Report of run"))
    with page.context.expect_page() as opening:
        report.click()
    expect(opening.value.get_by_role("heading", name="Endpoints")).to_be_visible()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
