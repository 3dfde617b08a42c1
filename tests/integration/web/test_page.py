"""What people do with the live page in a browser, against a server with the same API whose run is what the test says."""

import json
import subprocess
import sys

import pytest

from tests.support.live_page import CHECKS
from tests.support.patience import HANG_S
from tests.support.programs import ROOT


@pytest.fixture(scope="module")
def checked() -> dict[str, str | None]:
    """What each check of the browser found wrong; all of them in one browser."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.live_page"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=4 * HANG_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, str | None] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("name", CHECKS)
def test_in_a_browser(checked: dict[str, str | None], name: str) -> None:
    assert checked[name] is None, checked[name]
