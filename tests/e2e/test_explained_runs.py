"""A run that broke ends with a sentence that says what saturated first, and a guard's trip names the first suspect."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from obswarm.record import RunRecord
from obswarm.store import FILE, Store, read_run
from tests.support.breaking_site import BreakingSite, breaking_site
from tests.support.forked import forked_obswarm
from tests.support.programs import Finished, obswarm
from tests.support.prometheus import Prometheus

LOADTEST = """
from obswarm import FastHttpUser, constant, task

class Visitor(FastHttpUser):
    wait_time = constant(0.1)

    @task
    def page(self):
        self.client.get("/page")
"""
SUSPECT = r"MySQL \(db\): (waiting for row locks rose from 0 to 30|threads running rose from 2 to 32).* at 0:\d\d"
SENTENCE = (
    r"MySQL \(db\) saturated first, at 10 users: (waiting for row locks rose from 0 to 30|threads running rose from 2"
    r" to 32).*\."
)


def run(folder: Path, site: BreakingSite, *options: object, seconds: int) -> tuple[Finished, dict[str, Any]]:
    (folder / "loadtest.py").write_text(LOADTEST)
    (folder / "obswarm.toml").write_text(f'[[targets]]\nname = "db"\nkind = "mysql"\nurl = "{site.url}/metrics"\n')
    done = forked_obswarm(
        *("run", "loadtest.py", "-H", site.url, "-u", 10, "-r", 50, "-t", f"{seconds}s", "--json", "result.json"),
        *("--web-port", 0, "--linger", 0, "--headless", *options),
        cwd=folder,
        COLUMNS="300",
        OBSWARM_STORE=str(folder / "store"),
        OBSWARM_NO_REPORT="",
    )
    return done, json.loads((folder / "result.json").read_text())


def test_a_run_that_broke_ends_with_what_saturated_first_and_its_guard_names_the_suspect(tmp_path: Path) -> None:
    with breaking_site(healthy_s=22) as site:
        done, result = run(tmp_path, site, "--notify-when", "p95 > 250ms for 2s", seconds=32)
    assert done.code == 0, done.stderr
    assert re.fullmatch(SENTENCE, result["explanation"])
    assert result["explanation"] in done.stdout.splitlines()
    (guard,) = result["guards"]
    assert re.match(SUSPECT, guard["suspect"] or ""), done.stderr
    announced = f"First suspect when the guard {guard['name']} tripped: {guard['suspect']}"
    assert announced in [each["text"] for each in result["annotations"]]
    assert f"{announced}." in done.stderr
    assert f"; first suspect: {guard['suspect']}" in " ".join(done.stdout.split())
    # The report says the same, and so does the command.
    (report,) = (tmp_path / "store" / "reports").glob("*.html")
    assert result["explanation"] in report.read_text()
    explained = forked_obswarm("explain", "--store", "store", cwd=tmp_path, COLUMNS="300")
    assert explained.stdout.splitlines()[0] == result["explanation"]


def test_the_reason_of_a_guards_stop_names_the_first_suspect(tmp_path: Path) -> None:
    with breaking_site(healthy_s=22) as site:
        done, result = run(tmp_path, site, "--stop-when", "p95 > 250ms for 4s", seconds=60)
    assert done.code == 3, done.stderr
    reason = result["stop_reason"]["detail"]
    assert re.match(rf"The guard p95 > 250ms for 4s tripped: p95 is .*; first suspect: {SUSPECT}", reason), done.stderr
    assert reason.endswith(result["guards"][0]["suspect"])
    assert re.fullmatch(SENTENCE, result["explanation"])


@pytest.mark.parametrize("options", [(), ("--no-store",)], ids=["healthy", "not stored"])
def test_a_healthy_run_and_one_that_is_not_stored_end_without_a_sentence(
    options: tuple[str, ...], tmp_path: Path
) -> None:
    with breaking_site(healthy_s=1000 if not options else 8) as site:
        done, result = run(tmp_path, site, *options, seconds=14)
    assert done.code == 0, done.stderr
    assert result["explanation"] is None
    assert "saturated first" not in done.stdout


def test_every_series_that_a_prometheus_has_of_a_target_explains_the_run(tmp_path: Path) -> None:
    with breaking_site(healthy_s=11) as site:
        job = {"db": {"kind": "mysql", "instance": "db-1"}}
        with Prometheus(f"db={site.address}", labels=job) as prometheus:
            prometheus.wait_for('up{job="db"}', 1)
            options = ("--prometheus-url", prometheus.url)
            done, result = run(tmp_path, site, *options, seconds=20)
            assert done.code == 0, done.stderr
            record = stored_run(tmp_path)
            expected = series_of(prometheus, record)
    # Those that Prometheus makes of each scrape are among them.
    assert {"up", "scrape_duration_seconds"} <= {name.partition("{")[0] for name in expected}
    assert 'shop_jobs_waiting{instance="db-1", queue="pictures"}' in expected
    assert {key.name for key in record.series} == set(expected)
    assert {(key.target, key.kind, key.unit) for key in record.series} == {("db", "mysql", "number")}
    for key, points in record.series.items():
        # A range query gives at each step the last sample before it.
        assert len(points) > 1 or len({value for _, value in expected[key.name]}) == 1
        for time_s, value in points:
            before = [sample for at_s, sample in expected[key.name] if at_s <= time_s + TOLERANCE_S]
            assert value in before[-2:], (key.name, time_s)
    assert re.fullmatch(SENTENCE, result["explanation"])
    # A series of no exporter that anybody knows is shown by its behaviour.
    explained = obswarm("explain", "--json", "--store", "store", cwd=tmp_path)
    findings = [each for suspect in json.loads(explained.stdout)["suspects"] for each in suspect["findings"]]
    jobs = {each["metric"]: (each["before"], each["after"]) for each in findings if each["metric"].startswith("shop_")}
    assert jobs['shop_jobs_waiting{instance="db-1", queue="mail"}'] == (0, 60)
    assert jobs['shop_jobs_waiting{instance="db-1", queue="pictures"}'] == (0, 90)


TOLERANCE_S = 1.0
"""By which clocks, and the steps of a range query, may be later than what they show."""


def stored_run(folder: Path) -> RunRecord:
    with Store(folder / "store" / FILE) as store:
        (info,) = store.runs()
        return read_run(store, info)


def series_of(prometheus: Prometheus, record: RunRecord) -> dict[str, list[tuple[float, float]]]:
    """All samples of the target in the time of the run, by the text of the series."""
    end_s = record.intervals[-1].time_s
    span_s = round(record.intervals[-1].elapsed_s) + 2
    found = {}
    for series in prometheus.query(f'{{job="db"}}[{span_s}s]', at=end_s):
        labels = {name: value for name, value in series["metric"].items() if name not in ("__name__", "job", "kind")}
        pairs = ", ".join(f'{name}="{value}"' for name, value in sorted(labels.items()))
        name = f"{series['metric']['__name__']}{{{pairs}}}"
        found[name] = [(time_s, float(value)) for time_s, value in series["values"]]
    return found
