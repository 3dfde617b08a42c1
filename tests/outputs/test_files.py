"""Files and messages for other programs can be read by those, whatever texts and numbers are in them."""

import csv
import html
import io
import json
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from obswarm.csv_text import text_cell
from obswarm.engine import RunResult
from obswarm.guards import RequirementResult, parse_requirement
from obswarm.json_text import to_json
from obswarm.metrics import SnapshotRegistry
from obswarm.metrics.contract import STATUSES
from obswarm.record import Annotation, GuardState, GuardView, LoadTestText, RunMetadata, RunRecord
from obswarm.report import CsvFiles, GrafanaAnnotations, junit_document, result_document, run_page
from obswarm.report.page.template import embedded
from obswarm.sanitize import escape_controls, escape_lines
from obswarm.stats import EndpointKey
from obswarm.store import RunWriter, Store, read_run
from obswarm.web.wire import pack_result, unpack_result
from tests.support.anything import ANY_TEXT
from tests.support.expositions import series_by_format
from tests.support.hostile import TEXTS, UNFIT, hostile_result, hostile_snapshot

every_text = pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)


def strings_in(document: Any) -> list[str]:
    if isinstance(document, str):
        return [document]
    parts = [*document, *document.values()] if isinstance(document, dict) else document
    return [text for part in parts for text in strings_in(part)] if isinstance(parts, list) else []


JUDGED = [RequirementResult(parse_requirement("p95 < 1s"), False, float("inf"))]


@every_text
def test_json_has_the_text_and_no_number_that_json_has_not(text: str) -> None:
    stream = io.StringIO()
    stream.write(to_json(result_document(hostile_result(text), JUDGED), indent=2))

    def refuse(name: str) -> None:
        raise AssertionError(name)

    document = json.loads(stream.getvalue(), parse_constant=refuse)
    shown = escape_lines(text)
    assert document["test"] == document["endpoints"][0]["name"] == document["stop_reason"]["detail"] == shown
    assert document["errors"][0]["error"] == document["lost"][0]["worker"] == shown
    assert not any(UNFIT.search(each) for each in strings_in(document))
    assert (document["guards"][0]["value"], document["guards"][0]["shown"]) == (None, shown)
    assert document["requirements"] == [{"require": "p95 < 1s", "met": False, "value": None, "shown": "+Inf"}]
    assert document["generator"]["max_cpu_ratio"] is None


class Odd:
    def __str__(self) -> str:
        raise ValueError


ANY_VALUE = st.recursive(
    ANY_TEXT | st.floats() | st.integers() | st.booleans() | st.none() | st.binary(max_size=5) | st.just(Odd()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY_TEXT | st.integers(), inner, max_size=3),
    max_leaves=10,
)


@given(ANY_VALUE)
def test_json_of_anything_can_be_read(value: Any) -> None:
    for text in (to_json(value), to_json(value, indent=2), to_json(value, compact=True), embedded(value)):
        assert not any(UNFIT.search(each) for each in strings_in(json.loads(text)))
    assert "<" not in embedded(value)


@every_text
def test_junit_can_be_read_and_has_the_text(text: str) -> None:
    document = junit_document(hostile_result(text), JUDGED)
    suite = ElementTree.fromstring(document.encode())
    assert suite.get("name") == f"obswarm {escape_controls(text)}"
    assert suite[0].find("failure").get("message") == "p95 was +Inf; required: p95 < 1s"  # type: ignore[union-attr]
    assert suite[-1].findtext("failure") == escape_lines(text)
    assert not UNFIT.search(document)


def test_junit_says_of_each_guard_why_it_tripped_and_not_of_one_whose_name_begins_alike() -> None:
    result = hostile_result("x")
    names = ("p95 > 2s for 5s", "p95 > 2s", "p9", "x")
    guards = tuple(GuardView(name, "w", "stop", GuardState.TRIPPED, 1.0, "1", 1.0, (("stop", 1),)) for name in names)
    marks = tuple(Annotation(1.0, "guard", f"The guard {name} tripped: {name[::-1]}") for name in names)
    result = replace(result, final=replace(result.final, guards=guards), annotations=marks)
    suite = ElementTree.fromstring(junit_document(result, []).encode())
    messages = [case.find("failure").get("message") for case in suite[:4]]  # type: ignore[union-attr]
    assert messages == [mark.text for mark in marks]


@every_text
def test_csv_has_the_text_and_no_formula(text: str, tmp_path: Path) -> None:
    files = CsvFiles(str(tmp_path / "run"), full_history=True)
    files.snapshot(hostile_snapshot(text))
    files.finish(hostile_result(text))
    for name, column in (
        ("stats", "Name"),
        ("failures", "Error"),
        ("exceptions", "Message"),
        ("stats_history", "Name"),
    ):
        content = (tmp_path / f"run_{name}.csv").read_bytes().decode()
        assert not UNFIT.search(content.replace("\r\n", "\n"))
        with open(tmp_path / f"run_{name}.csv", newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        assert rows[0][column].removeprefix("'") == escape_lines(text).removeprefix("'")
        for row in rows:
            assert not any(cell.lstrip().startswith(("=", "+", "-", "@")) for cell in row.values())
            assert None not in row
    with open(tmp_path / "run_stats.csv", newline="", encoding="utf-8") as file:
        numbers = [row["Average Response Time"] for row in csv.DictReader(file)]
    assert [float(number) for number in numbers] == [132.5, 132.5]


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        ("=1+1", "'=1+1"),
        (" =1+1", "' =1+1"),
        ("@A1", "'@A1"),
        ("\uff1d1+1", "'\uff1d1+1"),
        ("-2+3", "'-2+3"),
        ("+cmd|", "'+cmd|"),
        ("-", "'-"),
        (-1, "-1"),
        ("-1.5", "-1.5"),
        ("+49", "+49"),
        (1.5, "1.5"),
        ("/a=b", "/a=b"),
        ("\r=1", "\\r=1"),
    ],
)
def test_a_cell_that_would_be_a_formula_begins_with_an_apostrophe_and_a_number_stays_one(
    value: object, cell: str
) -> None:
    assert text_cell(value) == cell


@every_text
def test_metrics_can_be_read_and_their_labels_are_bounded(text: str) -> None:
    latest = SnapshotRegistry()
    latest.snapshot(hostile_snapshot(text))
    shown = escape_controls(text)
    for form, series in series_by_format(latest).items():
        values = [value for each in series for value in each.labels.values()]
        assert not any(UNFIT.search(value) or "\n" in value for value in values), form
        assert max(map(len, values)) <= 500, form
        requests = [each.labels for each in series if each.name == "obswarm_requests_total"]
        (name,) = {labels["name"] for labels in requests}
        assert name == shown if len(shown) <= 500 else name[:490] == shown[:490], form
        assert {labels["status"] for labels in requests} == {"2xx", "other"} <= STATUSES, form


def with_clean_statistics(result: RunResult) -> RunResult:
    """What enters the statistics is clean, and a reader of deltas insists on that."""
    nothing: dict[Any, Any] = {}
    final = replace(
        result.final,
        endpoints=nothing,
        interval=nothing,
        errors=nothing,
        exceptions=nothing,
        iterations=nothing,
        in_flight=nothing,
        cut_off=nothing,
    )
    return replace(result, final=final)


@every_text
def test_a_result_comes_over_the_wire(text: str) -> None:
    back = unpack_result(pack_result(with_clean_statistics(hostile_result(text))))
    assert back.stop_reason.detail == text.encode("utf-8", "backslashreplace").decode()
    assert back.final.guards[0].value == float("inf")


@every_text
def test_annotations_are_no_markup_for_grafana(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[dict[str, Any]] = []

    def post(url: str, json: dict[str, Any], timeout: float) -> Any:
        sent.append(json)
        answer = requests.Response()
        answer.status_code, answer._content = 200, b"{}"
        return answer

    annotations = GrafanaAnnotations("http://127.0.0.1:9", "token", "run")
    monkeypatch.setattr(annotations._session, "post", post)
    annotations._send(Annotation(1.0, "guard", text))
    annotations.close()
    assert not set("<>") & set(sent[0]["text"])
    assert not UNFIT.search(sent[0]["text"])


def kept(path: Path, text: str) -> RunRecord:
    result = hostile_result(text)
    writer = RunWriter(path, RunMetadata(text, {text: text}, [LoadTestText(text, b"# </script>")], text))
    writer.annotation(Annotation(1.0, "guard", text))
    writer.snapshot(result.final)
    document = result_document(result)
    writer.finish(result.final, 2.0, document)
    writer.close()
    with Store(path) as store:
        return read_run(store, store.find("latest"))


@every_text
def test_a_kept_run_has_the_text_and_its_page_takes_nothing_for_markup(text: str, tmp_path: Path) -> None:
    record = kept(tmp_path / "runs.sqlite", text)
    assert record.info.test == escape_lines(text)
    assert next(iter(record.endpoints)) == EndpointKey(escape_lines(text), escape_lines(text))
    page = run_page(record)
    assert html.escape(escape_lines(text)).replace("&#x27;", "&#39;").replace("&quot;", "&#34;") in page
    assert not UNFIT.search(page)
    assert page.count("<script") == page.count("</script>") == 4
    assert "<img" not in page
    body = page.partition("<body>")[2].partition("<script>")[0]
    assert "<!--" not in body


@given(ANY_TEXT, st.floats())
def test_any_text_and_number_come_through_all_outputs(text: str, number: float) -> None:
    result = hostile_result(text)
    guard = GuardView(text, text, text, GuardState.OK, number, text, None, (), no_data_reason=text)
    result = replace(result, final=replace(result.final, guards=(guard,)))
    json.loads(to_json(result_document(result, JUDGED)))
    ElementTree.fromstring(junit_document(result, JUDGED).encode())
    unpack_result(pack_result(with_clean_statistics(result)))
    latest = SnapshotRegistry()
    latest.snapshot(result.final)
    for series in series_by_format(latest).values():
        assert not any(UNFIT.search(value) for each in series for value in each.labels.values())
