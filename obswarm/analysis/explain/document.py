"""An explanation as a JSON document, and as sections of sentences."""

import math
from typing import Any

from obswarm.analysis.explain.explanation import Explanation
from obswarm.analysis.explain.findings import Component, Finding
from obswarm.analysis.explain.onset import CREDIBLE, Onset
from obswarm.analysis.explain.scalability import Estimate
from obswarm.analysis.explain.sentences import (
    alternatives_sentence,
    capitalized,
    cause_sentences,
    causes_by_kind,
    consequence_sentence,
    endpoint_sentences,
    evidence,
    headline,
    headroom_sentence,
    load_sentences,
    statement_sentences,
    symptom_text,
    title,
)
from obswarm.analysis.explain.suspects import Suspect
from obswarm.targets import statement_of
from obswarm.units import rounded

Section = tuple[str, list[str]]
"""A heading, and the sentences below it."""


def sections(found: Explanation) -> list[Section]:
    """Return an explanation without its headline as sections, those without sentences left out."""
    every: list[Section] = [
        ("What users noticed", [f"{capitalized(symptom_text(each))}." for each in found.symptoms]),
        *(
            (f"{name}: {title(each.component)}", list(cause_sentences(each, found)))
            for name, every in zip(("Cause", "Perhaps also"), causes_by_kind(found), strict=True)
            for each in every
        ),
        ("Consequences", [consequence_sentence(each, found) for each in found.consequences]),
        (
            "Also conspicuous",
            [
                f"{capitalized(title(each.component))}: {evidence(each.findings[0], found.symptoms[0])}."
                for each in found.suspects
                if each.role == "unclear"
            ],
        ),
        ("If it is something else", [alternatives_sentence(found)]),
        ("Not the cause", [headroom_sentence(found)]),
        ("Endpoints", list(endpoint_sentences(found))),
        ("Statements", list(statement_sentences(found))),
        ("Load", list(load_sentences(found))),
    ]
    return [(heading, filled) for heading, lines in every if (filled := [line for line in lines if line])]


def explanation_document(found: Explanation) -> dict[str, Any]:
    """Return an explanation as a JSON document. Times are in seconds since the start of the run; `low_s` and `high_s`
    contain them with the probability `confidence`."""
    law, little = found.scalability, found.little
    return {
        "run": found.run_id,
        "headline": headline(found),
        "too_short": found.too_short or None,
        "confidence": CREDIBLE,
        "sections": [{"heading": heading, "sentences": lines} for heading, lines in sections(found)],
        "symptoms": [
            {
                "what": each.what,
                **_moment(each.onset),
                "before": number_or_none(each.before),
                "after": number_or_none(each.after),
                "users": each.users,
                "iterations_per_s": number_or_none(each.rate) if found.model != "closed" else None,
            }
            for each in found.symptoms
        ],
        "overload": found.is_overload,
        "suspects": [_suspect(each) for each in found.suspects],
        "not_used_up": [
            {**_component(each.component), "metric": each.key.name, "share": number_or_none(each.share)}
            for each in found.headroom
        ],
        "endpoints": {
            "causes": [
                {
                    **each.key.document,
                    **_moment(each.onset),
                    "before": number_or_none(each.before),
                    "after": number_or_none(each.after),
                }
                for each in found.endpoint_causes
            ],
            "effects": [
                {
                    **each.key.document,
                    **_moment(each.onset),
                    "before_s": number_or_none(each.before_s),
                    "after_s": number_or_none(each.after_s),
                    "failed": number_or_none(each.failed),
                    "first": each.is_first,
                }
                for each in found.effects
            ],
        },
        "statements": [
            {
                "target": each.key.target,
                "kind": each.key.kind,
                "statement": statement_of(each.key),
                "before": number_or_none(each.before),
                "after": number_or_none(each.after),
                "share": number_or_none(each.share),
                "endpoint": None
                if each.endpoint is None
                else {
                    **each.endpoint.document,
                    "correlation": number_or_none(each.correlation),
                },
            }
            for each in found.statements
        ],
        "generator": {"saturated_s": number_or_none(found.generator_s), "workers": list(found.generator_workers)},
        "knee": None
        if found.knee is None
        else {
            "users": number_or_none(found.knee.users) if found.model == "closed" else None,
            "iterations_per_s": number_or_none(found.knee.users) if found.model == "open" else None,
            "rps": number_or_none(found.knee.rps),
            "p95_s": number_or_none(found.knee.p95_s),
            "load_growth": number_or_none(found.knee.load_growth),
            "throughput_growth": number_or_none(found.knee.throughput_growth),
        },
        "scalability": {"reason": law}
        if isinstance(law, str)
        else {
            "rate_per_user": _estimate(law.rate_per_user),
            "contention": _estimate(law.contention),
            "coherency": _estimate(law.coherency),
            "limit_rps": _estimate(law.limit_rps),
            "peak_users": _estimate(law.peak_users),
            "peak_rps": _estimate(law.peak_rps),
            "reason": law.no_peak or None,
        },
        "little": None
        if little is None
        else {
            "in_flight": number_or_none(little.measured),
            "throughput_times_latency": number_or_none(little.expected),
            "consistent": little.is_consistent,
            "wait_s": None if little.waits_s is None else [number_or_none(wait_s) for wait_s in little.waits_s],
        },
    }


def _suspect(suspect: Suspect) -> dict[str, Any]:
    return {
        **_component(suspect.component),
        "title": title(suspect.component),
        "role": suspect.role,
        "because_of": None if suspect.because_of is None else _component(suspect.because_of),
        "strength": number_or_none(suspect.strength),
        **_moment(suspect.onset),
        "findings": [finding_document(each) for each in suspect.findings],
    }


def finding_document(finding: Finding) -> dict[str, Any]:
    """Return a finding as a JSON document."""
    return {
        "metric": finding.key.name,
        "unit": finding.key.unit,
        "meaning": finding.meaning,
        "how": finding.how,
        **_moment(finding.onset),
        "before": number_or_none(finding.before),
        "after": number_or_none(finding.after),
        "ratio": number_or_none(finding.ratio),
        "limit": number_or_none(finding.limit),
        "strength": number_or_none(finding.strength),
        "correlation": number_or_none(finding.correlation),
        "lag_s": number_or_none(finding.lag_s),
        "next": finding.metric.next if finding.metric is not None and finding.metric.next else None,
    }


def _component(component: Component) -> dict[str, str]:
    return {"target": component.target, "kind": component.kind, "layer": component.layer}


def _moment(onset: Onset) -> dict[str, float | None]:
    return {
        "time_s": number_or_none(onset.time_s),
        "low_s": number_or_none(onset.low_s),
        "high_s": number_or_none(onset.high_s),
    }


def _estimate(estimate: Estimate | None) -> dict[str, float] | None:
    # Coefficients of the law may be tiny, so they are not rounded.
    return None if estimate is None else {"value": estimate.value, "low": estimate.low, "high": estimate.high}


def number_or_none(value: float | None) -> float | None:
    """Return a number as JSON has it: rounded, None for NaN and infinities."""
    return rounded(value) if value is not None and math.isfinite(value) else None
