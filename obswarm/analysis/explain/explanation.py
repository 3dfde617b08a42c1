"""The explanation of a run: what saturated first, with the evidence. A pure function of the stored run."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from obswarm.analysis.explain.endpoints import EndpointCause, EndpointEffect, causes_of, effects_of
from obswarm.analysis.explain.findings import Component, component_of, findings_of, waiting_of
from obswarm.analysis.explain.limits import shares_of_limit
from obswarm.analysis.explain.onset import MAX_BINS, binned, filled
from obswarm.analysis.explain.scalability import LittleCheck, Scalability, check_little, fit_scalability, levels_of
from obswarm.analysis.explain.statements import StatementChange, statements_of
from obswarm.analysis.explain.suspects import Suspect, rank
from obswarm.analysis.explain.symptom import Symptom, symptoms_of
from obswarm.analysis.explain.timeline import Timeline, timeline_of
from obswarm.analysis.knee import Knee, LoadPoint, find_knee
from obswarm.record import MetricKey, RunRecord
from obswarm.targets import KINDS, LAYERS, Kind
from obswarm.units import format_duration

SHORTEST_STEPS = 12
"""Steps with load that an explanation needs."""
_CALM_SHARE = 0.7
_MAX_CALM = 3
_SHORTLY_S = 2.5
_BEHIND = 0.01
_BEHIND_S = 3.0
"""The load generator is the bottleneck if it drops 1 % of the iterations for 3 s since it is late."""


@dataclass(frozen=True, slots=True)
class Headroom:
    """A utilisation that stayed below its limit: its highest share of it, from shortly before the symptom on."""

    key: MetricKey
    component: Component
    share: float


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a run broke, or that it did not.

    `symptoms` are what users noticed, the earliest first; none if latency and errors stayed as they were. `suspects`
    are causes, the most probable first, then consequences in the order in which they would be causes if those before
    them were not, then what is conspicuous without being either. `headroom`
    are resources that were not used up. `scalability` is a reason if the data do not allow a fit; `generator_s` is the
    moment in seconds from which the load generator was the bottleneck, None if it was not; `is_overload` says whether
    the load was rising when the first symptom began. `too_short` is the reason why there is no explanation at all.
    """

    run_id: str
    symptoms: tuple[Symptom, ...] = ()
    suspects: tuple[Suspect, ...] = ()
    headroom: tuple[Headroom, ...] = ()
    effects: tuple[EndpointEffect, ...] = ()
    endpoint_causes: tuple[EndpointCause, ...] = ()
    statements: tuple[StatementChange, ...] = ()
    knee: Knee | None = None
    scalability: Scalability | str = ""
    little: LittleCheck | None = None
    generator_s: float | None = None
    generator_workers: tuple[str, ...] = ()
    is_overload: bool = False
    users_max: float = 0.0
    rate_max: float = 0.0
    model: Literal["closed", "open", "combined"] = "closed"
    targets: int = 0
    series: int = 0
    too_short: str = ""

    @property
    def causes(self) -> list[Suspect]:
        return [each for each in self.suspects if each.role == "cause"]

    @property
    def consequences(self) -> list[Suspect]:
        """In the order in which they began."""
        found = [each for each in self.suspects if each.role == "consequence"]
        return sorted(found, key=lambda each: each.onset.time_s)

    @property
    def alternatives(self) -> list[Suspect]:
        """Consequences that would be causes if the causes were none, the most probable first."""
        return [each for each in self.suspects if each.role == "consequence" and each.findings[0].is_strong]

    @property
    def has_broken(self) -> bool:
        """Whether there is something to explain."""
        return bool(self.symptoms) or self.generator_s is not None


def explain(record: RunRecord, kinds: Mapping[str, Kind] = KINDS) -> Explanation:
    """Explain a run. `kinds` says what the metrics of its targets mean; those of unknown kinds are judged by their
    behaviour alone."""
    return explain_timeline(record.info.run_id, timeline_of(record), kinds)


def explain_timeline(run_id: str, timeline: Timeline, kinds: Mapping[str, Kind] = KINDS) -> Explanation:
    """Explain a run by its timeline; see `explain`."""
    if len(timeline) < SHORTEST_STEPS:
        return Explanation(
            run_id,
            too_short=f"it has {format_duration(len(timeline))} with load, and at least"
            f" {format_duration(SHORTEST_STEPS)} are needed",
        )
    if not any(timeline.requests) and not any(map(math.isfinite, timeline.p95_s)):
        return Explanation(run_id, too_short="it has no requests")
    symptoms = symptoms_of(timeline)
    suspects: list[Suspect] = []
    effects: list[EndpointEffect] = []
    causes: list[EndpointCause] = []
    if symptoms:
        suspects = rank(findings_of(timeline, symptoms[0], kinds), waiting_of(timeline, symptoms[0], kinds))
        effects = effects_of(timeline, symptoms[0])
        causes = causes_of(timeline, symptoms[0])
    return Explanation(
        run_id=run_id,
        symptoms=tuple(symptoms),
        suspects=tuple(suspects),
        headroom=tuple(_headroom(timeline, symptoms, suspects, kinds)),
        effects=tuple(effects),
        endpoint_causes=tuple(causes),
        statements=tuple(statements_of(timeline, symptoms[0])) if symptoms else (),
        knee=_knee(timeline),
        scalability=_scalability(timeline),
        little=check_little(timeline),
        generator_s=min((*timeline.saturated_workers.values(), *_behind_s(timeline)), default=None),
        generator_workers=tuple(timeline.saturated_workers),
        is_overload=bool(symptoms) and timeline.is_rising(symptoms[0].onset.time_s),
        users_max=max(timeline.users),
        rate_max=max(timeline.rates, default=0.0),
        model=timeline.model,
        targets=len({(key.target, key.kind) for key in timeline.targets}),
        series=len(timeline.targets),
    )


def _knee(timeline: Timeline) -> Knee | None:
    if timeline.model == "combined":
        # There is no number that is the load.
        return None
    # Its time grows with the square of the number of points.
    size = -(-len(timeline) // MAX_BINS)
    columns = (binned(filled(values), size) for values in (timeline.load, timeline.throughput, timeline.p95_s))
    return find_knee(
        [
            LoadPoint(load, rps, p95_s if math.isfinite(p95_s) else None)
            for load, rps, p95_s in zip(*columns, strict=True)
        ]
    )


def _scalability(timeline: Timeline) -> Scalability | str:
    if timeline.model != "closed":
        return "it is a law of users that wait for their answers, and the load was a rate of iterations"
    return fit_scalability(levels_of(timeline.users, timeline.throughput))


def _behind_s(timeline: Timeline) -> Iterator[float]:
    """Yield the moment from which the load generator was too late for the open model's iterations, if it was."""
    lasting = max(1, round(_BEHIND_S / timeline.step_s))
    for at in range(len(timeline.behind) - lasting + 1):
        if min(timeline.behind[at : at + lasting]) >= _BEHIND:
            yield timeline.times_s[at]
            return


def _headroom(
    timeline: Timeline, symptoms: list[Symptom], suspects: list[Suspect], kinds: Mapping[str, Kind]
) -> list[Headroom]:
    """Return utilisations without a finding: of a run that broke, calm ones, the deepest first; else the most used."""
    found = []
    gone = {each.component.target for each in suspects if any(finding.how == "gone" for finding in each.findings)}
    conspicuous = {finding.key for suspect in suspects for finding in suspect.findings}
    begin_s = symptoms[0].onset.low_s - _SHORTLY_S if symptoms else 0.0
    for key, values in timeline.targets.items():
        metric = kinds[key.kind].metric(key.name) if key.kind in kinds else None
        if metric is None or metric.limit is None or key in conspicuous:
            continue
        if key.target in gone:
            # Nothing is known of it since then.
            continue
        shares = [
            share
            for time_s, share in zip(timeline.times_s, shares_of_limit(timeline, key, values, metric), strict=False)
            if time_s >= begin_s
        ]
        if shares and (not symptoms or max(shares) < _CALM_SHARE):
            found.append(Headroom(key, component_of(key, metric, kinds), max(shares)))
    if symptoms:
        # What lies deepest could have been the cause of everything.
        found.sort(key=lambda each: (-LAYERS.index(each.component.layer), -each.share))
    else:
        found.sort(key=lambda each: -each.share)
    return found[:_MAX_CALM]
