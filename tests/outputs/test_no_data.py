"""For how long a guard had no data: in the terminal, the summary, the metrics, the result and the report's verdict."""

import io
from dataclasses import replace

import pytest

from obswarm.cli.display import LiveDisplay
from obswarm.cli.guards_seen import GuardsSeen
from obswarm.cli.text_console import TextConsole
from obswarm.metrics import SnapshotRegistry
from obswarm.record import GuardState, GuardView, Snapshot
from obswarm.report import junit_document, result_document
from obswarm.report.page import _guards
from obswarm.report.run_wording import no_data_of, no_data_text
from obswarm.web.wire import pack_result, unpack_result
from tests.support.expositions import series_by_format
from tests.support.recorded import PAGE, MadeUpRun, result_of

GUARD = GuardView(
    *("load", "promql(load) > 5", "stop", GuardState.OK, 1.0, "1", None, ()),
    data_ratio=0.65,
    watched_s=30.0,
    no_data_s=10.2,
    no_data_reason="HTTP 500",
)


def snapshot_with(guard: GuardView) -> Snapshot:
    return replace(MadeUpRun([]).second({PAGE: [0.1]}), guards=(guard,))


def displayed(guard: GuardView) -> str:
    stream = io.StringIO()
    console = TextConsole(stream, width=200)
    display = LiveDisplay(console)
    snapshot = snapshot_with(guard)
    display._recent.add(snapshot)
    console.print(display.render(snapshot))
    return " ".join(stream.getvalue().split())


def test_the_terminal_says_what_was_seen_of_the_last_seconds() -> None:
    assert "→ stop values for 65% of the last 20s HTTP 500" in displayed(GUARD)
    assert "values for 65% of the last 4s" in displayed(replace(GUARD, watched_s=4.0))
    assert "values for" not in displayed(replace(GUARD, data_ratio=0.95))


def test_the_summary_and_the_report_say_for_how_long() -> None:
    seen = GuardsSeen()
    seen.add(snapshot_with(GUARD))
    (line,) = seen.lines([GUARD])
    assert line.plain.endswith("did not trip, last 1, no data for 10s of 30s: HTTP 500")
    (guard,) = result_document(result_of(snapshot_with(GUARD)))["guards"]
    assert no_data_of(guard) == "no data for 10s of 30s: HTTP 500"
    assert no_data_text(24.9, 25.3) == "no data for all but 0.4s of 25s"
    assert no_data_text(25.3, 25.3) == "no data for 25s of 25s"
    assert no_data_text(24.4, 25.3) == "no data for 24s of 25s"
    assert (guard["no_data_s"], guard["watched_s"], guard["no_data_reason"]) == (10.2, 30.0, "HTTP 500")
    assert no_data_of({"state": "ok"}) == "", "an earlier version's"


def test_the_terminal_has_room_for_what_is_wrong() -> None:
    reason = "Prometheus at http://monitoring.staging.example:9090 does not answer: Connection refused"
    away = replace(GUARD, state=GuardState.NO_DATA, no_data_reason=reason)
    assert "Prometheus does not answer: Connection refused" in displayed(away)


STOPPED = replace(
    GUARD, action="scale(50%)", state=GuardState.NO_DATA, no_data_reason="HTTP 500", stopped="no data for 4s"
)


def test_a_guard_that_stopped_the_run_without_data_has_not_tripped() -> None:
    seen = GuardsSeen()
    seen.add(snapshot_with(STOPPED))
    (line,) = seen.lines([STOPPED])
    assert "→ scale(50%): did not trip; stopped the run: no data for 4s, " in line.plain
    result = result_of(snapshot_with(STOPPED))
    (guard,) = result_document(result)["guards"]
    assert (guard["trips"], guard["stopped"]) == (0, "no data for 4s")
    assert "The guard load stopped the run." in junit_document(result, [])
    latest = SnapshotRegistry()
    latest.snapshot(snapshot_with(STOPPED))
    for form, series in series_by_format(latest).items():
        trips = [(each.labels["action"], each.value) for each in series if each.name == "obswarm_guard_trips_total"]
        assert sorted(trips) == [("scale(50%)", 0.0), ("stop", 1.0)], form


@pytest.mark.parametrize(
    ("guard", "tone"),
    [
        (GUARD, "warn"),
        (replace(GUARD, no_data_s=1.0), "good"),
        (replace(GUARD, matched=False, no_data_s=0.0), "warn"),
        (STOPPED, "bad"),
    ],
)
def test_the_reports_table_has_the_names_of_guards_and_warns_of_what_they_did_not_see(
    guard: GuardView, tone: str
) -> None:
    (row,) = _guards({"guards": result_document(result_of(snapshot_with(guard)))["guards"]})
    assert (row["name"], row["tone"]) == ("load (promql(load) > 5)", tone)


def test_a_masters_client_is_told() -> None:
    result = result_of(snapshot_with(GUARD))
    assert unpack_result(pack_result(result)).final.guards == (GUARD,)


def test_metrics_have_the_share_that_was_seen() -> None:
    latest = SnapshotRegistry()
    latest.snapshot(snapshot_with(GUARD))
    for form, series in series_by_format(latest).items():
        assert [each.value for each in series if each.name == "obswarm_guard_seen_ratio"] == [0.65], form
