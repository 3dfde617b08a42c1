"""A run's report is there when it ends, and is looked at in a real browser: desktop and phone, light and dark."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.browser import SERIOUS
from tests.support.forked import forked_obswarm
from tests.support.patience import HANG_S
from tests.support.programs import ROOT, QuickServer, start_obswarm

LOADTEST = """
from obswarm import FastHttpUser, constant, task

INTRUDER = (
    "</script><script>window.intruded=1</script><img src=x onerror=window.intruded=1>"
    "<svg onload=window.intruded=1></svg><!--'\\"]]>{{ 7*7 }}&lt;script&gt;"
)

class Visitor(FastHttpUser):
    wait_time = constant(0.02)

    @task(5)
    def page(self):
        self.client.get("/page")

    @task
    def product(self):
        with self.client.get("/a/rather/long/path/of/a/product/1", name="/a/rather/long/path/of/a/product/{id}",
                             catch_response=True) as response:
            response.failure("sold out: " + "<b>" * 3 + INTRUDER)

    @task
    def intruder(self):
        self.client.get("/page", name="/page?q=" + INTRUDER)
        raise RuntimeError(INTRUDER)
"""
RUN = ("run", "loadtest.py", "--headless", "--workers", 0, "--web-port", 0, "--linger", 0)
HERE = {"OBSWARM_STORE": "", "OBSWARM_NO_REPORT": ""}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two of them, in the usual folder."""
    folder = tmp_path_factory.mktemp("runs")
    (folder / "loadtest.py").write_text(LOADTEST)
    with QuickServer() as quick:
        words = ("-H", quick.url, "--target", f"app={quick.url}/metrics", "--stop-when", "p95 > 60s")
        started = [
            start_obswarm(*RUN, *words, "--stages", stages, cwd=folder, **HERE)
            for stages in ("2s:5,20s:5", "2s:5,21s:5")
        ]
        logged = [process.communicate(timeout=HANG_S)[1] for process in started]
    assert [process.returncode for process in started] == [1, 1], logged
    reports = {f"Report: .obswarm/reports/{path.name}" for path in (folder / ".obswarm" / "reports").iterdir()}
    assert len(reports) == 2
    assert {line for text in logged for line in text.splitlines() if line.startswith("Report: ")} == reports
    return folder


def look(page: Path, folder: Path) -> list[dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.browser", page, folder],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=HANG_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def check(page: Path, folder: Path, charts: int) -> None:
    seen = look(page, folder)
    assert [each["name"] for each in seen] == ["desktop, light", "phone, light", "desktop, dark", "phone, dark"]
    for each in seen:
        assert each["requests"] == [page.resolve().as_uri()], each["name"]
        assert each["errors"] == [], each["name"]
        assert not each["intruded"], each["name"]
        assert each["too_wide"] <= 0, each["name"]
        assert each["tables_too_wide"] == 0, each["name"]
        assert each["charts"] == charts, "with logarithmic axes, too"
        # Nobody has pointed at anything.
        assert re.fullmatch(r"at the end (users \d+ target|base \d+ run) \d+", each["legends"][0])
        assert [fault for fault in each["faults"] if fault[1] in SERIOUS] == [], each["name"]
        assert Path(each["picture"]).stat().st_size > 20_000


def test_the_report_is_accessible_and_needs_no_network(runs: Path, tmp_path: Path) -> None:
    page = sorted((runs / ".obswarm" / "reports").iterdir())[-1]
    # Seven of the load test (two of them of requests under way), one of the target, three of the generator.
    check(page, tmp_path, charts=11)


def test_the_comparison_page_is_accessible_and_needs_no_network(runs: Path, tmp_path: Path) -> None:
    ids = [path.stem for path in sorted((runs / ".obswarm" / "reports").iterdir())]
    page = tmp_path / "comparison.html"
    done = forked_obswarm("compare", *ids, "-o", page, cwd=runs, **HERE)
    assert done.code == 0, done.stderr
    assert "Aggregated" in done.stdout
    assert "Configuration differs: stages" in done.stdout
    check(page, tmp_path, charts=5)


def test_limits_decide_the_exit_code(runs: Path) -> None:
    ids = [path.stem for path in sorted((runs / ".obswarm" / "reports").iterdir())]
    assert forked_obswarm("compare", *ids, "--fail-on", "p95 > +900%", cwd=runs, **HERE).code == 0
    document = json.loads(forked_obswarm("compare", *ids, "--json", cwd=runs, **HERE).stdout)
    assert document["endpoints"][0]["name"] == "Aggregated"
    bad = forked_obswarm("compare", *ids, "--fail-on", "speed > +10%", cwd=runs, **HERE)
    assert bad.code == 2
    assert "measures are throughput, error_ratio, p50, p95, p99" in " ".join(bad.stderr.split())


def test_a_report_can_be_written_anew_and_goes_with_its_run(runs: Path, tmp_path: Path) -> None:
    done = forked_obswarm("report", "latest", "-o", tmp_path / "again.html", cwd=runs, **HERE)
    assert done.code == 0, done.stderr
    assert done.stdout == f"{tmp_path / 'again.html'}\n"
    bad = forked_obswarm("report", "latest", "-o", "loadtest.py/x.html", cwd=runs, **HERE)
    assert (bad.code, "cannot be written" in bad.stderr) == (2, True)
    last = sorted((runs / ".obswarm" / "reports").iterdir())[-1]
    assert forked_obswarm("runs", "rm", "--yes", last.stem, cwd=runs, **HERE).code == 0
    assert not last.exists()
