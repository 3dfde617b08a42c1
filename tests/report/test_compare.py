"""Runs that differ are called so, those that do not are not, and those that cannot be compared are refused."""

import json
import re
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

from obswarm.api import ObswarmError
from obswarm.json_text import to_json
from obswarm.record import MetricKey, RunRecord
from obswarm.report import (
    SAME,
    compare_runs,
    comparison_document,
    comparison_page,
    parse_change_limit,
    target_sentences,
)
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
        ObswarmError, match="20260132-120000-aaaa has 10s of measurements; at least 20s are needed.* Use --force"
    ):
        compare_runs(base, run)
    with pytest.raises(ObswarmError) as both:
        compare_runs(runs.make(3, seconds=12), run)
    assert str(both.value).count("at least 20s are needed") == 1
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
    assert "10s" in sentence
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
    with pytest.raises(ObswarmError, match=r"\(1m, 1m of it measured and 1m, 40s of it measured\)"):
        compare_runs(base, run)


LOCKS = MetricKey("db", "mysql", "waiting for row locks", "number")
BUSY = MetricKey("uwsgi a", "uwsgi", "listen queue", "number")
UP = MetricKey("lb", "haproxy", "servers up", "number")
CPU = MetricKey("node", "node", "CPU", "ratio")
RATE = MetricKey("db", "mysql", "queries", "per_second")


def with_metrics(record: RunRecord, **values: float) -> RunRecord:
    """The run with metrics that alternate around a value."""
    keys = {"locks": LOCKS, "busy": BUSY, "up": UP, "cpu": CPU, "rate": RATE}
    samples = {
        keys[name]: tuple(
            (each.time_s, value * (1.02 if number % 2 else 0.98)) for number, each in enumerate(record.intervals)
        )
        for name, value in values.items()
    }
    return replace(record, samples=samples)


def test_what_saturated_more_at_the_target_explains_a_slower_run(runs: Runs) -> None:
    base = with_metrics(runs.make(1), locks=0.5, busy=0.1, up=2, cpu=0.3, rate=50)
    run = with_metrics(runs.make(2, slower=1.5), locks=12, busy=9, up=2, cpu=0.31, rate=50)
    found = compare_runs(base, run)
    assert target_sentences(found) == [
        "What explains the difference at the same load: MySQL (db): waiting for row locks was 12 on average, instead of"
        " 0.5 (24-fold).",
        "With it changed uWSGI (uwsgi a): listen queue was 9 on average, instead of 0.1 (90-fold).",
        "Look next at who holds the rows: sys.innodb_lock_waits; transactions that stay open while something else is"
        " done.",
    ]
    explained = comparison_document(found)["explanation"]
    assert explained["sentences"] == target_sentences(found)
    assert [(each["target"], each["figure"], each["cause"]) for each in explained["changes"]] == [
        ("db", "waiting for row locks", True),
        ("uwsgi a", "listen queue", False),
    ]
    assert target_sentences(found)[0] in comparison_page(found, base, run)


def test_a_faster_run_is_explained_by_less_saturation_and_lost_capacity_by_what_is_missing(runs: Runs) -> None:
    one, other = runs.make(1), runs.make(2, slower=1.5)
    faster = compare_runs(with_metrics(other, locks=12, busy=9), with_metrics(one, locks=0.5, busy=9))
    assert target_sentences(faster)[0] == (
        "What explains the difference at the same load: MySQL (db): waiting for row locks was 0.5 on average, instead of"
        " 12 (1/24 of it)."
    )
    lost = compare_runs(with_metrics(one, up=2, locks=9), with_metrics(other, up=1, locks=3))
    assert target_sentences(lost)[0].endswith("HAProxy (lb): servers up was 1 on average, instead of 2 (1/2 of it).")


@pytest.mark.parametrize(
    ("slower", "before", "after", "first"),
    [
        (
            1.5,
            {"cpu": 0.3, "rate": 50},
            {"cpu": 0.31, "rate": 50},
            "Nothing explains the difference: no metric of the targets, of which both runs have 2, shows",
        ),
        (
            1.5,
            {"rate": 50},
            {"rate": 150},
            "Nothing explains the difference: no metric of the targets, of which both runs have 1, shows",
        ),
        (1.5, {}, {"locks": 12}, None),
        (1.0, {"locks": 0.5}, {"locks": 12}, None),
    ],
    ids=["no change", "only a rate", "metrics of one run", "no difference"],
)
def test_without_evidence_that_is_said_and_without_data_nothing(
    runs: Runs, slower: float, before: dict[str, float], after: dict[str, float], first: str | None
) -> None:
    base, run = with_metrics(runs.make(1), **before), with_metrics(runs.make(2, slower=slower), **after)
    sentences = target_sentences(compare_runs(base, run))
    assert sentences == [] if first is None else sentences[0].startswith(first)


def test_runs_at_different_loads_are_not_explained(runs: Runs) -> None:
    base = with_metrics(runs.make(1), locks=0.5)
    run = with_metrics(runs.make(2, slower=1.5, users=30), locks=12)
    assert target_sentences(compare_runs(base, run, force=True)) == []


def test_requests_that_are_sent_late_are_slower_from_the_intended_start_alone(runs: Runs) -> None:
    base, run = runs.make(1, rate=40, late_s=0.001), runs.make(2, rate=40, late_s=0.3)
    found = compare_runs(base, run)
    verdicts = {each.change.measure.name: each.verdict for each in found.endpoints[TOTAL]}
    assert verdicts["p50"] == verdicts["p95"] == SAME
    assert verdicts["intended p50"] == verdicts["intended p95"] == verdicts["intended p99"] == "slower"
    p50 = found.get(TOTAL, "intended p50")
    assert p50 is not None
    assert p50.change.base == pytest.approx(base.total().intended_duration.quantile(0.5), rel=0.02)  # type: ignore[union-attr]
    assert comparison_document(found)["endpoints"][0]["measures"]["intended_p95"]["verdict"] == "slower"
    page = comparison_page(found, base, run)
    assert 'class="verdict bad"' in page
    assert "intended p95" in page


def test_a_run_without_intended_starts_has_no_verdict_on_them(runs: Runs) -> None:
    found = compare_runs(runs.make(1), runs.make(2, late_s=0.3))
    assert found.get(TOTAL, "intended p95") is None
    limit = parse_change_limit("intended_p95 > +10%")
    assert limit.broken(found) == []
    assert limit.inconclusive(found) == ["Aggregated: not both runs have response times from the intended start"]


def test_the_load_of_the_open_model_is_its_rate_whatever_users_it_needs(runs: Runs) -> None:
    found = compare_runs(runs.make(1, rate=40, users=3), runs.make(2, rate=40, users=9, slower=1.5))
    assert found.is_paired
    assert found.incomparable == ()
    with pytest.raises(ObswarmError, match=r"loads differ \(peaks: 40 and 80 iterations/s\)"):
        compare_runs(runs.make(3, rate=40), runs.make(4, rate=80))


def test_metrics_of_the_load_test_have_charts_and_limits(runs: Runs) -> None:
    base, run = runs.make(1, carts=4.0), runs.make(2, carts=6.0)
    found = compare_runs(base, run)
    for text in ("cart_size > +10%", 'cart_size{shop="north"} > +10%', "sold > +10%"):
        limit = parse_change_limit(text)
        limit.check(base, run)
        ((name, difference),) = limit.broken(found)
        assert name.startswith(text[:4])
        assert difference.verdict == "more"
        assert limit.inconclusive(found) == []
    assert parse_change_limit("cart_size < -10%").broken(found) == []
    south = parse_change_limit('cart_size{shop="south"} > +10%')
    assert south.broken(found) == []
    assert south.inconclusive(found) == ['the runs do not have the metric cart_size{shop="south"} in common']
    data = chart_data_of(comparison_page(found, base, run))
    (group,) = [each for each in data["groups"] if each["title"] == "Metrics of the load test"]
    by_title = {each["title"]: {line["label"]: line["values"] for line in each["lines"]} for each in group["charts"]}
    assert by_title.keys() == {'cart_size{shop="north"} (items) mean', "sold (items) per second"}
    for title, factor in (('cart_size{shop="north"} (items) mean', 1), ("sold (items) per second", 5)):
        lines = by_title[title]
        assert len(lines["base"]) == len(lines["run"]) == 60
        assert fmean(lines["base"]) == pytest.approx(4 * factor, rel=0.1)
        assert fmean(lines["run"]) == pytest.approx(6 * factor, rel=0.1)


def chart_data_of(page: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found
    data: dict[str, Any] = json.loads(found[1])
    return data


def test_a_limit_of_something_that_no_run_has_is_a_sentence(runs: Runs) -> None:
    base, run = runs.make(1, carts=4.0), runs.make(2)
    with pytest.raises(ObswarmError, match=r"there is no cart_sise in these runs; .* Did you mean cart_size\?"):
        parse_change_limit("cart_sise > +10%").check(base, run)
    only_base = parse_change_limit("sold > +10%")
    only_base.check(base, run)
    assert only_base.inconclusive(compare_runs(base, run)) == ["the runs do not have the metric sold in common"]
    for text in ('p95{method="GET"} > +10%', "cart_size > 10", "cart_size{} > 10%", "> 10%"):
        with pytest.raises(ObswarmError, match="is not a valid limit"):
            parse_change_limit(text)
