"""Rank the components of a system as causes: what can explain the others comes first. Pure functions.

Saturation below shows further up as queues: what waits for a slow database holds its connection, its worker and its
place in the balancer. So a component with a finding explains those above it that were not conspicuous surely earlier. A
loss of capacity is the exception: whatever begins with it is explained by it, also below.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal

from obswarm.analysis.explain.findings import WINDOW_SHARE, Component, Finding
from obswarm.analysis.explain.onset import Onset
from obswarm.targets import LAYERS

LEAST = 0.2
"""Strength of a finding from which its component is a suspect."""
_LEAST_UNKNOWN = 0.1
"""The same for a component of which nothing is known: its series have the least weight, and a threefold change has to
be seen."""
_WEAK = 0.5
"""Factor of the strength of findings that cannot be a cause by themselves."""
_COMPARABLE = 0.45
"""A component whose strength is less than this share of another's is not the cause of that."""
_USED_UP = 0.6
"""Factor of the strength of a component whose strongest finding is a resource that is used up, in that comparison."""
_CPU_LAYERS = ("network", "process", "machine")
"""Layers that run short of CPU, or seem slow, when a component above computes more."""
_MORE = 1.5
"""Factor of the work of a component from which a machine that is used up is a consequence of it."""
_FILLING = 0.25
"""Share of a resource that is used up, from which those who wait in a component below are what fills it."""
_NORMAL_95 = 1.645
"""Standard deviations within which 90 % of a normal distribution are."""
_PROBABLY = 0.43
"""Standard deviations by which one moment has to be later, so that it is later at odds of two to one."""
_ROUNDS = 10
"""Suspects that are left out one after the other; those behind them are in the order of their strength."""
_TOLERANCE_S = 4.0
"""Largest assumed difference between the clocks of two targets, each of which may be off by 2 s."""

Role = Literal["cause", "consequence", "unclear"]


@dataclass(frozen=True, slots=True)
class Suspect:
    """A component with its findings, the strongest first. A `consequence` is explained by `because_of`; `unclear` ones
    have findings that cannot be a cause by themselves: durations, rates, and series of unknown meaning."""

    component: Component
    role: Role
    findings: tuple[Finding, ...]
    strength: float
    onset: Onset
    because_of: Component | None = None


def rank(findings: Sequence[Finding], waiting: Mapping[Component, float] = MappingProxyType({})) -> list[Suspect]:
    """Return the suspects: causes, the most probable first, then consequences in the order in which they would be
    causes if those before them were not, then the unclear ones. `waiting` is by how much what waits in a component has
    grown, where that is known: see `waiting_of`."""
    groups = _by_component(findings)
    strong: list[Suspect] = []
    weak: list[Suspect] = []
    for component, every in groups.items():
        own = [each for each in every if each.is_strong and not each.points_below]
        best = max((each.strength for each in own), default=0.0)
        least = max((each.strength for each in every), default=0.0)
        if best >= LEAST:
            leading = [each for each in own if each.strength >= best / 2]
            strong.append(
                _suspect(
                    component, "cause", [*leading, *(each for each in every if each not in leading)], best, leading
                )
            )
        elif least >= (LEAST if component.layer else _LEAST_UNKNOWN):
            weak.append(_suspect(component, "unclear", every, least * _WEAK, every[:1]))
    strong += _pointing(groups, strong)
    weak = [each for each in weak if all(each.component != other.component for other in strong)]
    if not strong:
        # Durations and rates are all that there is: the deepest of them is nearest to the cause.
        known = [each for each in weak if each.component.layer and _is_known(each)]
        strong, weak = known, [each for each in weak if each not in known]
    causes, consequences = _judged(strong, waiting)
    still_unclear = []
    further = []
    for suspect in weak:
        earlier = [cause for cause in causes if not suspect.onset.before(cause.onset)]
        if earlier and suspect.component.layer:
            further.append(_explained(suspect, earlier[0]))
        else:
            still_unclear.append(suspect)
    causes = [_cause(each) for each in sorted(causes, key=lambda each: -each.strength)]
    rooted = _rooted([*consequences, *further], causes)
    return [
        *causes,
        *_next_best(rooted, consequences, causes, waiting),
        *sorted(still_unclear, key=lambda each: -each.strength),
    ]


def _judged(strong: Sequence[Suspect], waiting: Mapping[Component, float]) -> tuple[list[Suspect], list[Suspect]]:
    """Return those that nothing explains, and the others as consequences of what explains them."""
    causes, consequences = [], []
    for suspect in strong:
        explained_by = [other for other in strong if other is not suspect and _explains(other, suspect, waiting)]
        if explained_by:
            origin = max(explained_by, key=lambda other: (_is_loss(other), _depth(other.component), other.strength))
            consequences.append(_explained(suspect, origin))
        else:
            causes.append(suspect)
    if not causes and strong:
        # They explain each other: a loss and what came with it.
        first = min(strong, key=lambda each: each.onset.time_s)
        causes = [first]
        consequences = [each for each in consequences if each.component != first.component]
    return causes, consequences


def _next_best(
    every: Sequence[Suspect], strong: Sequence[Suspect], causes: Sequence[Suspect], waiting: Mapping[Component, float]
) -> list[Suspect]:
    """Return consequences, those first that would be causes if the ones before them were not.

    A method that is wrong once should not be wrong three times: who has found nothing in the first suspect goes on with
    what explains the rest without it, not with what happened to be seen first. Another instance of what has been named
    (a second cluster, its twin) comes after what has not.
    """
    by_component = {each.component: each for each in every}
    left = list(strong)
    found: list[Suspect] = []
    for _ in range(_ROUNDS):
        if not left:
            break
        round_causes, _ = _judged(left, waiting)
        found += sorted(round_causes, key=lambda each: -each.strength)
        left = [each for each in left if all(each.component != other.component for other in round_causes)]
    listed = {each.component for each in found}
    found += sorted((each for each in every if each.component not in listed), key=lambda each: -each.strength)
    named = {(each.component.kind, each.component.layer) for each in causes}
    first: list[Suspect] = []
    twins: list[Suspect] = []
    for each in found:
        kind = (each.component.kind, each.component.layer)
        (twins if kind in named else first).append(by_component[each.component])
        named.add(kind)
    return [*first, *twins]


def _rooted(consequences: Sequence[Suspect], causes: Sequence[Suspect]) -> list[Suspect]:
    """Return the consequences, each explained by a cause: by that of what explains it, if that is a consequence."""
    origins = {each.component: each.because_of for each in consequences}
    roots = {each.component for each in causes}
    found = []
    for each in consequences:
        origin = each.because_of
        for _ in consequences:
            if origin is None or origin in roots:
                break
            origin = origins.get(origin)
        # Components that explain each other lead to no cause: then the first one stays.
        found.append(replace(each, because_of=origin) if origin in roots else each)
    return found


def _pointing(groups: Mapping[Component, Sequence[Finding]], strong: Sequence[Suspect]) -> Iterator[Suspect]:
    """Yield the components that show the state of a layer below, of which nothing else is known: what is conspicuous
    there is named by who waits for it."""
    for component, every in groups.items():
        pointing = [each for each in every if each.is_strong and each.points_below]
        pointing = [each for each in pointing if not _is_known_below(each, strong)]
        best = max((each.strength for each in pointing), default=0.0)
        if best >= LEAST and all(component != each.component for each in strong):
            yield _suspect(
                component, "cause", [*pointing, *(each for each in every if each not in pointing)], best, pointing
            )


def _is_known_below(pointing: Finding, strong: Sequence[Suspect]) -> bool:
    """Return whether the layer that a finding shows, or one below it, has evidence of its own that could explain it."""
    return any(
        _depth(each.component) >= LAYERS.index(pointing.points_below)
        and (_is_loss(each) or each.strength >= _COMPARABLE * pointing.strength)
        for each in strong
    )


def _by_component(findings: Sequence[Finding]) -> dict[Component, list[Finding]]:
    groups: dict[Component, list[Finding]] = {}
    for each in findings:
        groups.setdefault(each.component, []).append(each)
    return groups


def _suspect(
    component: Component, role: Role, every: Sequence[Finding], strength: float, leading: Sequence[Finding]
) -> Suspect:
    onset = min((each.onset for each in leading), key=lambda each: each.time_s)
    return Suspect(component, role, tuple(every), strength, onset)


def _explained(suspect: Suspect, origin: Suspect) -> Suspect:
    return Suspect(
        suspect.component, "consequence", suspect.findings, suspect.strength, suspect.onset, origin.component
    )


def _cause(suspect: Suspect) -> Suspect:
    return Suspect(suspect.component, "cause", suspect.findings, suspect.strength, suspect.onset)


def _is_known(suspect: Suspect) -> bool:
    """Return whether one of its findings would suffice by itself that is of a metric of known meaning."""
    return any(each.metric is not None and each.strength >= LEAST for each in suspect.findings)


def _depth(component: Component) -> int:
    return LAYERS.index(component.layer) if component.layer else -1


def _is_loss(suspect: Suspect) -> bool:
    return suspect.findings[0].how in ("loss", "gone")


def _explains(origin: Suspect, other: Suspect, waiting: Mapping[Component, float]) -> bool:
    """Return whether a component explains what is conspicuous in another one."""
    if not _may_fill(origin, other, waiting):
        return False
    if origin.component.layer in _CPU_LAYERS and _works_more(other, origin):
        return False
    if other.component.layer in _CPU_LAYERS and _works_more(origin, other):
        return True
    if not _is_loss(origin) and origin.strength < _COMPARABLE * _own_strength(other):
        return False
    if _is_loss(origin) and not _surely_before(other, origin):
        return not _is_loss(other) or _depth(origin.component) > _depth(other.component)
    if _is_loss(other):
        return _depth(origin.component) > _depth(other.component) and _surely_before(origin, other)
    is_later = _surely_before(other, origin) or _probably_before(other, origin)
    return _depth(origin.component) > _depth(other.component) and not is_later


def _may_fill(origin: Suspect, other: Suspect, waiting: Mapping[Component, float]) -> bool:
    """Return whether what waits in a component may be what fills the resource of another one: by Little's law, who
    occupies a worker, and waits for the database, is among those who wait there.

    True if it is not known, and for what stops or slows a whole process: whoever waits for that holds what others need.
    """
    leading, used = origin.findings[0], other.findings[0]
    if origin.component.layer in _CPU_LAYERS or leading.how != "departure" or leading.meaning != "saturation":
        return True
    if used.how != "limit" or used.key.unit != "number" or origin.component not in waiting:
        return True
    return waiting[origin.component] >= _FILLING * used.after


def _works_more(component: Suspect, machine: Suspect) -> bool:
    """Return whether a component had more to do than its load explains, before the machine was used up: then it is not
    the machine that made it slow."""
    return any(
        each.meaning == "rate" and each.how == "departure" and each.ratio >= _MORE
        for each in component.findings
        if not machine.onset.before(each.onset)
    )


def _own_strength(suspect: Suspect) -> float:
    """Return the strength, less that of a resource that is used up: whatever waits for something below fills it."""
    return suspect.strength * (_USED_UP if suspect.findings[0].how == "limit" else 1.0)


def _probably_before(one: Suspect, other: Suspect) -> bool:
    """Return whether one began before the other by more than clocks differ, by the odds: both moments are taken for
    normally distributed, with their intervals of 90 %."""
    later_s = max(0.0, _window_s(other) - _window_s(one)) * WINDOW_SHARE
    apart_s = other.onset.time_s - one.onset.time_s - later_s - _TOLERANCE_S
    spread_s = math.hypot(one.onset.high_s - one.onset.time_s, other.onset.time_s - other.onset.low_s) / _NORMAL_95
    return apart_s > _PROBABLY * max(spread_s, 1e-9)


def _window_s(suspect: Suspect) -> float:
    return max((each.metric.window_s for each in suspect.findings[:1] if each.metric is not None), default=0.0)


def _surely_before(one: Suspect, other: Suspect) -> bool:
    window_s = _window_s(other)
    return one.onset.high_s + _TOLERANCE_S + window_s * WINDOW_SHARE < other.onset.low_s
