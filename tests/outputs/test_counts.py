"""The number of requests that a load test has made is the number in every output, whatever texts and numbers it and its
target gave, and every output can be read by what reads its format."""

import csv
import html.parser
import io
import itertools
import json
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from obswarm.api import Events
from obswarm.cli.display import LiveDisplay
from obswarm.cli.plain import PlainProgress
from obswarm.cli.summary import print_summary
from obswarm.cli.text_console import TextConsole
from obswarm.cluster.master.journal import Journal, Progress, read
from obswarm.engine import RunResult, WorkerLoss
from obswarm.json_text import to_json
from obswarm.metrics import SnapshotRegistry
from obswarm.record import Annotation, RunMetadata
from obswarm.report import CsvFiles, junit_document, result_document, run_page
from obswarm.stats import EndpointStats, Recorder, StatsTable, total_of
from obswarm.stats.codec import DeltaSum, pack_table
from obswarm.store import RunWriter, Store, read_run
from obswarm.units import counted as with_noun
from obswarm.web.wire import pack_result, unpack_result
from tests.support.anything import ANY_ERROR, ANY_TEXT, ANYTHING
from tests.support.expositions import series_by_format
from tests.support.hostile import UNFIT
from tests.support.recorded import MadeUpRun, result_of

EVENT = st.fixed_dictionaries(
    {},
    optional={
        "request_type": ANYTHING,
        "name": ANYTHING,
        "response_time": ANYTHING,
        "response_length": ANYTHING,
        "exception": st.none() | ANY_ERROR,
    },
)
numbers = itertools.count()


def counted(stats: EndpointStats) -> tuple[int, int, int, int, int]:
    return stats.requests, stats.failures, stats.duration.count, stats.duration.sum_ns, stats.response_bytes


def fired(events: list[dict[str, Any]]) -> StatsTable:
    hooks = Events()
    hooks.request.recorder = Recorder()
    for event in events:
        hooks.request.fire(**event)
        hooks.request.recorder.record_exception(event.get("exception"), event.get("name"))
        hooks.request.recorder.record_iteration("User")
    return hooks.request.recorder.take()


def over_the_cluster(table: StatsTable) -> StatsTable:
    """As a worker, a relay and the master hand it on."""
    for worker in ("w1", "relay"):
        gathered = DeltaSum()
        gathered.add(pack_table(table, worker))
        table = gathered.take(1000)
    return table


def over_the_journal(table: StatsTable, path: Path) -> StatsTable:
    journal = Journal(path, "run-1", "digest", 1000.0)
    progress = Progress(1.0, 1.0, 1.0, 1.0, False, {}, None, 1, None, [])
    journal.rewrite(StatsTable(), progress, {})
    journal.append(table, progress, {})
    found = read(path, 1000)
    assert found is not None
    return found.table


def final_result(table: StatsTable, test: str, folder: Path) -> tuple[RunResult, list[Any]]:
    csv_files, stored, latest = CsvFiles(str(folder / "run"), full_history=True), SnapshotRegistry(), SnapshotRegistry()
    store = RunWriter(folder / "runs.sqlite", RunMetadata("1.0.0"))
    run = MadeUpRun([csv_files, store, stored, latest], test=test)
    run.statistics.add(table)
    final = run.statistics.emit(run.status())
    for output in run.outputs:
        output.snapshot(final)
    result = replace(
        result_of(final), annotations=(Annotation(1.0, "stop", test),), losses=(WorkerLoss(test, test, 1.0, 1),)
    )
    csv_files.finish(result)
    store.finish(final, 2.0, result_document(result), result.annotations)
    store.close()
    return result, [latest]


@given(st.lists(EVENT, max_size=8), ANY_TEXT)
@example(
    [{"request_type": "GET", "name": "/" * 30_000, "response_time": 1.76e12, "response_length": 2**60}] * 5, "t\ud83d"
)
@example([{}], "t")
@example([{"name": 7, "response_time": None, "exception": "no \ud83d"}, {"name": b"\xff", "response_length": -1}], "t")
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
def test_what_goes_in_comes_out_of_every_output(tmp_path: Path, events: list[dict[str, Any]], test: str) -> None:
    folder = tmp_path / str(next(numbers))
    folder.mkdir()
    table = fired(events)
    failures = sum(event.get("exception") is not None for event in events)
    expected = counted(table.total())
    assert expected[:2] == (len(events), failures)

    table = over_the_cluster(table)
    assert counted(table.total()) == expected
    assert not table.lost
    table = over_the_journal(table, folder / "state")
    assert counted(table.total()) == expected

    result, (latest,) = final_result(table, test, folder)
    back = unpack_result(pack_result(result))
    for final in (result.final, back.final):
        assert counted(final.total) == counted(total_of(final.endpoints.values())) == expected
        assert sum(seen.count for seen in final.errors.values()) == failures
        assert sum(found.count for found in final.exceptions.values()) == len(events)
    assert len(back.losses) == 1

    document = json.loads(to_json(result_document(result)))
    assert (document["totals"]["requests"], document["totals"]["failures"]) == expected[:2]
    assert document["totals"]["requests"] - document["totals"]["untimed"] == expected[2]
    assert sum(each["requests"] for each in document["endpoints"]) == len(events)
    ElementTree.fromstring(junit_document(result, []).encode())

    rows = csv_rows(folder / "run_stats.csv")
    assert [int(row["Request Count"]) for row in rows][-1] == len(events)
    assert sum(int(row["Request Count"]) for row in rows[:-1]) == len(events)
    assert sum(int(row["Occurrences"]) for row in csv_rows(folder / "run_failures.csv")) == failures
    assert int(csv_rows(folder / "run_stats_history.csv")[-1]["Total Request Count"]) == len(events)

    with Store(folder / "runs.sqlite") as store:
        record = read_run(store, store.find("latest"))
    assert counted(record.total()) == expected
    assert counted(record.intervals[-1].total()) == expected
    page = run_page(record)
    assert not UNFIT.search(page)
    html.parser.HTMLParser().feed(page)
    assert with_noun(len(events), "request") in page

    for form, series in series_by_format(latest).items():
        names = [(each.name, each.value) for each in series]
        assert sum(value for name, value in names if name == "obswarm_requests_total") == len(events), form
        timed = sum(value for name, value in names if name == "obswarm_request_duration_seconds_count")
        assert timed == expected[2], form
        assert sum(value for name, value in names if name == "obswarm_request_errors_total") == failures, form

    assert f"{len(events):,}" in shown(result)


def csv_rows(path: Path) -> list[dict[str, str]]:
    assert not UNFIT.search(path.read_bytes().decode().replace("\r\n", "\n"))
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def shown(result: RunResult) -> str:
    """All that a terminal gets."""
    stream = io.StringIO()
    console = TextConsole(stream, width=3000)
    display = LiveDisplay(console)
    display._recent.add(result.final)
    console.print(display.render(result.final))
    print_summary(console, result)
    PlainProgress(stream).snapshot(result.final)
    assert not UNFIT.search(stream.getvalue())
    return stream.getvalue()


def test_response_times_from_intended_starts_get_everywhere(tmp_path: Path) -> None:
    recorder = Recorder()
    recorder.record("GET", "/due", 0.1, 100, 200, start_delay_s=0.4)
    recorder.record("GET", "/now", 0.1, 100, 200)
    table = over_the_journal(over_the_cluster(recorder.take()), tmp_path / "state")
    result, _ = final_result(table, "t.py", tmp_path)
    document = json.loads(to_json(result_document(unpack_result(pack_result(result)))))
    due, now = document["endpoints"]
    assert due["intended_duration"]["count"] == 1
    assert due["intended_duration"]["mean_s"] == 0.5
    assert due["intended_duration"]["p99_s"] == pytest.approx(0.5, rel=0.011)
    assert document["totals"]["intended_duration"] == due["intended_duration"]
    assert "intended_duration" not in now
    with Store(tmp_path / "runs.sqlite") as store:
        record = read_run(store, store.find("latest"))
    for stats in (record.total(), record.intervals[-1].total()):
        assert stats.intended_duration is not None
        assert (stats.intended_duration.count, stats.intended_duration.sum_s) == (1, 0.5)
