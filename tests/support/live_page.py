"""Uses the live page in headless Chromium: `python -m tests.support.live_page [NAME …]`.

Prints JSON: for each check, null, or what was wrong. All checks share a browser. Runs by itself, because gevent's patches
and Playwright do not go together.
"""

import json
import re
import shutil
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.support.page_server import StubMaster

TIMEOUT_MS = 60_000
"""For a state to come about; a busy machine is the normal case."""
VIEWS = (
    "start",
    "charts",
    "endpoints",
    "failures",
    "exceptions",
    "workers",
    "guards",
    "classes",
    "panels",
    "log",
    "runs",
)
CHECKS: dict[str, Callable[[Browser], None]] = {}


def check(function: Callable[[Browser], None]) -> Callable[[Browser], None]:
    CHECKS[function.__name__] = function
    return function


@contextmanager
def opened(
    browser: Browser, master: StubMaster, view: str = "", width: int = 1440, scheme: Any = "light", axe: bool = False
) -> Iterator[Page]:
    """A page that has connected, or shows the login. Afterwards: it has asked nothing of others, no script has failed or
    intruded, and its policy has forbidden nothing."""
    # axe is written into the page, which its own policy does not let anybody do.
    context = browser.new_context(viewport={"width": width, "height": 844}, color_scheme=scheme, bypass_csp=axe)
    context.set_default_timeout(TIMEOUT_MS)
    page = context.new_page()
    errors: list[str] = []
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if message.type in ("error", "warning") else None)
    page.goto(f"{master.url}/#{view}")
    page.wait_for_selector("html[data-state], form.login", state="attached")
    yield page
    assert {url for url in requests if not url.startswith(master.url)} == set()
    # What the browser itself says of a server that does not respond or refuses is no fault of the page.
    assert [each for each in errors if "Failed to load resource" not in each] == []
    assert page.evaluate("window.intruded") is None
    context.close()


@contextmanager
def serving(**how: Any) -> Iterator[StubMaster]:
    master = StubMaster(**how)
    try:
        yield master
    finally:
        master.close()


def button(page: Page, name: str) -> Any:
    return page.get_by_role("button", name=name, exact=True)


def choice(page: Page, name: str) -> Any:
    return page.get_by_role("combobox", name=name, exact=True)


@check
def everybody_can_use_every_view_at_every_width(browser: Browser) -> None:
    """At 1440 and 390 px, light and dark; 720 px are a window of 1440 px at 200 %."""
    from axe_playwright_python.sync_playwright import Axe

    found = []
    with serving() as master:
        master.guard_state, master.saturated = "tripped", True
        master.in_force = [{"by": "guard slow", "action": "hold"}]
        for width, scheme in ((1440, "light"), (390, "dark")):
            with opened(browser, master, width=width, scheme=scheme, axe=True) as page:
                for view in VIEWS:
                    page.goto(f"{master.url}/#{view}")
                    page.wait_for_selector(f"nav a[href='#{view}'][aria-current]")
                    shown(page, view)
                    for wide in (width, 720, 1024) if width == 1440 else (width,):
                        page.set_viewport_size({"width": wide, "height": 844})
                        too_wide = page.evaluate(
                            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
                        )
                        if too_wide > 0:
                            found.append(f"{view} at {wide} px is {too_wide} px too wide")
                    faults = Axe().run(page).response["violations"]
                    where = f"{view} at {wide} px, {scheme}"
                    found += [f"{where}: {each['id']}: {each['nodes'][0]['html'][:150]}" for each in faults]
                button(page, "Change load").click()
                faults = Axe().run(page).response["violations"]
                found += [f"dialog, {scheme}: {each['id']}: {each['nodes'][0]['html'][:150]}" for each in faults]
    with serving(token="swordfish") as master, opened(browser, master, axe=True) as page:
        faults = Axe().run(page).response["violations"]
        found += [f"login: {each['id']}: {each['nodes'][0]['html'][:150]}" for each in faults]
    assert not found, "\n".join(found)


def shown(page: Page, view: str) -> None:
    """Wait until a view has its contents, and open what is closed."""
    if view == "charts":
        page.wait_for_selector(".uplot")
        page.locator(".picker > summary").first.click()
        page.get_by_label("shop-db: Connections").check()
        page.wait_for_selector("h3:text('shop-db: Connections')")
    elif view == "start":
        page.wait_for_selector("form.start h2")
    elif view == "runs":
        boxes = page.locator("tbody input[type=checkbox]")
        for number in (0, 1):
            boxes.nth(number).check()
        page.get_by_role("button", name="Compare the two chosen runs").click()
        page.wait_for_selector(".panel table")
    else:
        page.wait_for_selector("main tbody tr, main details, main li")


@check
def a_run_is_started_from_the_form(browser: Browser) -> None:
    with serving(seconds=0) as master, opened(browser, master) as page:
        page.get_by_label("Users", exact=True).fill("13")
        page.get_by_label("Spawn rate").fill("2.5")
        page.get_by_label("Admin").uncheck()
        page.get_by_label("Tag", exact=True).fill("nightly")
        page.get_by_label("currency").select_option("USD")
        page.get_by_label("verbose").check()
        page.get_by_label("password").fill("geheim")
        page.get_by_text("Tags", exact=True).click()
        page.get_by_role("group", name="Only tasks").get_by_label("checkout").check()
        button(page, "Start").click()
        expect(page.locator("form.start [role=alert]")).to_have_text("13 users are not allowed <b>here</b>.")
        page.get_by_label("Users", exact=True).fill("40")
        button(page, "Start").click()
        expect(page).to_have_url(re.compile("#charts$"))
        expect(page.locator("#about")).to_contain_text("20261129-190000-new1")
        options = {"account": "demo", "currency": "USD", "items": 3, "verbose": True, "password": "geheim"}
        assert master.commands[-1] == (
            "/start",
            {
                "users": 40, "spawn_rate": 2.5, "host": "https://shop.example.com", "profile": "nightly", "user_classes": ["Customer"],
                "tags": ["checkout"], "exclude_tags": [], "options": options,
            },
        )  # fmt: skip
        page.goto(f"{master.url}/#start")
        expect(button(page, "Start")).to_be_disabled()
        expect(page.get_by_label("password")).to_have_value("")


@check
def other_loads_replace_the_number_of_users(browser: Browser) -> None:
    with serving(seconds=0) as master, opened(browser, master, "start") as page:
        page.get_by_label("Stages", exact=True).first.check()
        button(page, "Start").click()
        expect(page.locator("form.start [role=alert]")).to_contain_text("Stages: ")
        assert master.commands == []
        page.locator("input[type=text][placeholder*='30s:100']").fill("10s:5,1m:50")
        button(page, "Start").click()
        expect(page).to_have_url(re.compile("#charts$"))
        body = master.commands[-1][1]
        assert body["stages"] == "10s:5,1m:50"
        assert "users" not in body


@check
def the_form_is_that_of_the_server_as_it_is(browser: Browser) -> None:
    with serving(seconds=0) as master, opened(browser, master, "start") as page:
        page.get_by_label("currency").select_option("USD")
        master.loadtest = {**master.loadtest, "options": [{**master.loadtest["options"][0], "name": "tenant"}]}
        master.send_state()
        expect(page.get_by_label("currency")).to_have_value("1")
        master.boot = "boot2"
        master.send_state()
        expect(page.get_by_label("tenant")).to_have_value("demo")
        expect(page.get_by_label("currency")).to_have_count(0)
        master.is_startable = False
        master.send_state()
        expect(button(page, "Start")).to_be_disabled()
        expect(page.locator("form.start")).to_contain_text("This server starts no further runs")


@check
def numbers_follow_the_run(browser: Browser) -> None:
    with serving(seconds=10) as master, opened(browser, master, "charts") as page:
        figures = page.locator("#figures")
        expect(figures).to_contain_text("200/s")
        master.tick(15)
        expect(figures).to_contain_text("400/s")
        expect(figures).to_contain_text("10,000")
        expect(page.locator(".chart", has_text="Requests per second").locator("canvas")).to_have_attribute(
            "aria-label", re.compile("last 400/s")
        )
        master.annotate("note", "deployed <b>1.4.2</b>")
        expect(page.locator(".annotations li").first).to_contain_text("deployed <b>1.4.2</b>")
        page.goto(f"{master.url}/#endpoints")
        expect(page.locator("tr.total")).to_contain_text("Aggregated")


@check
def zoom_and_cursor_are_those_of_all_charts_and_stay(browser: Browser) -> None:
    with serving() as master, opened(browser, master, "charts") as page:
        plots = page.locator(".u-over")
        legends = page.locator(".u-legend .u-series:first-child .u-value")
        box = plots.nth(0).bounding_box()
        assert box is not None
        end = box["x"] + box["width"] - 2
        page.mouse.move(end, box["y"] + 20)
        expect(legends.nth(1)).to_contain_text("1:00 (")
        page.mouse.move(box["x"] + box["width"] / 4, box["y"] + 20)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 20, steps=4)
        page.mouse.up()
        for _ in range(2):
            page.mouse.move(end, box["y"] + 20)
            expect(legends.nth(1)).to_have_text(re.compile(r"0:(29|3[012]) \("))
            master.tick()
            expect(page.locator("#figures")).to_contain_text(f"{400 * len(master.points):,}")
        plots.nth(0).dblclick()
        page.mouse.move(end, box["y"] + 21)
        expect(legends.nth(1)).to_have_text(re.compile(r"1:0[12] \("))


@check
def endpoints_are_sorted_filtered_and_grouped(browser: Browser) -> None:
    with serving(endpoints=120) as master, opened(browser, master, "endpoints") as page:
        rows = page.locator("main tbody tr:not(.total)")
        expect(rows).to_have_count(100)
        button(page, "Show all 120 rows").click()
        expect(rows).to_have_count(120)
        page.get_by_role("columnheader", name="endpoint").get_by_role("button").click()
        expect(page.get_by_role("columnheader", name="endpoint")).to_have_attribute("aria-sort", "ascending")
        expect(rows.first).to_contain_text("GET /")
        page.get_by_label("Filter").fill("products/11")
        expect(rows).to_have_count(7 + 1)
        choice(page, "Method").select_option("POST")
        expect(page.get_by_text("No endpoint matches the filter.")).to_be_visible()
        page.get_by_label("Filter").fill("")
        expect(rows).to_have_count(1)
        choice(page, "Method").select_option("")
        choice(page, "Group by").select_option("prefix")
        group = page.get_by_role("button", name="/products (117)")
        group.press("Enter")
        expect(group).to_have_attribute("aria-expanded", "true")
        expect(page.locator(".group-row")).to_have_count(4)
        master.tick()
        expect(rows).to_have_count(4 + 117)


@check
def columns_are_chosen_and_kept(browser: Browser) -> None:
    with serving(endpoints=5) as master, opened(browser, master, "endpoints") as page:
        heading = page.get_by_role("columnheader", name="p50")
        expect(heading).to_be_visible()
        page.get_by_text("Columns", exact=True).click()
        page.get_by_role("checkbox", name="p50").uncheck()
        expect(heading).to_have_count(0)
        cells = page.locator("main tbody tr").first.locator("th:visible, td:visible")
        shown = page.locator("main thead th:visible").count()
        expect(cells).to_have_count(shown)
        master.tick()
        expect(cells).to_have_count(shown)
        page.reload()
        expect(page.get_by_role("columnheader", name="p95")).to_be_visible()
        expect(heading).to_have_count(0)
        page.get_by_text("Columns", exact=True).click()
        page.get_by_role("checkbox", name="p50").check()
        expect(heading).to_be_visible()


@check
def charts_are_saved_as_files(browser: Browser) -> None:
    with serving(seconds=3) as master, opened(browser, master, "charts") as page:
        page.wait_for_selector(".uplot")
        with page.expect_download() as saving:
            button(page, "Save Latency as CSV").click()
        assert saving.value.suggested_filename == f"{master.run_id}_latency.csv"
        heading, *rows = saving.value.path().read_text().splitlines()
        assert heading == "time_s,elapsed_s,p50,p95,p99"
        assert len(rows) == len(master.points)
        assert [float(each) for each in rows[-1].split(",")[2:]] == [
            master.points[-1][name] for name in ("p50_s", "p95_s", "p99_s")
        ]
        with page.expect_download() as saving:
            button(page, "Save Users as PNG").click()
        assert saving.value.suggested_filename == f"{master.run_id}_users.png"
        content = saving.value.path().read_bytes()
        assert content.startswith(b"\x89PNG")
        width, height = (int.from_bytes(content[at : at + 4]) for at in (16, 20))
        assert width > 300 < 2 * height


@check
def metrics_of_the_load_test_have_charts(browser: Browser) -> None:
    with serving(seconds=5) as master, opened(browser, master, "charts") as page:
        page.get_by_text("The load test's own metrics (2)").click()
        page.get_by_label("basket_size (items), p95").check()
        chart = page.locator(".chart", has_text="basket_size (items), p95")
        expect(chart.locator("canvas")).to_have_attribute("aria-label", re.compile("last 2[0-9]"))
        master.tick()
        expect(chart).to_contain_text("tier=gold")


@check
def panels_of_the_load_test_are_shown(browser: Browser) -> None:
    with serving() as master, opened(browser, master, "charts") as page:
        page.get_by_role("link", name="Panels").click()
        rows = page.get_by_role("table", name="Lengths").locator("tbody tr")
        expect(rows).to_have_count(2)
        expect(rows.nth(0)).to_contain_text("/a </td><script>")
        expect(rows.nth(0)).to_contain_text("12,345.679")
        expect(rows.nth(1)).to_contain_text("–")
        expect(page.get_by_role("link", name="lengths (CSV)")).to_have_attribute("href", "/lengths/csv")
        document = master.document
        master.document = lambda path, query: (  # type: ignore[method-assign]
            {"panels": [], "files": []} if path == "/panels" else document(path, query)
        )
        master.boot = "boot2"
        master.send_state()
        expect(page.get_by_role("link", name="Panels")).to_be_hidden()


@check
def the_load_is_changed_held_released_and_stopped(browser: Browser) -> None:
    with serving() as master, opened(browser, master, "charts") as page:
        button(page, "Change load").press("Enter")
        dialog = page.get_by_role("dialog")
        dialog.get_by_label("Users", exact=True).fill("80")
        button(dialog, "Change").click()
        expect(page.locator("#figures")).to_contain_text("of 80")
        button(page, "Hold").click()
        expect(page.locator("#state")).to_have_text("holding")
        expect(page.locator("#banners")).to_contain_text("The load is held by page.")
        page.locator("#commands").get_by_role("button", name="Release").click()
        expect(page.locator("#state")).to_have_text("running")
        expect(page.locator("#banners")).to_be_empty()
        button(page, "Annotate").click()
        page.get_by_label("Text").fill("deployed")
        page.get_by_label("Text").press("Enter")
        expect(dialog).to_have_count(0)
        button(page, "Reset").click()
        page.keyboard.press("Escape")
        expect(dialog).to_have_count(0)
        expect(button(page, "Reset")).to_be_focused()
        button(page, "Stop").click()
        expect(page.locator("#state")).to_have_text("stopping")
        button(page, "Stop at once").click()
        expect(page.locator("#state")).to_have_text("stopped")
        expect(page.locator("#banners")).to_contain_text("The run has ended: stopped from the page. Exit code 3.")
        expect(page.get_by_role("link", name="New run").first).to_be_visible()
        assert master.commands == [
            ("/load", {"users": 80, "spawn_rate": 10}), ("/hold", {}), ("/release", {"by": "page"}), ("/annotate", {"text": "deployed"}),
            ("/stop", {"abort": False}), ("/stop", {"abort": True}),
        ]  # fmt: skip


@check
def a_run_with_a_rate_has_no_target_of_users(browser: Browser) -> None:
    with serving() as master:
        master.rate_target = 100.0
        master.points = [
            {**point, "users_target": 0, "iterations_per_s_target": 100.0, "dropped_per_s": 3.0}
            for point in master.points
        ]
        status = master.status
        master.status = lambda: {**status(), "users_target": 0}  # type: ignore[method-assign]
        with opened(browser, master, "charts") as page:
            expect(page.locator("#figures dd").first).to_have_text("50")
            expect(page.locator("#figures")).to_contain_text("100 of 100")
            expect(page.locator(".chart", has_text="Iterations per second")).to_contain_text("not started")
            expect(page.locator(".chart").first).not_to_contain_text("target")
            button(page, "Change load").click()
            page.get_by_label("Arrival rate").fill("60/s")
            button(page, "Change").click()
            expect(page.get_by_role("dialog")).to_have_count(0)
            assert master.commands == [("/load", {"arrival_rate": "60/s"})]
            master.state = "stopped"
            master.send_state()
            expect(page.locator("#banners")).to_contain_text("Its result is being written")


@check
def a_tripped_guard_and_a_lost_worker_are_seen(browser: Browser) -> None:
    with serving() as master, opened(browser, master, "guards") as page:
        row = page.get_by_role("row").filter(has_text="slow (p95 > 2s for 10s)")
        expect(row).to_contain_text("ok")
        master.guard_state, master.state, master.in_force = "tripped", "holding", [{"by": "slow", "action": "hold"}]
        master.annotate("guard", "slow: p95 > 2s")
        master.tick()
        expect(row).to_contain_text("tripped")
        expect(row).to_contain_text("First suspect: shop-db: connections rose first.")
        expect(page.locator("#banners")).to_contain_text("The load is held by slow.")
        expect(page.get_by_role("row").filter(has_text="promql(up) < 1")).to_contain_text(
            "Prometheus does not respond."
        )
        workers = master.workers()
        workers[1]["state"] = "lost"
        master.workers = lambda: workers  # type: ignore[method-assign]
        master.tick()
        expect(page.locator("#banners")).to_contain_text("1 worker missing or lost: host-2. See Workers.")
        page.get_by_role("button", name="Release what slow holds").click()
        expect(page.locator("#state")).to_have_text("running")
        master.tick()
        expect(row).to_contain_text("ok")
        master.state, master.stop_reason = "stopped", {"kind": "guard", "detail": "slow: p95 > 2s for 10s"}
        master.send_state()
        expect(page.locator("#banners .bad")).to_contain_text("The run has ended: slow: p95 > 2s for 10s")


@check
def two_browsers_see_the_same(browser: Browser) -> None:
    with serving() as master, opened(browser, master, "charts") as one, opened(browser, master, "charts") as other:
        button(one, "Hold").click()
        expect(other.locator("#state")).to_have_text("holding")
        other.locator("#commands").get_by_role("button", name="Release").click()
        expect(one.locator("#state")).to_have_text("running")


@check
def a_lost_connection_is_said_and_made_again(browser: Browser) -> None:
    with serving() as master, opened(browser, master, "charts") as page:
        expect(page.locator("#figures")).to_contain_text("24,000")
        master.is_down = True
        master.drop()
        expect(page.locator("#state")).to_have_text("connection lost")
        expect(page.locator("#banners")).to_contain_text(
            re.compile(r"No connection to the server since \d\d:\d\d:\d\d")
        )
        expect(page.locator("body")).to_have_class("stale")
        expect(button(page, "Stop")).to_be_hidden()
        # Meanwhile the run went on, in another process.
        master.boot, master.version = "boot2", "0.3.0"
        master.tick(20)
        master.is_down = False
        expect(page.locator("#state")).to_have_text("running")
        expect(page.locator("#figures")).to_contain_text("32,000")
        expect(page.locator("#banners")).to_contain_text("The server was restarted")
        expect(page.locator("#banners")).to_contain_text("The server is obswarm 0.3.0 now, this page is of 0.2.0.")
        expect(page.locator("body")).not_to_have_class("stale")
        expect(page.locator(".hint", has_text="Run 2026")).to_contain_text("1:20")
        expect(button(page, "Stop")).to_be_visible()


@check
def a_page_that_nobody_sees_has_the_right_title_and_catches_up(browser: Browser) -> None:
    hidden = "(hidden) => Object.defineProperty(document, 'hidden', {get: () => hidden, configurable: true})"
    with serving() as master, opened(browser, master, "charts") as page:
        expect(page).to_have_title("running · 400/s · obswarm")
        page.evaluate(hidden, True)
        master.tick(5)
        master.state, master.stop_reason = "stopped", {"kind": "time", "detail": "the planned time is over"}
        master.send_state()
        expect(page).to_have_title("stopped · obswarm")
        expect(page.locator("#state")).to_have_text("running")
        page.evaluate(hidden, False)
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        expect(page.locator("#state")).to_have_text("stopped")
        expect(page.locator("#figures")).to_contain_text("26,000")


@check
def a_silent_connection_is_lost(browser: Browser) -> None:
    with serving() as master, opened(browser, master, "charts") as page:
        expect(page.locator("#state")).to_have_text("running")
        expect(page.locator("#state")).to_have_text("connection lost")
        expect(page.locator("#state")).to_have_text("running")
        assert master.listened > 1


@check
def who_is_not_logged_in_sees_the_form(browser: Browser) -> None:
    with serving(token="swordfish") as master, opened(browser, master) as page:
        expect(page.locator("#figures")).to_be_hidden()
        page.get_by_label("Token").fill("wrong")
        button(page, "Log in").click()
        expect(page.locator("main [role=alert]")).to_have_text("This token is wrong.")
        page.get_by_label("Token").fill("swordfish")
        button(page, "Log in").click()
        expect(page.locator("#state")).to_have_text("running")
        button(page, "Hold").click()
        expect(page.locator("#state")).to_have_text("holding")
        page.context.clear_cookies()
        master.drop()
        expect(page.get_by_label("Token")).to_be_visible()
        expect(page.locator("#commands").get_by_role("button").first).to_be_hidden()


@check
def a_link_with_the_token_logs_in(browser: Browser) -> None:
    with serving(token="sword/fish") as master:
        context = browser.new_context()
        context.set_default_timeout(TIMEOUT_MS)
        page = context.new_page()
        page.goto(f"{master.url}/#token=sword%2Ffish")
        expect(page.locator("#state")).to_have_text("running")
        assert "sword" not in page.url
        context.clear_cookies()
        page.goto("about:blank")
        page.goto(f"{master.url}/#token=wrong")
        expect(page.get_by_label("Token")).to_be_visible()
        context.close()


@check
def runs_are_searched_explained_and_compared(browser: Browser) -> None:
    with serving() as master, opened(browser, master, "runs") as page:
        rows = page.locator("main > div > .table tbody tr")
        expect(rows).to_have_count(5)
        choice(page, "Tag").select_option("nightly")
        expect(rows).to_have_count(2)
        choice(page, "Tag").select_option("")
        page.get_by_role("button", name="Explain run 20261128-100000-abcd").click()
        expect(page.locator(".panel")).to_contain_text("The database saturated first")
        for number in (1, 3):
            rows.nth(number).get_by_role("checkbox").check()
        page.get_by_role("button", name="Compare the two chosen runs").click()
        expect(page.locator(".panel")).to_contain_text("20261125-100000-abcd (base) and 20261127-100000-abcd (run)")
        expect(page.locator(".panel td.bad")).to_have_text("slower")
        page.get_by_label("Search").fill("20261126")
        expect(rows).to_have_count(1)
        report = page.get_by_role("link", name="Report of run 20261126-100000-abcd")
        expect(report).to_have_attribute("href", "/api/v1/runs/20261126-100000-abcd/report")


@check
def colours_are_chosen_and_kept(browser: Browser) -> None:
    background = "getComputedStyle(document.body).backgroundColor"
    with serving() as master, opened(browser, master, "charts", scheme="dark") as page:
        dark = page.evaluate(background)
        page.get_by_label("Colours").select_option("light")
        assert page.evaluate(background) == "rgb(255, 255, 255)" != dark
        page.reload()
        page.wait_for_selector(".uplot")
        assert page.evaluate(background) == "rgb(255, 255, 255)"


_HISTORY = """async () => {
  const { History } = await import("/static/history.js");
  const history = new History(100);
  let requests = 0;
  for (let second = 1; second <= 10000; second++) {
    const rps = second % 7;
    requests += rps;
    history.add({ time_s: 1000 + second, users: second, rps, p95_s: second === 5000 ? 9 : 0.1, heat: [[0.5, rps]] });
  }
  // A second time, and a time without points.
  history.add({ time_s: 11000, users: 1, rps: 1, heat: [] });
  const length = history.length;
  history.add({ time_s: 99000, users: 1, rps: 1, heat: [] });
  const { time, columns, heat, lengths, step } = history, whole = lengths.slice(0, length);
  const short = new History(100);
  for (const [time_s, rps] of [[1, 100], [2, 100], [2.05, 0], [3.05, 100]]) short.add({ time_s, rps });
  return {
    length, step, requests, short: short.columns.rps.map(Math.round),
    counted: whole.reduce((sum, seconds, at) => sum + seconds * columns.rps[at], 0),
    inHeat: heat.slice(0, length).flat().reduce((sum, [, count]) => sum + count, 0),
    seconds: whole.reduce((sum, each) => sum + each, 0),
    highest: Math.max(...columns.p95_s.slice(0, length)),
    users: columns.users[length - 1],
    gap: columns.rps.slice(length), ordered: time.every((each, at) => !at || each > time[at - 1]),
    bands: history.heatmap(1000, 50).columns.length, edges: history.heatmap(1000, 50).edges,
  };
}"""


@check
def memory_is_bounded_and_nothing_is_lost_by_thinning(browser: Browser) -> None:
    with serving() as master, opened(browser, master) as page:
        found = page.evaluate(_HISTORY)
    assert 40 <= found["length"] <= 100
    assert found["step"] == 128
    assert found["seconds"] == 10000
    assert abs(found["counted"] - found["requests"]) < 1e-6 * found["requests"]
    assert found["inHeat"] == found["requests"]
    assert found["highest"] == 9
    assert found["users"] == 10000
    assert found["gap"] == [None, 1]
    assert found["ordered"]
    assert found["bands"] <= 50
    assert found["short"] == [100, 95, 100]
    assert len(found["edges"]) == 2


def main(names: list[str]) -> None:
    found: dict[str, str | None] = {}
    expect.set_options(timeout=TIMEOUT_MS)
    with sync_playwright() as playwright:
        # As root, which CI often is, Chromium has no sandbox.
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for name in names or CHECKS:
            try:
                CHECKS[name](browser)
                found[name] = None
            except Exception:
                found[name] = traceback.format_exc()
        browser.close()
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1:])
