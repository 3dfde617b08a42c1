"""The page of a real server: a run is started, watched, changed, held and stopped in two browsers, and the server restarts."""

import subprocess
import sys
from pathlib import Path

from tests.support.patience import HANG_S
from tests.support.programs import ROOT, QuickServer

LOADTEST = """
from obswarm import FastHttpUser, constant, events, task

@events.init_command_line_parser.add_listener
def options(parser):
    parser.add_argument("--greeting", default="")

class Visitor(FastHttpUser):
    wait_time = constant(0.05)

    @task
    def page(self):
        with self.client.get(f"/{self.environment.parsed_options.greeting}", catch_response=True) as response:
            response.failure("<b>sold out</b><script>window.intruded=1</script>")
"""


def test_a_run_from_its_start_to_its_report(tmp_path: Path) -> None:
    (tmp_path / "loadtest.py").write_text(LOADTEST)
    with QuickServer() as quick:
        done = subprocess.run(
            [sys.executable, "-m", "tests.support.real_page", tmp_path, quick.url],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=2 * HANG_S,
            check=False,
        )
    assert done.returncode == 0, done.stderr
