"""Every number that the sentences state is recomputed here from the raw series, by code of its own: of simulated
incidents and of recorded ones. Moments and their intervals are estimates, and are those of the explanation."""

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from statistics import correlation, fmean, median

import pytest

from obswarm.analysis.explain import Explanation, explain
from obswarm.analysis.explain.findings import Finding
from obswarm.analysis.explain.onset import Onset
from obswarm.analysis.explain.sentences import (
    endpoint_sentences,
    evidence,
    headroom_sentence,
    load_sentences,
    symptom_text,
)
from obswarm.analysis.explain.symptom import Symptom
from obswarm.record import LOADED_STATES, Interval, MetricKey, RunRecord, value_at
from obswarm.stats import EndpointKey, total_of
from obswarm.targets import KINDS
from obswarm.units import (
    format_clock,
    format_count,
    format_duration,
    format_in_unit,
    format_latency,
    format_percent,
    format_rate,
)
from tests.support.rca_cases import Case, recorded_cases, simulated_cases

CASES: dict[str, Callable[[], tuple[Case, ...]]] = {"simulated": simulated_cases, "recorded": recorded_cases}
each_kind = pytest.mark.parametrize("kind", CASES)


@cache
def explained(kind: str) -> list[tuple[Case, Explanation]]:
    return [(case, explain(case.record)) for case in CASES[kind]()]


def loaded(record: RunRecord) -> list[Interval]:
    return [interval for interval in record.intervals if interval.state in LOADED_STATES and interval.interval_s > 0]


def medians(record: RunRecord, onset: Onset, values: Sequence[float], end_s: float = math.inf) -> tuple[float, float]:
    """Medians in the 30 s before the onset, and in those from the moment on at which the new level holds."""
    pairs = [
        (interval.elapsed_s, value)
        for interval, value in zip(loaded(record), values, strict=True)
        if math.isfinite(value)
    ]
    before = [value for time_s, value in pairs if onset.time_s - 30 <= time_s < onset.time_s]
    after = [value for time_s, value in pairs if onset.settled_s <= time_s < min(onset.settled_s + 30, end_s)]
    return median(before) if before else math.nan, median(after) if after else math.nan


def raw(record: RunRecord, finding: Finding, name: str = "") -> list[float]:
    """The values of the finding's series in each second, or those of another one of the same target."""
    if finding.key.name.startswith("time on the way to the database"):
        executing = next(key for key in record.samples if key.name == "statements executing")
        statements = replace(executing, name="queries", unit="per_second")
        busy = _values(record, executing)
        waiting = [
            same_clock(_values(record, key), busy) for key in record.samples if key.name == "waiting for the database"
        ]
        return [
            max(0.0, sum(waits) - of_database) / rate if rate > 0 else math.nan
            for of_database, rate, *waits in zip(busy, _values(record, statements), *waiting, strict=True)
        ]
    key = finding.key
    names = (key.target, key.kind, name or key.name)
    return _values(record, next(each for each in record.samples if (each.target, each.kind, each.name) == names))


def same_clock(values: list[float], other: list[float]) -> list[float]:
    """The series, moved by the up to 4 s with which its correlation with the other one is highest."""
    one, two = held(values), held(other)
    count = len(one)
    best = 0
    highest = -math.inf
    for lag in (0, -1, 1, -2, 2, -3, 3, -4, 4):
        found = correlation([one[at + lag] for at in range(4, count - 4)], two[4 : count - 4])
        if found > highest + 0.005:
            best, highest = lag, found
    return [values[min(max(at + best, 0), count - 1)] for at in range(count)]


def _values(record: RunRecord, key: MetricKey) -> list[float]:
    return [value_at(record.samples[key], interval.time_s) for interval in loaded(record)]


def held(values: Sequence[float]) -> list[float]:
    """The last known value in place of gaps."""
    found: list[float] = []
    last = next((value for value in values if math.isfinite(value)), math.nan)
    for value in values:
        last = value if math.isfinite(value) else last
        found.append(last)
    return found


def numbers(text: str) -> set[str]:
    return set(re.findall(r"\d[\d,.:]*\d|\d", text))


def fold(before: float, after: float) -> str:
    return f"{after / before:,.0f} {after / before:.1f}" if before else ""


def moments(onset: Onset, symptom: Onset) -> str:
    clocks = " ".join(format_clock(each) for each in (onset.time_s, onset.low_s, onset.high_s))
    return f"{clocks} {format_duration(round(abs(onset.time_s - symptom.time_s)))}"


def wrong(text: str, allowed: str) -> Iterator[str]:
    """Yield the sentence, if it has a number that is not among those."""
    left = numbers(text) - numbers(allowed)
    if left:
        yield f"{text} has {sorted(left)}, not of {allowed}"


def wrong_evidence(case: Case, finding: Finding, first: Symptom) -> Iterator[str]:
    text = evidence(finding, first).replace(finding.key.name, "").replace("p95", "")
    if finding.how == "gone":
        yield from wrong(text, moments(finding.onset, first.onset))
        return
    values, unit = raw(case.record, finding), finding.key.unit
    before, after = medians(case.record, finding.onset, values)
    held_before, held_after = medians(case.record, finding.onset, held(values))
    before = before if math.isfinite(before) else held_before
    after = after if math.isfinite(after) else held_after
    allowed = f"{format_in_unit(unit, before)} {format_in_unit(unit, after)} {fold(before, after)}"
    limit = finding.metric.limit if finding.metric is not None else None
    if finding.how == "limit" and isinstance(limit, str):
        allowed += (
            f" {format_in_unit(unit, medians(case.record, finding.onset, held(raw(case.record, finding, limit)))[1])}"
        )
    if finding.how == "contention":
        # Of a queue in which what comes waits while others are served.
        allowed += f" {(1 - before) / (1 - after):.1f}"
    yield from wrong(text, f"{allowed} {moments(finding.onset, first.onset)}")


@each_kind
def test_the_numbers_of_the_evidence_are_those_of_the_raw_series(kind: str) -> None:
    found = [
        f"{case.name}: {each}"
        for case, explanation in explained(kind)
        for suspect in explanation.suspects
        for finding in suspect.findings
        for each in wrong_evidence(case, finding, explanation.symptoms[0])
    ]
    assert not found
    assert sum(len(suspect.findings) for _, explanation in explained(kind) for suspect in explanation.suspects) > 100


@each_kind
def test_only_what_is_worse_when_low_is_said_to_have_fallen(kind: str) -> None:
    fallen = [
        finding
        for _, explanation in explained(kind)
        for suspect in explanation.suspects
        for finding in suspect.findings
        if finding.how == "departure" and finding.ratio < 1
    ]
    assert all(each.metric is not None and each.metric.worse == "low" for each in fallen), fallen


@each_kind
def test_a_consequence_is_named_with_a_cause(kind: str) -> None:
    for case, explanation in explained(kind):
        causes = {each.component for each in explanation.causes}
        assert all(each.because_of in causes for each in explanation.consequences), case.name


def symptom_value(record: RunRecord, symptom: Symptom) -> list[float]:
    intervals = loaded(record)
    if symptom.what == "errors":
        return [each.total().error_ratio if each.total().requests else math.nan for each in intervals]
    found = []
    for at, interval in enumerate(intervals):
        # That of all requests of five seconds; of a hang, the age of the oldest request.
        p95_s = total_of(each.total() for each in intervals[max(0, at - 4) : at + 1]).quantile(0.95)
        found.append(p95_s if p95_s is not None else interval.oldest_s or math.nan)
    return found


@each_kind
def test_the_numbers_of_the_symptoms_are_those_of_the_raw_intervals(kind: str) -> None:
    found: list[str] = []
    for case, explanation in explained(kind):
        for symptom in explanation.symptoms:
            before, after = medians(case.record, symptom.onset, symptom_value(case.record, symptom), symptom.end_s)
            shown = format_percent if symptom.what == "errors" else format_latency
            at = next(each for each in loaded(case.record) if each.elapsed_s >= symptom.onset.time_s)
            users = format_count(sum(at.users.values()))
            values = " ".join(shown(value) for value in (before, after) if math.isfinite(value))
            allowed = f"{values} {fold(before, after)} {users} {moments(symptom.onset, symptom.onset)}"
            found += [f"{case.name}: {each}" for each in wrong(symptom_text(symptom).replace("p95", ""), allowed)]
    assert not found, "\n".join(found)


def of_endpoint(record: RunRecord, key: EndpointKey, value: Callable[[Interval], float]) -> list[float]:
    return [value(interval) if key in interval.endpoints else math.nan for interval in loaded(record)]


@each_kind
def test_the_numbers_of_the_endpoints_are_those_of_the_raw_intervals(kind: str) -> None:
    found: list[str] = []
    for case, explanation in explained(kind):
        allowed = ""
        labels = [each.key.label for each in (*explanation.effects, *explanation.endpoint_causes)]
        for effect in explanation.effects:
            key, onset = effect.key, effect.onset
            means = of_endpoint(case.record, key, lambda each, key=key: each.endpoints[key].duration.mean_s or math.nan)  # type: ignore[misc]
            before, after = medians(case.record, onset, means)
            later = [each for each in loaded(case.record) if each.elapsed_s >= onset.time_s and key in each.endpoints]
            requests = sum(each.endpoints[key].requests for each in later)
            failed = sum(each.endpoints[key].failures for each in later) / requests if requests else 0.0
            allowed += f" {format_latency(before)} {format_latency(after)} {fold(before, after)}"
            allowed += f" {format_percent(failed)} {moments(onset, explanation.symptoms[0].onset)}"
        for cause in explanation.endpoint_causes:
            rates = [
                each.endpoints[cause.key].requests / each.interval_s if cause.key in each.endpoints else 0.0
                for each in loaded(case.record)
            ]
            before, after = medians(case.record, cause.onset, rates)
            allowed += f" {format_rate(before)} {format_rate(after)}"
            allowed += f" {moments(cause.onset, explanation.symptoms[0].onset)}"
        for text in endpoint_sentences(explanation):
            for label in labels:
                text = text.replace(label, "")
            found += [f"{case.name}: {each}" for each in wrong(text.replace("p95", ""), allowed)]
    assert not found


@each_kind
def test_what_is_not_used_up_stayed_below_its_limit(kind: str) -> None:
    checked = 0
    for case, explanation in explained(kind):
        text = headroom_sentence(explanation)
        for each in explanation.headroom if text else ():
            metric = KINDS[each.key.kind].metric(each.key.name)
            assert metric is not None
            finding = replace(explanation.suspects[0].findings[0], key=each.key) if explanation.suspects else None
            if finding is None:
                continue
            values = held(raw(case.record, finding))
            limits = (
                held(raw(case.record, finding, metric.limit))
                if isinstance(metric.limit, str)
                else [metric.limit or math.nan] * len(values)
            )
            begin_s = explanation.symptoms[0].onset.low_s
            shares = [
                value / limit
                for interval, value, limit in zip(loaded(case.record), values, limits, strict=True)
                if interval.elapsed_s >= begin_s and limit > 0
            ]
            stated = re.search(rf"{re.escape(each.key.name)} stayed under (\d+) %", text)
            assert stated is not None
            assert max(shares) * 100 < int(stated[1])
            checked += 1
    assert checked


@each_kind
def test_the_numbers_of_littles_law_are_those_of_the_raw_intervals(kind: str) -> None:
    for case, explanation in explained(kind):
        for text in load_sentences(explanation):
            if not text.startswith("Little's law"):
                continue
            pairs = [
                (each.in_flight, total.requests / each.interval_s * (total.duration.mean_s or 0.0))
                for each in loaded(case.record)
                for total in [each.total()]
                if each.in_flight is not None and any(each.users.values())
            ]
            allowed = (
                f"{format_count(fmean(one for one, _ in pairs))} {format_count(fmean(other for _, other in pairs))}"
            )
            assert not list(wrong(text, allowed)), case.name
