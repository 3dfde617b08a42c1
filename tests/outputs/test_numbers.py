"""Infinities and NaN, which guards, targets and workers may have as values, in every output: each takes them, and each
says which they were where it has a form for them."""

import csv
import io
import json
import math
import struct
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from obswarm.app.recording import _plain
from obswarm.cli.display import LiveDisplay
from obswarm.cli.guards_seen import GuardsSeen
from obswarm.cli.main import cli
from obswarm.cli.plain import PlainProgress
from obswarm.cli.summary import print_summary
from obswarm.cli.targets import _format
from obswarm.cli.text_console import TextConsole
from obswarm.config import setting_text
from obswarm.engine import RunResult, WorkerLoss
from obswarm.guards import Guard, RequirementResult, parse_requirement
from obswarm.json_text import to_json
from obswarm.metrics import SnapshotRegistry
from obswarm.record import Annotation, GuardState, GuardView, MetricKey, RunMetadata, RunRecord, TargetView
from obswarm.report import (
    CsvFiles,
    compare_runs,
    comparison_document,
    comparison_page,
    junit_document,
    result_document,
    run_page,
)
from obswarm.report.wording import value_of
from obswarm.stats import EndpointKey
from obswarm.store import RunWriter, Store, export_run, import_runs, read_run
from obswarm.targets import Unit
from obswarm.units import (
    format_bytes,
    format_count,
    format_duration,
    format_in_unit,
    format_latency,
    format_not_finite,
)
from obswarm.web.answers import json_answer
from obswarm.web.wire import pack_result, unpack_result
from tests.support.expositions import series_by_format
from tests.support.recorded import MadeUpRun, result_of

ODD = {"+Inf": math.inf, "-Inf": -math.inf, "NaN": math.nan}
every_number = pytest.mark.parametrize(("text", "number"), ODD.items(), ids=ODD)

PAGE = EndpointKey("GET", "/page")
FIGURE = MetricKey("db", "app", "memory", "bytes")
RULE = Guard("promql(odd) > 5", name="odd")


def bits(number: float) -> bytes:
    """NaN is not equal to itself."""
    return struct.pack("<d", number)


def odd_result(
    number: float, outputs: list[Any] | None = None, run_id: str = "20260131-120000-abcd", seconds: int = 3
) -> RunResult:
    """A run whose guard, workers, target and losses have that number wherever there is a float."""
    run = MadeUpRun([], run_id)
    guard = GuardView(
        "odd", "promql(odd) > 5", "stop", GuardState.TRIPPED, number, RULE.format_value(number), 1.0, (("stop", 1),)
    )
    for _ in range(seconds):
        run.pass_a_second({PAGE: [0.01, 0.02]})
        (worker,) = run.last.workers
        floats = dict.fromkeys(
            ("cpu_ratio", "loop_lag_s", "stats_lag_s", "max_cpu_ratio", "max_loop_lag_s", "capacity"), number
        )
        run.last = replace(run.last, guards=(guard,), workers=(replace(worker, **floats),))
        for output in outputs or ():
            output.snapshot(run.last)
            if isinstance(output, RunWriter):
                output.sample(run.last.time_s, {FIGURE: number})
    return replace(
        result_of(run.last),
        max_loop_lag_s=number,
        max_cpu_ratio=number,
        losses=(WorkerLoss("w", "gone", number, 3),),
        targets=(TargetView("db", "app", number, number, number, "It was down."),),
        annotations=(Annotation(1.0, "guard", f"The guard odd tripped: odd is {RULE.format_value(number)}"),),
    )


def requirement_results(number: float) -> list[RequirementResult]:
    return [
        RequirementResult(parse_requirement(text), False, number)
        for text in ("p95 < 1s", "rps > 3", "error_ratio < 5%")
    ]


def read_strictly(text: str) -> Any:
    def refuse(name: str) -> None:
        raise AssertionError(name)

    return json.loads(text, parse_constant=refuse)


@every_number
def test_json(text: str, number: float) -> None:
    document = read_strictly(to_json(result_document(odd_result(number), requirement_results(number)), indent=2))
    assert [(guard["value"], guard["shown"]) for guard in document["guards"]] == [(None, text)]
    assert [(each["value"], each["shown"]) for each in document["requirements"]] == [(None, text)] * 3
    assert document["targets"][0]["measured_s"] is document["workers"][0]["cpu_ratio"] is None
    assert text in document["annotations"][0]["text"]
    (body,) = json_answer(lambda status, headers: None, "200 OK", {"value": number})
    assert read_strictly(body.decode()) == {"value": None}


@every_number
def test_junit(text: str, number: float) -> None:
    suite = ElementTree.fromstring(junit_document(odd_result(number), requirement_results(number)).encode())
    messages = [failure.get("message", "") for failure in suite.iter("failure")]
    assert messages[0] == f"p95 was {text}; required: p95 < 1s"
    assert messages[3] == f"The guard odd tripped: odd is {text}"


@every_number
def test_csv(text: str, number: float, tmp_path: Path) -> None:
    files = CsvFiles(str(tmp_path / "run"), full_history=True)
    files.finish(odd_result(number, [files]))
    for path in tmp_path.glob("*.csv"):
        with open(path, newline="", encoding="utf-8") as file:
            assert all(None not in row for row in csv.DictReader(file))
    with open(tmp_path / "run_stats.csv", newline="", encoding="utf-8") as file:
        assert [row["Request Count"] for row in csv.DictReader(file)] == ["6", "6"]


@every_number
def test_terminal(text: str, number: float) -> None:
    stream = io.StringIO()
    console = TextConsole(stream, width=200)
    display, seen = LiveDisplay(console), GuardsSeen()
    result = odd_result(number, [PlainProgress(stream), seen_by(seen)])
    display._recent.add(result.final)
    console.print(display.render(result.final))
    assert f"guard tripped {text} odd (promql(odd) > 5)" in " ".join(stream.getvalue().split())
    print_summary(console, result, requirement_results(number), seen)
    assert f"guard odd (promql(odd) > 5) → stop: tripped 1 ×, last {text}\n" in stream.getvalue()
    assert f"requirement rps > 3: NOT MET ({text})" in stream.getvalue()


def seen_by(seen: GuardsSeen) -> Any:
    return type("Seen", (), {"snapshot": lambda self, snapshot: seen.add(snapshot)})()


@every_number
def test_metrics(text: str, number: float) -> None:
    latest = SnapshotRegistry()
    latest.snapshot(odd_result(number).final)
    for form, series in series_by_format(latest).items():
        (value,) = [each.value for each in series if each.name == "obswarm_guard_value"]
        assert math.isnan(value) if math.isnan(number) else value == number, form
        # 0x7ff0000000000002 ends a series: no value of ours may be that.
        assert form != "remote write" or bits(value) != struct.pack("<Q", 0x7FF0000000000002)


@every_number
def test_a_master_tells_its_clients(text: str, number: float) -> None:
    back = unpack_result(pack_result(odd_result(number)))
    (guard,), (worker,) = back.final.guards, back.final.workers
    found = (guard.value, worker.cpu_ratio, back.max_loop_lag_s, back.losses[0].unreported_s, back.targets[0].down_s)
    assert all(value is not None and bits(value) == bits(number) for value in found)
    assert guard.shown == text


def kept(path: Path, number: float, day: int = 1, seconds: int = 3) -> RunRecord:
    writer = RunWriter(path, RunMetadata("1", {"threshold": _plain(number)}))
    result = odd_result(number, [writer], f"2026010{day}-120000-abcd", seconds)
    writer.finish(
        result.final, result.final.time_s, result_document(result, requirement_results(number)), result.annotations
    )
    writer.close()
    with Store(path) as store:
        return read_run(store, store.find(f"2026010{day}"))


@every_number
def test_the_store_has_the_number_and_pages_are_made_of_it(text: str, number: float, tmp_path: Path) -> None:
    path = tmp_path / "runs.sqlite"
    record = kept(path, number)
    with Store(path) as store:
        export_run(store, record.info, tmp_path / "run.obswarm")
    with Store(tmp_path / "other.sqlite") as other:
        (info,) = import_runs(other, tmp_path / "run.obswarm")
        imported = read_run(other, info)
    for each in (record, imported):
        state, value = each.intervals[-1].guards["odd"]
        assert (state, bits(value or 0.0)) == ("tripped", bits(number))
        assert bits(each.samples[FIGURE][0][1]) == bits(number)
        assert each.info.configuration == {"threshold": text}
        page = run_page(each)
        assert f"odd is {text}" in page
        data = read_strictly(page.partition('<script type="application/json" id="data">')[2].partition("</script>")[0])
        (group,) = [group for group in data["groups"] if group["title"] == "Application: db"]
        (line,) = group["charts"][0]["lines"]
        assert line["values"] == [None] * 3, "a gap"
    store_option = ["--store", str(tmp_path)]
    for arguments in (["runs", "list"], ["runs", "show", "latest"], ["runs", "show", "latest", "--json"]):
        shown = CliRunner().invoke(cli, [*arguments, *store_option], catch_exceptions=False)
        assert shown.exit_code == 0
    assert read_strictly(shown.stdout)["configuration"] == {"threshold": text}


@every_number
def test_runs_are_compared(text: str, number: float, tmp_path: Path) -> None:
    path = tmp_path / "runs.sqlite"
    runs = (kept(path, 1.0, 1, 25), kept(path, number, 2, 25))
    found = compare_runs(*runs)
    document = read_strictly(to_json(comparison_document(found)))
    assert document["settings"] == [{"name": "threshold", "base": "1", "run": text}]
    assert "threshold" in comparison_page(found, *runs)


WRITERS: dict[str, Callable[[float], str]] = {
    "latency": format_latency,
    "count": format_count,
    "bytes": format_bytes,
    "duration": format_duration,
    "setting": partial(setting_text, "x"),
    "setting in seconds": partial(setting_text, "linger"),
}
UNITS: tuple[Unit, ...] = ("seconds", "bytes", "ratio", "number", "per_second")
WRITERS |= {f"figure in {unit}": partial(format_in_unit, unit) for unit in UNITS}
WRITERS |= {f"target's {unit}": partial(_format, unit) for unit in UNITS}
WRITERS |= {f"measure {name}": partial(value_of, name) for name in ("throughput", "error ratio", "p95")}
WRITERS |= {when: Guard(when).format_value for when in ("p95 > 1s", "rps > 1", "error_ratio > 5%", "promql(x) > 1")}


@every_number
@pytest.mark.parametrize("name", WRITERS)
def test_numbers_are_written_as_prometheus_writes_them(name: str, text: str, number: float) -> None:
    assert WRITERS[name](number) == text
    assert WRITERS[name](0.5)
    assert format_not_finite(0.5) == ""
