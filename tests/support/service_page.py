"""Uses the page of a master service in headless Chromium: `python -m tests.support.service_page FOLDER TARGET`.

The folder has loadtest.py. Runs by itself, because gevent's patches and Playwright do not go together.
"""

import os
import re
import shutil
import signal
import sys
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright

from tests.support.live_page import TIMEOUT_MS, button
from tests.support.service import TOKEN, Service, child_of


def main(folder: Path, target: str) -> None:
    expect.set_options(timeout=TIMEOUT_MS)
    options = ("loadtest.py", "-H", target, "--hold-when", "users > 5", "--store", "runs")
    # Of two workers, one is killed.
    with sync_playwright() as playwright, Service(folder, *options, workers=(1, 1)) as service:
        # As root, which CI often is, Chromium has no sandbox.
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_context(viewport={"width": 1024, "height": 800}).new_page()
        page.set_default_timeout(TIMEOUT_MS)
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on(
            "console", lambda message: errors.append(message.text) if message.type in ("error", "warning") else None
        )
        try:
            page.goto(service.url)
            page.get_by_label("Token").fill(TOKEN)
            button(page, "Log in").click()
            first = run_id(start(page, "2"))
            lose_a_worker(page, service)
            restart_the_master(page, service)
            stop(page)
            # The next run, for which the service is another process, needs no further login.
            second = run_id(start(page, "8"))
            assert first != second
            expect(page.locator("#state")).to_have_text("holding")
            expect(page.locator("#banners")).to_contain_text("users > 5")
            stop(page)
            page.goto(f"{service.url}/#runs")
            rows = page.locator("main > div > .table tbody tr")
            expect(rows).to_have_count(2)
            expect(rows.nth(0)).to_contain_text(second)
            expect(rows.nth(1)).to_contain_text(first)
            # What the browser itself says of a server that does not respond is no fault of the page.
            assert [each for each in errors if "Failed to load resource" not in each] == []
        except BaseException:
            print(service.log(), service.log("workers.log"), file=sys.stderr)
            raise
        finally:
            browser.close()


def start(page: Page, users: str) -> Page:
    page.goto(f"{page.url.partition('#')[0]}#start")
    page.get_by_label("Users", exact=True).fill(users)
    page.get_by_label("Spawn rate").fill("50")
    page.get_by_label("greeting").fill("hello")
    button(page, "Start").click()
    expect(page).to_have_url(re.compile("#charts$"))
    expect(page.locator("#state")).to_have_text(re.compile("running|holding"))
    expect(page.locator("#banners")).not_to_contain_text("The server was restarted")
    return page


def run_id(page: Page) -> str:
    expect(page.locator("#about")).to_contain_text(re.compile(r"Run \d{8}-\d{6}-\w{4}"))
    return page.locator("#about").inner_text().split()[1].rstrip(",")


def lose_a_worker(page: Page, service: Service) -> None:
    expect(page.locator("#views")).to_contain_text("Workers 2")
    expect(page.locator("#figures")).to_contain_text("2 of 2")
    # Its processes are not started again.
    service._programs[-1].kill()
    expect(page.locator("#banners")).to_contain_text(re.compile("1 worker missing or lost"))
    page.goto(f"{service.url}/#endpoints")
    expect(page.get_by_role("row").filter(has_text="GET /hello")).to_contain_text(re.compile(r"\d+/s"))


def restart_the_master(page: Page, service: Service) -> None:
    """Its process crashes, and goes on with the run."""
    page.goto(f"{service.url}/#charts")
    before = page.locator("#about").inner_text().split(",")[0]
    os.kill(child_of(service.master), signal.SIGKILL)
    expect(page.locator("#banners")).to_contain_text("The server was restarted")
    button(page, "Close").click()
    expect(page.locator("#about")).to_contain_text(before)
    expect(page.locator("#state")).to_have_text("running")


def stop(page: Page) -> None:
    button(page, "Stop").click()
    expect(page.locator("#state")).to_have_text("stopped")
    expect(page.locator("#banners")).to_contain_text("The run has ended")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
