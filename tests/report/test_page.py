"""A run's page says first what matters, has everything in it, and takes nothing for markup."""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from obswarm.cli.master import master
from obswarm.cli.option_types import duration, duration_or_zero, wait_or_forever
from obswarm.cli.run import run
from obswarm.cli.web_options import duration_or_never
from obswarm.config import SETTINGS, setting_text
from obswarm.record import Annotation, LoadTestText, MetricKey, RunMetadata, RunRecord
from obswarm.report import run_page
from obswarm.report.page.data import chart_data
from obswarm.stats import EndpointKey
from obswarm.store import RunWriter, Store, read_run
from tests.support.recorded import LOGIN, PAGE, MadeUpRun

THREADS = MetricKey("db", "mysql", "threads running", "number")
NASTY = EndpointKey("GET", "</script><b>&")
RESULT: dict[str, Any] = {
    "stop_reason": {"kind": "time", "detail": "the planned time is over"},
    "users_max": 3,
    "totals": {"error_ratio": 0.0, "interrupted": 0},
    "requirements": [],
    "guards": [],
    "lost": [],
    "generator": {"saturated": False},
}


def record(
    tmp_path: Path,
    result: dict[str, Any] | None = None,
    seconds: int = 5,
    requests: Mapping[EndpointKey, Sequence[float]] | None = None,
    configuration: Mapping[str, Any] | None = None,
) -> RunRecord:
    tmp_path.mkdir(exist_ok=True)
    path = tmp_path / "runs.sqlite"
    writer = RunWriter(
        path, RunMetadata("1.0.0", configuration or {"users": 3}, [LoadTestText("shop.py", b"print('<hello>')")])
    )
    run = MadeUpRun([writer])
    writer.annotation(Annotation(run.statistics.started_wall_s, "start", "It starts <now>"))
    for number in range(seconds):
        if requests is None:
            run.pass_a_second({PAGE: [0.01 * (number + 1)] * 3, NASTY: [0.5]}, failed=[LOGIN])
        else:
            run.pass_a_second(requests)
        final = run.last
        writer.sample(final.time_s, {THREADS: float(number)})
    if result is not None:
        writer.finish(final, final.time_s, result)
    writer.close()
    with Store(path) as store:
        return read_run(store, store.find("latest"))


def test_the_page_is_complete_and_escapes_markup(tmp_path: Path) -> None:
    page = run_page(record(tmp_path, RESULT))
    assert "<b>" not in page
    assert "&lt;/script&gt;&lt;b&gt;&amp;" in page
    assert "It starts &lt;now&gt;" in page
    assert "print(&#39;&lt;hello&gt;&#39;)" in page
    assert set(re.findall(r'(?:src|href)="(.)', page)) == {"#"}, "it asks for nothing"
    (data,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert json.loads(data)["endpoints"][1]["name"] == "GET </script><b>&"
    assert page.index('id="verdict"') < page.index('id="endpoints"') < page.index('id="charts"')


def test_gaps_of_a_target_are_marked_on_its_charts(tmp_path: Path) -> None:
    found = record(tmp_path, RESULT, seconds=10)
    start_s = found.info.started_s
    threads = ((start_s, 1.0), (start_s + 3, math.nan), (start_s + 6.04, 2.0))
    (group,) = [group for group in chart_data(replace(found, samples={THREADS: threads}))["groups"] if "gaps" in group]
    assert (group["title"], group["gaps"], group["gaps_text"]) == (
        "MySQL: db",
        [[3.0, 6.0]],
        "No data for 3s: 0:03 to 0:06.",
    )


def test_charts_have_a_value_for_each_moment(tmp_path: Path) -> None:
    data = chart_data(record(tmp_path, RESULT))
    charts = {chart["title"]: chart for group in data["groups"] for chart in group["charts"]}
    assert [group["title"] for group in data["groups"]] == ["Load test", "MySQL: db", "Load generator"]
    assert {len(line["values"]) for chart in charts.values() for line in chart["lines"]} == {5}
    (threads,) = charts["Threads running"]["lines"]
    assert threads["values"][-1] == 4
    assert charts["p95 by endpoint"]["lines"][0]["label"] == "GET /page"
    assert [line["label"] for line in charts["Errors per second, by kind"]["lines"]] == ["HTTP 500"]
    assert sum(sum(column[1::2]) for column in data["heat"]["columns"]) == 25
    assert len(data["heat"]["edges"]) == max(band for column in data["heat"]["columns"] for band in column[::2]) + 2


def test_a_line_is_interrupted_where_snapshots_are_missing_and_ends_with_the_run(tmp_path: Path) -> None:
    found = record(tmp_path, RESULT)
    first, second, *_, last = found.intervals
    start_s = found.info.started_s
    late = replace(last, elapsed_s=9.0, interval_s=7.0, time_s=start_s + 9.0)
    end = replace(last, elapsed_s=9.8, interval_s=0.8, time_s=start_s + 14.0, state="stopped")
    data = chart_data(replace(found, intervals=(first, second, late, end)))
    assert data["time"] == [1.0, 2.0, 5.5, 9.0, 9.8]
    lines = [line["values"] for group in data["groups"] for chart in group["charts"] for line in chart["lines"]]
    assert {(len(values), values[2]) for values in lines} == {(5, None)}


def test_a_long_run_has_steps_of_several_seconds(tmp_path: Path) -> None:
    data = chart_data(record(tmp_path, RESULT, seconds=1250))
    assert len(data["time"]) == 417
    requests = data["groups"][0]["charts"][1]["lines"][0]["values"]
    assert len(requests) == 417
    assert sum(sum(column[1::2]) for column in data["heat"]["columns"]) == 1250 * 5


@pytest.mark.parametrize(
    ("change", "tone", "text"),
    [
        ({}, "good", "Completed after .* without failures"),
        ({"totals": {"error_ratio": 0.5, "interrupted": 2}}, "bad", r"50\.00% of the requests failed"),
        ({"totals": {"error_ratio": 0.01}}, "warn", r"1\.00% of the requests failed"),
        ({"stop_reason": {"kind": "guard", "detail": "too many"}}, "bad", "Stopped by a guard after .*: too many"),
        ({"stop_reason": {"kind": "error", "detail": "tick() broke"}}, "bad", "Failed after"),
        (
            {"requirements": [{"require": "p95 < 1ms", "met": False, "value": 1}]},
            "bad",
            "Requirements not met(.|\n)*Required p95 &lt; 1ms: not met",
        ),
        ({"generator": {"saturated": True}}, "good", "THE LOAD GENERATOR WAS THE BOTTLENECK"),
        (
            {"lost": [{"worker": "w1", "detail": "killed", "unreported_s": 1.0, "users": 2}]},
            "good",
            "Lost statistics: w1, killed; up to 1.0s",
        ),
        (
            {
                "in_flight": {
                    "max": {
                        "endpoints": [
                            {"method": "GET", "name": "/quick", "requests": 9, "oldest_s": 0.2},
                            {"method": "GET", "name": "/hang", "requests": 30, "oldest_s": 12.345},
                        ]
                    }
                }
            },
            "good",
            r"Long-running requests: GET /hang \(oldest 12\.35? s, up to 30 concurrently\)\.",
        ),
        (
            {
                "guards": [
                    {
                        "name": "promql(x) > 1",
                        "when": "promql(x) > 1",
                        "action": "stop",
                        "state": "no_data",
                        "trips": 0,
                        "no_data_reason": "no answer",
                    },
                    {
                        "name": "p95 > 1s",
                        "when": "p95 > 1s",
                        "action": "stop",
                        "state": "tripped",
                        "trips": 1,
                        "no_data_reason": None,
                    },
                ]
            },
            "good",
            r"The guard promql\(x\) &gt; 1 had no data: no answer\.(.|\n)*The guard p95 &gt; 1s tripped",
        ),
        (
            {"targets": [{"target": "db", "problem": "Target db: no metrics."}, {"problem": None}]},
            "good",
            '<li class="warn">Target db: no metrics.</li>',
        ),
    ],
)
def test_the_verdict(tmp_path: Path, change: dict[str, Any], tone: str, text: str) -> None:
    page = run_page(record(tmp_path, {**RESULT, **change}))
    assert f'<section class="verdict {tone}"' in page
    assert re.search(text, page)


def test_a_killed_run_has_a_page(tmp_path: Path) -> None:
    page = run_page(record(tmp_path))
    assert "Incomplete run" in page
    assert "25 requests" in page


def test_a_run_without_requests_is_not_good_and_has_no_empty_section(tmp_path: Path) -> None:
    page = run_page(record(tmp_path, RESULT, requests={}))
    assert '<section class="verdict warn"' in page
    assert "Nothing was measured: no requests in" in page
    assert "without a failure" not in page
    assert "Distribution by endpoint" not in page


def test_the_busiest_of_many_endpoints_are_shown_first_and_the_rest_on_demand(tmp_path: Path) -> None:
    names = [EndpointKey("GET", f"/{number:03}") for number in range(200)]
    found = record(tmp_path, RESULT, requests={key: [0.1] * (3 if key.name >= "/190" else 1) for key in names})
    page = run_page(found)
    before, _, after = page.partition("<summary>Show all 200 endpoints</summary>")
    assert before.count('role="rowheader"') == 10 + 1
    assert 'role="rowheader">GET /190<' in before
    assert "GET /000" not in before
    assert after.partition("</details>")[0].count('role="rowheader"') == 200 + 1
    assert "<summary>Show the other 190 endpoints</summary>" in page
    order = [each["name"] for each in chart_data(found)["endpoints"]]
    assert order == [f"GET /{number:03}" for number in (*range(190, 200), *range(190))]
    few = run_page(record(tmp_path / "few", RESULT))
    assert "<summary>Show" not in few


def test_settings_are_formatted_as_on_the_command_line(tmp_path: Path) -> None:
    settings = {"stages": [[10.0, 20], [90.0, 40]], "timings": True, "local": False, "linger": 0.0, "run_time": 125.0}
    page = run_page(record(tmp_path, RESULT, configuration=settings))
    shown = dict(re.findall(r"<dt>(\w+)</dt><dd>(.*?)</dd>", page))
    assert {name: shown[name] for name in settings} == {
        "stages": "10s:20,1m30s:40",
        "timings": "yes",
        "local": "no",
        "linger": "0s",
        "run_time": "2m05s",
    }
    assert "kept" not in shown


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [("spawn_rate", 2.5, "2.5"), ("users", 3, "3"), ("stages", "odd", "odd"), ("stages", [1, 2], "1, 2")],
)
def test_an_unknown_setting_is_left_unchanged(name: str, value: Any, text: str) -> None:
    assert setting_text(name, value) == text


def test_every_duration_option_is_formatted_as_a_duration() -> None:
    found = {
        option.name
        for command in (run, master)
        for option in command.params
        if getattr(option.type, "func", None) in (duration, duration_or_never, duration_or_zero, wait_or_forever)
    }
    assert found == {name for name, each in SETTINGS.items() if each.unit == "seconds"}
