"""An explanation in sentences. Every number in them is a value of the explanation."""

import math
from collections.abc import Iterator

from obswarm.analysis.explain.explanation import Explanation
from obswarm.analysis.explain.findings import Component, Finding
from obswarm.analysis.explain.onset import Onset
from obswarm.analysis.explain.scalability import Estimate
from obswarm.analysis.explain.suspects import Suspect
from obswarm.analysis.explain.symptom import Symptom
from obswarm.targets import KINDS, statement_of
from obswarm.units import (
    format_clock,
    format_count,
    format_duration,
    format_in_unit,
    format_latency,
    format_percent,
    format_rate,
)

_NOTICED = {"p95": "p95", "errors": "errors", "dropped": "dropped iterations"}
_FOLD = 1.95
"""Factor from which a change is called so many-fold."""
_MAX_EVIDENCE = 3
_MAX_ENDPOINTS = 3
_MAX_ALTERNATIVES = 2


_GONE_NEXT = "whether it still runs, and at its log; then at whether its exporter reaches it"

_PARTS = {
    "pool": "the connection pool of {}",
    "dependency": "the services that {} calls",
    "network": "the network of {}",
    "process": "the processes of {}",
}
"""Parts of a component at another layer; others are named `the database of …`."""
_HAPPENED = {"dependency": "became slow", "network": "became slow", "process": "were held up"}


def title(*components: Component) -> str:
    """Return the title of a component, or of several of the same layer: `MySQL (db)`, `the connection pool of JVM
    (shop)`, `the network of Application (a) and Application (b)`."""
    names = []
    for component in components:
        kind = KINDS.get(component.kind)
        named = kind.title if kind is not None else component.kind
        names.append(named + (f" ({component.target})" if component.target != component.kind else ""))
    together = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
    part = _part_of(components[0])
    return _PARTS.get(part, f"the {part} of {{}}").format(together) if part else together


def _part_of(component: Component) -> str:
    """Return the layer of a part of a target, empty if it is the target itself."""
    kind = KINDS.get(component.kind)
    return component.layer if component.layer != (kind.layer if kind is not None else "") else ""


def headline(found: Explanation) -> str:
    """Return the one sentence that says what saturated first."""
    if found.too_short:
        return f"The run cannot be explained: {found.too_short}."
    if _is_generator(found):
        assert found.generator_s is not None
        return (
            f"The load generator saturated first, at {format_clock(found.generator_s)}: latencies and throughput from"
            " then on are its own, not the target's."
        )
    if not found.symptoms:
        most = f" The nearest to its limit was {_headroom_text(found)}." if found.headroom else ""
        load = _load(found.users_max, found.rate_max)
        return f"Nothing saturated: latency and errors stayed as they were up to {load}.{most}"
    first = found.symptoms[0]
    if found.causes:
        same, _ = causes_by_kind(found)
        load = _load(first.users, first.rate) + (" and rising" if found.is_overload else "")
        leading = same[0].findings[0]
        happened = {
            "contention": "got busier",
            "loss": "lost capacity",
            "gone": "was lost" if len(same) == 1 else "were lost",
        }.get(leading.how, _HAPPENED.get(_part_of(leading.component), "saturated"))
        names = capitalized(title(*(each.component for each in same)))
        return f"{names} {happened} first, at {load}: {evidence(leading, first)}."
    if found.suspects:
        suspect = found.suspects[0]
        return (
            f"{capitalized(symptom_text(first))}. No metric shows a saturated resource; most conspicuous is"
            f" {title(suspect.component)}: {evidence(suspect.findings[0], first)}."
        )
    if first.what == "dropped" and not any(each.what == "p95" for each in found.symptoms):
        return (
            f"{capitalized(symptom_text(first))}. Response times stayed as they were: that rate needs more users"
            " (--max-users)."
        )
    if not found.series:
        return f"{capitalized(symptom_text(first))}. No targets were observed, so nothing is known of the cause."
    return f"{capitalized(symptom_text(first))}. None of the {found.series:,} metrics of the targets explains it."


def first_suspect(found: Explanation) -> str:
    """Return the first suspect with its evidence as a clause, `MySQL (db): waiting for row locks rose from 0 to 40 at
    0:31, …`; empty if nothing has happened, or nothing that was observed explains it."""
    if _is_generator(found):
        assert found.generator_s is not None
        return f"the load generator: it was saturated from {format_clock(found.generator_s)} on"
    if not found.symptoms or not found.suspects:
        return ""
    same = causes_by_kind(found)[0] if found.causes else [found.suspects[0]]
    names = title(*(each.component for each in same))
    return f"{names}: {evidence(same[0].findings[0], found.symptoms[0])}"


def _is_generator(found: Explanation) -> bool:
    """Return whether the load generator itself saturated first."""
    if found.generator_s is None:
        return False
    return not (found.symptoms and found.symptoms[0].onset.high_s + _GENERATOR_LATER_S < found.generator_s)


_GENERATOR_LATER_S = 10.0
"""A generator that is saturated so much later than the symptom is a consequence of it."""


def symptom_text(symptom: Symptom) -> str:
    """Return what users noticed as a clause: `p95 rose from 54.3 ms to 7.91 s (146-fold) at 1:00, with 120 users`."""
    load = _load(symptom.users, symptom.rate)
    if symptom.what == "p95":
        change = f"p95 rose from {format_latency(symptom.before)} to {format_latency(symptom.after)}"
        change += _fold(symptom.before, symptom.after)
    elif not math.isfinite(symptom.before):
        what = "requests failed" if symptom.what == "errors" else "iterations were dropped"
        return f"{format_percent(symptom.after)} of all {what} from the start, with {load}"
    else:
        of = "of all requests" if symptom.what == "errors" else "of all, for lack of free users,"
        before, after = format_percent(symptom.before), format_percent(symptom.after)
        change = f"{_NOTICED[symptom.what]} rose from {before} to {after} {of}"
    return f"{change} at {moment(symptom.onset)}, with {load}"


def _load(users: float, rate: float) -> str:
    """Return the load: `450 iterations/s`, if the load test has asked for those, else `120 users`."""
    if rate > 0:
        return f"{format_count(rate)} iterations/s"
    return f"{format_count(users)} user{'' if users == 1 else 's'}"


def moment(onset: Onset) -> str:
    """Return a moment with its interval, if that is longer than a second: `1:00 (0:58 to 1:03)`."""
    text = format_clock(onset.time_s)
    if onset.high_s - onset.low_s <= 1:
        return text
    return f"{text} ({format_clock(onset.low_s)} to {format_clock(onset.high_s)})"


def evidence(finding: Finding, symptom: Symptom) -> str:
    """Return a finding as a clause with its numbers, and its place in time relative to the symptom."""
    if finding.how == "gone":
        return f"{change_text(finding)} from {moment(finding.onset)} on, {precedence(finding.onset, symptom)}"
    at = f"at {moment(finding.onset)}" if math.isfinite(finding.before) else "from the start"
    return f"{change_text(finding)} {at}, {precedence(finding.onset, symptom)}"


def change_text(finding: Finding) -> str:
    """Return how a series changed, without its moment: `waiting for row locks rose from 0 to 40`."""
    name, unit = finding.key.name, finding.key.unit
    before, after = format_in_unit(unit, finding.before), format_in_unit(unit, finding.after)
    if finding.how == "gone":
        return "it had no metrics"
    if finding.how == "limit":
        change = f"rose from {before} to" if math.isfinite(finding.before) else "was"
        text = f"{name} {change} {after}"
        if finding.metric is not None and not isinstance(finding.metric.limit, float):
            text += f" of {format_in_unit(unit, finding.limit)}"
        return text
    if finding.how == "contention":
        # As an infinite queue would be no number.
        longer = (1 - finding.before) / max(1 - finding.after, 0.01)
        return f"{name} rose from {before} to {after} (what needs it may take {longer:.1f} times as long)"
    if finding.how == "loss" or finding.ratio < 1:
        return f"{name} fell from {before} to {after}"
    return f"{name} rose from {before} to {after}{_fold(finding.before, finding.after)}"


def precedence(onset: Onset, symptom: Symptom) -> str:
    """Return how a moment lies relative to the symptom: `3s before p95 rose`. Moments whose intervals overlap have no
    order."""
    if not math.isfinite(symptom.before):
        return "in a run that was broken from the start"
    what = _NOTICED[symptom.what]
    if onset.before(symptom.onset):
        return f"{format_duration(round(symptom.onset.time_s - onset.time_s))} before {what} rose"
    if symptom.onset.before(onset):
        return f"{format_duration(round(onset.time_s - symptom.onset.time_s))} after {what} rose"
    return f"when {what} rose"


def cause_sentences(suspect: Suspect, found: Explanation) -> Iterator[str]:
    """Yield the evidence for a cause, and what to look at next."""
    first = found.symptoms[0]
    for finding in suspect.findings[:_MAX_EVIDENCE]:
        yield f"{capitalized(evidence(finding, first))}."
    # What is used up says more than what waits for it.
    ordered = sorted(suspect.findings, key=lambda each: each.how != "limit")
    following = next((each.metric.next for each in ordered if each.metric is not None and each.metric.next), "")
    if suspect.findings[0].how == "gone":
        following = _GONE_NEXT
    if following:
        yield f"Look next at {following}."


def consequence_sentence(suspect: Suspect, found: Explanation) -> str:
    """Return what a component shows, and of what it is a consequence."""
    finding = suspect.findings[0]
    origin = next((each for each in found.suspects if each.component == suspect.because_of), None)
    because = ""
    if origin is not None:
        leading = origin.findings[0]
        what = "no metrics" if leading.how == "gone" else leading.key.name
        because = f": a consequence of {title(origin.component)}, {what}"
    return f"{capitalized(title(suspect.component))}: {evidence(finding, found.symptoms[0])}{because}."


def alternatives_sentence(found: Explanation) -> str:
    """Return what to look at if the causes are none, empty if nothing else is left."""
    if not found.causes or not found.alternatives:
        return ""
    others = [title(each.component) for each in found.alternatives[:_MAX_ALTERNATIVES]]
    return f"Look at {', then at '.join(others)}."


def headroom_sentence(found: Explanation) -> str:
    """Return what was not used up, empty if nothing is known of that."""
    if not found.symptoms or not found.headroom:
        return ""
    parts = [
        f"{title(each.component)}: {each.key.name} stayed under {math.floor(each.share * 100) + 1} %"
        for each in found.headroom
    ]
    return f"Not used up: {'; '.join(parts)}."


def _headroom_text(found: Explanation) -> str:
    each = found.headroom[0]
    return f"{title(each.component)}: {each.key.name}, at most {format_percent(each.share)}"


def endpoint_sentences(found: Explanation) -> Iterator[str]:
    """Yield which endpoints may have caused it, and which suffer most."""
    if not found.symptoms:
        return
    for cause in found.endpoint_causes[:_MAX_ENDPOINTS]:
        yield (
            f"{cause.key.label}: its requests rose from {format_rate(cause.before)} to {format_rate(cause.after)} at"
            f" {moment(cause.onset)}, {precedence(cause.onset, found.symptoms[0])}, more than the load: a candidate for"
            " the cause."
        )
    for effect in found.effects[:_MAX_ENDPOINTS]:
        text = f"{effect.key.label} took {format_latency(effect.after_s)} on average, instead of"
        text += f" {format_latency(effect.before_s)}{_fold(effect.before_s, effect.after_s)}"
        if effect.failed:
            text += f", and {format_percent(effect.failed)} of its requests failed"
        if effect.is_first:
            text += f"; it was slower before all others, from {moment(effect.onset)} on"
        yield f"{text}."


def statement_sentences(found: Explanation) -> Iterator[str]:
    """Yield which statements of databases take more time since the run broke, and the endpoints that go with them."""
    for each in found.statements[:_MAX_ENDPOINTS]:
        after, before = (format_in_unit("number", value) for value in (each.after, each.before))
        at = title(Component(each.key.target, each.key.kind, ""))
        text = (
            f"{at}: {statement_of(each.key)}: {after} of them executed at a time, instead of"
            f" {before}{_fold(each.before, each.after)}; this is {format_percent(each.share)} of the time of the"
            " statements that were observed"
        )
        if each.endpoint is not None:
            text += f"; it goes with {each.endpoint.label} (rank correlation {each.correlation:.2f})"
        yield f"{text}."


def load_sentences(found: Explanation) -> Iterator[str]:
    """Yield the knee, the fitted law, and the check of the data."""
    knee = found.knee
    if knee is not None:
        is_rate = found.model == "open"
        what, at = "iterations" if is_rate else "users", _load(knee.users, knee.users if is_rate else 0.0)
        yield (
            f"Knee: throughput followed the load up to {at} and {format_rate(knee.rps)},"
            f" with a p95 of {format_latency(knee.p95_s)}; {knee.load_growth:.1f} times the {what} then made"
            f" {knee.throughput_growth:.2f} times the throughput."
        )
    law = found.scalability
    if isinstance(law, str):
        if law:
            yield f"No scalability law is fitted: {law}."
    else:
        text = (
            f"Universal Scalability Law: contention {_estimate(law.contention)}, coherency {_estimate(law.coherency)}"
        )
        if law.peak_users is not None and law.peak_rps is not None:
            text += (
                f"; peak of {format_rate(law.peak_rps.value)} at {format_count(round(law.peak_users.value))} users"
                f" ({format_count(math.floor(law.peak_users.low))} to {format_count(math.ceil(law.peak_users.high))})"
            )
        else:
            text += f"; no peak is predicted: {law.no_peak}"
        yield f"{text}."
    little = found.little
    if little is None or little.measured is None or little.expected is None or little.is_consistent:
        return
    why = (
        "Requests are missing in the latencies, or the load generator was late"
        if little.measured > little.expected
        else "Latencies are longer than the requests were in flight: the load test reports times that are not measured"
    )
    yield (
        f"Little's law does not hold: {format_count(little.measured)} requests were in flight on average, and"
        f" throughput × latency is {format_count(little.expected)}. {why}."
    )


def _estimate(estimate: Estimate) -> str:
    return f"{estimate.value:.3g} ({estimate.low:.2g} to {estimate.high:.2g})"


def _fold(before: float, after: float) -> str:
    if not (before > 0 and math.isfinite(after) and after / before >= _FOLD):
        return ""
    ratio = after / before
    return f" ({ratio:,.0f}-fold)" if ratio >= 10 else f" ({ratio:.1f}-fold)"


def causes_by_kind(found: Explanation) -> tuple[list[Suspect], list[Suspect]]:
    """Return the first cause with others of its kind, `uWSGI a` and `uWSGI b`, and the causes of other kinds."""
    if not found.causes:
        return [], []
    first = found.causes[0].component
    same = [each for each in found.causes if (each.component.kind, each.component.layer) == (first.kind, first.layer)]
    return same, [each for each in found.causes if each not in same]


def capitalized(text: str) -> str:
    """Return a clause as the beginning of a sentence; names with a case of their own (uWSGI), and that of a percentile,
    stay as they are."""
    first = text.partition(" ")[0]
    if first.startswith("p95") or any(map(str.isupper, first)):
        return text
    return text[:1].upper() + text[1:]
