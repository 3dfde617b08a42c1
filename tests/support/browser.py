"""Looks at an HTML file as people do: `python -m tests.support.browser FILE FOLDER`.

Prints JSON: for each of desktop and phone, light and dark, what was requested, what went wrong, whether a script ran
that is not the page's own (it would set window.intruded, or ask something), how much the page is wider than
the window, what axe finds fault with, and where the screenshot is. Runs by itself, because gevent's patches and
Playwright do not go together.
"""

import json
import shutil
import sys
from pathlib import Path

SIZES = {"desktop": (1280, 900), "phone": (390, 844)}
_CUT_CELLS = """
    [...document.querySelectorAll("td, tbody th")].filter((cell) => cell.getBoundingClientRect().right > innerWidth).length
"""
SERIOUS = ("serious", "critical")


def main(file: str, folder: str) -> None:
    from axe_playwright_python.sync_playwright import Axe
    from playwright.sync_api import sync_playwright

    found = []
    with sync_playwright() as playwright:
        # As root, which CI often is, Chromium has no sandbox.
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for scheme in ("light", "dark"):
            for name, (width, height) in SIZES.items():
                # axe is written into the page, which its own policy does not let anybody do.
                context = browser.new_context(
                    viewport={"width": width, "height": height}, color_scheme=scheme, bypass_csp=True
                )
                page = context.new_page()
                requests: list[str] = []
                errors: list[str] = []
                page.on("request", lambda request, kept=requests: kept.append(request.url))
                page.on("pageerror", lambda error, kept=errors: kept.append(str(error)))
                page.on("dialog", lambda dialog, kept=errors: (kept.append(dialog.message), dialog.dismiss()))
                page.on("console", lambda message, kept=errors: message.type == "error" and kept.append(message.text))
                page.goto(Path(file).resolve().as_uri())
                page.wait_for_selector("html[data-drawn=yes]", state="attached")
                picture = Path(folder, f"{name}-{scheme}.png")
                page.screenshot(path=picture, full_page=True)
                legends = page.locator(".u-legend").all_inner_texts()
                page.check("#logarithmic")
                faults = Axe().run(page).response["violations"]
                found.append(
                    {
                        "name": f"{name}, {scheme}",
                        "requests": requests,
                        "errors": errors,
                        "too_wide": page.evaluate("document.documentElement.scrollWidth - innerWidth"),
                        "legends": [" ".join(legend.split()) for legend in legends],
                        "tables_too_wide": page.evaluate(_CUT_CELLS),
                        "intruded": page.evaluate("window.intruded !== undefined"),
                        "charts": page.evaluate("document.querySelectorAll('.uplot').length"),
                        "faults": [[each["id"], each["impact"], each["nodes"][0]["html"][:200]] for each in faults],
                        "picture": str(picture),
                    }
                )
                context.close()
        browser.close()
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
