"""A run without a page has none of what a page needs in memory."""

import subprocess
import sys

from tests.support.patience import HANG_S

_PROGRAM = """
import sys
import obswarm.gevent_patch
import obswarm.cli.run, obswarm.cli.master, obswarm.app.build
from types import SimpleNamespace as Plan
plan = Plan(environment=Plan(have_page=id), loaded=Plan(loadtest=Plan(name="")))
obswarm.app.build.{call}
print(*sorted({{"flask", "msgspec", "werkzeug"}} & sys.modules.keys()))
"""


def imported_by(call: str) -> list[str]:
    """What of a page's packages a process has imported after that call."""
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM.format(call=call)], capture_output=True, text=True, timeout=HANG_S, check=True
    )
    return done.stdout.split()


def test_without_a_page_neither_flask_nor_msgspec_is_imported() -> None:
    without = "page_of(obswarm.config.RunConfig.of({'headless': True}, {}), plan)"
    assert imported_by(without) == []
    served = "page_of(obswarm.config.RunConfig.of({'workers': 1}, {}), plan)"
    assert imported_by(served) == ["msgspec"], "Flask is imported when somebody opens the page"
    with_users = "page_of(obswarm.config.RunConfig.of({'workers': 0}, {}), plan)"
    assert imported_by(with_users) == ["flask", "msgspec", "werkzeug"], "not while there are users in the process"
