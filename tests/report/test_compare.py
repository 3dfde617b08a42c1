"""Runs that differ are called so, those that do not are not, and those that cannot be compared are refused."""

from dataclasses import replace
from pathlib import Path

import pytest

from obswarm.api import ObswarmError
from obswarm.json_text import to_json
from obswarm.report import SAME, compare_runs, comparison_document, comparison_page
from obswarm.report.wording import INCONCLUSIVE, inconclusive_sentences, one_sided_sentences
from obswarm.stats import TOTAL, EndpointKey
from obswarm.units import format_duration
from tests.support.recorded import LOGIN, PAGE, THREADS, Runs


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    return Runs(tmp_path / "runs.sqlite")


def test_two_equal_runs_show_no_difference(runs: Runs) -> None:
    found = compare_runs(runs.make(1), runs.make(2))
    assert found.is_paired
    assert {each.verdict for differences in found.endpoints.values() for each in differences} == {SAME}
    assert {each.verdict for each in found.targets.values()} == {SAME}
    assert list(found.endpoints) == [TOTAL, PAGE, LOGIN]


def test_only_the_endpoint_that_became_slower_is_named(runs: Runs) -> None:
    base, run = runs.make(1, users_option=3), runs.make(2, slower=1.5, threads=9.0, failing=0.02, users_option=4)
    found = compare_runs(base, run)
    p95 = found.get(PAGE, "p95")
    assert p95 is not None
    assert p95.verdict == "slower"
    p50 = found.get(PAGE, "p50")
    assert p50 is not None
    assert p50.change.low < 0.5 < p50.change.high  # type: ignore[operator]  # both are there
    errors = found.get(PAGE, "error ratio")
    assert errors is not None
    assert errors.verdict == "worse"
    login = found.get(LOGIN, "p95")
    assert login is not None
    assert login.verdict == SAME
    assert found.targets[THREADS].is_significant
    assert ("users_option", "3", "4") in found.settings
    assert [name for name, _, _ in found.settings] == ["load test's text", "users_option"]
    document = comparison_document(found)
    assert document["endpoints"][1]["measures"]["p95"]["verdict"] == "slower"
    page = comparison_page(found, base, run)
    assert 'class="verdict warn"' in page, "more requests, but slower ones"
    assert "threads running" in page


def test_the_other_way_round_it_is_faster(runs: Runs) -> None:
    found = compare_runs(runs.make(1, slower=1.5), runs.make(2))
    p50 = found.get(PAGE, "p50")
    assert p50 is not None
    assert p50.verdict == "faster"


@pytest.mark.parametrize(
    ("other", "text"),
    [
        ({"test": "other.py"}, r"load tests differ \(shop\.py and other\.py\)"),
        ({"users": 5}, r"loads differ \(peaks: 3 users and 5\)"),
        ({"seconds": 40}, r"durations differ \(1m and 40s\)"),
        ({"saturated": True}, "the load generator was the bottleneck"),
    ],
)
def test_incomparable_runs_are_refused_unless_forced(runs: Runs, other: dict, text: str) -> None:
    base, run = runs.make(1), runs.make(2, **other)
    with pytest.raises(ObswarmError, match=rf"{text}.* Use --force"):
        compare_runs(base, run)
    assert len(compare_runs(base, run, force=True).incomparable) == 1


def test_runs_that_are_too_short_are_compared_when_forced_without_verdicts(runs: Runs) -> None:
    base, run = runs.make(1), runs.make(2, slower=3, seconds=10)
    with pytest.raises(
        ObswarmError, match="20260132-120000-aaaa has 10 s of measurements; at least 20 s are needed.* Use --force"
    ):
        compare_runs(base, run)
    with pytest.raises(ObswarmError) as both:
        compare_runs(runs.make(3, seconds=12), run)
    assert str(both.value).count("at least 20 s are needed") == 1
    found = compare_runs(base, run, force=True)
    assert [text for text in found.incomparable if "least" in text] == []
    assert (found.seconds, found.blocks) == (10, 0)
    p50 = found.get(PAGE, "p50")
    assert p50 is not None
    assert p50.change.change == pytest.approx(2, rel=0.1)
    assert (p50.change.low, p50.change.high) == (None, None)
    differences = [*(each for all_of_it in found.endpoints.values() for each in all_of_it), *found.targets.values()]
    assert {(each.verdict, each.is_significant) for each in differences} == {(INCONCLUSIVE, False)}
    (sentence,) = inconclusive_sentences(found)
    assert sentence.startswith("Inconclusive: ")
    assert "10 s" in sentence
    page = comparison_page(found, base, run)
    assert ">Inconclusive</h2>" in page
    assert f'<li class="warn">{sentence}</li>' in page
    document = comparison_document(found)
    assert {each["verdict"] for each in document["endpoints"][0]["measures"].values()} == {INCONCLUSIVE}
    assert len(document["unjudged"]) == len(document["endpoints"]) == 3


@pytest.mark.parametrize("seconds", [1, 2, 19])
def test_runs_with_little_data_can_be_compared(runs: Runs, seconds: int) -> None:
    base, run = runs.make(1, seconds=seconds), runs.make(2, seconds=seconds, login=False)
    found = compare_runs(base, run, force=True)
    assert not found.incomparable, "the one sentence says it"
    assert len(inconclusive_sentences(found)) == 1
    assert comparison_page(found, base, run)
    assert to_json(comparison_document(found))


def test_runs_without_a_request_are_compared_when_forced(runs: Runs) -> None:
    base, run = runs.make(1, seconds=25, requests=False), runs.make(2, seconds=25)
    with pytest.raises(ObswarmError, match="20260131-120000-aaaa made no requests"):
        compare_runs(base, run)
    found = compare_runs(base, run, force=True)
    assert inconclusive_sentences(found) == [
        "Aggregated: inconclusive (0 and 1,250 requests; at least 100 of each run are needed)."
    ]
    assert ">Inconclusive</h2>" in comparison_page(found, base, run)


def test_an_endpoint_with_too_few_requests_is_inconclusive_and_the_others_have_verdicts(runs: Runs) -> None:
    base, run = runs.make(1, seconds=30, logins=2), runs.make(2, seconds=30, logins=2, slower=2)
    found = compare_runs(base, run)
    assert inconclusive_sentences(found) == [
        f"{LOGIN.label}: inconclusive (60 and 60 requests; at least 100 of each run are needed)."
    ]
    p50 = found.get(PAGE, "p50")
    assert p50 is not None
    assert p50.verdict == "slower"


def test_endpoints_of_only_one_run_are_listed(runs: Runs) -> None:
    found = compare_runs(runs.make(1), runs.make(2, login=False))
    assert found.only == {LOGIN: "20260131-120000-aaaa"}
    assert EndpointKey(*LOGIN) not in found.endpoints


def test_many_endpoints_of_only_one_run_are_summarised(runs: Runs) -> None:
    base, run = runs.make(1, seconds=30), runs.make(2, seconds=30)
    many = {EndpointKey("GET", f"/{number:03}"): run.info.run_id for number in range(200)}
    found = replace(compare_runs(base, run), only={LOGIN: base.info.run_id, **many})
    assert one_sided_sentences(found) == [
        f"Only in {base.info.run_id}: POST /login.",
        f"Only in {run.info.run_id}: GET /000, GET /001, GET /002, GET /003, GET /004 and 195 more.",
    ]


def test_durations_are_formatted_as_in_report_and_list(runs: Runs) -> None:
    base, run = runs.make(1), runs.make(2, seconds=40)
    run = replace(run, info=replace(run.info, ended_s=run.info.started_s + 41.8))
    with pytest.raises(ObswarmError, match=rf"durations differ \(1m and {format_duration(run.info.duration_s)}\)"):
        compare_runs(base, run)
    run = replace(run, info=replace(run.info, ended_s=run.info.started_s + 60))
    with pytest.raises(ObswarmError, match=r"\(1m, 60 s of it measured and 1m, 40 s of it measured\)"):
        compare_runs(base, run)
