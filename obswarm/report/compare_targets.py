"""What changed at the target, as the explanation of a difference between two runs."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from obswarm.analysis.explain.findings import STRONG, WEIGHTS, Component, component_of
from obswarm.analysis.explain.sentences import title
from obswarm.record import MetricKey
from obswarm.report.compare import SAME, Comparison
from obswarm.stats import TOTAL
from obswarm.targets import KINDS, LAYERS
from obswarm.units import format_in_unit

_MEASURES = ("p50", "p95", "error ratio", "throughput")
"""Measures of all requests of which one has to differ, and that the sentences explain."""
_LEAST = 0.1
"""Strength from which a change is evidence: the weight of its meaning times 1 - 1/factor of the change."""
_MAX_NAMED = 3
_FOLD = 1.95


@dataclass(frozen=True, slots=True)
class TargetChange:
    """A significant change of a target's metric between two runs, in the direction of their difference: `base` and
    `run` are means. Its strength is between 0 and 1."""

    key: MetricKey
    component: Component
    base: float
    run: float
    strength: float
    is_strong: bool


def explaining_changes(found: Comparison) -> list[TargetChange]:
    """Return the changes at the target that explain the difference, the most probable cause first; none if the runs do
    not differ, had different loads, or do not both have metrics of targets.

    A slower run is explained by more saturation, errors or utilisation, or by less capacity; a faster one by the
    opposite. Saturation below shows further up as queues, so the deepest component with a strong change comes first.
    """
    direction = _direction(found)
    if not direction or not found.is_paired:
        return []
    changes = list(_changes(found, direction))
    by_component: dict[Component, list[TargetChange]] = {}
    for each in sorted(changes, key=lambda each: (not each.is_strong, -each.strength)):
        by_component.setdefault(each.component, []).append(each)
    leading = [every[0] for every in by_component.values()]
    return sorted(leading, key=lambda each: (not each.is_strong, -_depth(each.component), -each.strength))


def target_sentences(found: Comparison) -> list[str]:
    """Return one to three sentences on what changed at the target; none if there is nothing to explain, or no data."""
    if not _direction(found) or not found.is_paired or not found.targets:
        return []
    changes = explaining_changes(found)
    if not changes or not changes[0].is_strong:
        sentences = [
            "Nothing explains the difference: no metric of the targets, of which both runs have"
            f" {len(found.targets):,}, shows more or less saturation, errors or capacity at the same load."
        ]
        weak = changes[:_MAX_NAMED]
        return [*sentences, f"What changed most: {_listed(weak)}."] if weak else sentences
    first, *others = changes
    sentences = [f"What explains the difference at the same load: {_text(first)}."]
    if others:
        sentences.append(f"With it changed {_listed(others[:_MAX_NAMED])}.")
    metric = KINDS[first.key.kind].metric(first.key.name) if first.key.kind in KINDS else None
    if metric is not None and metric.next:
        sentences.append(f"Look next at {metric.next}.")
    return sentences


def _direction(found: Comparison) -> int:
    """Return 1 if the run is worse than its base, -1 if it is better, 0 without a difference that chance does not
    explain, or with contradictory ones."""
    signs = set()
    for name in _MEASURES:
        difference = found.get(TOTAL, name)
        if difference is None or difference.verdict == SAME or not difference.is_significant:
            continue
        change = difference.change
        if change.change is not None and change.measure.lower_is_better is not None:
            signs.add(1 if (change.change > 0) == change.measure.lower_is_better else -1)
    return signs.pop() if len(signs) == 1 else 0


def _changes(found: Comparison, direction: int) -> Iterator[TargetChange]:
    for key, difference in found.targets.items():
        base, run = difference.change.base, difference.change.run
        if not difference.is_significant or base is None or run is None:
            continue
        metric = KINDS[key.kind].metric(key.name) if key.kind in KINDS else None
        if metric is None:
            continue
        is_low = metric.meaning == "capacity" or metric.worse == "low"
        if (run > base) != ((direction > 0) != is_low):
            continue
        low, high = sorted((abs(base), abs(run)))
        size = 1 - low / high if high else 0.0
        strength = WEIGHTS[metric.meaning] * size
        if strength >= _LEAST:
            component = component_of(key, metric, KINDS)
            # What shows the state of a layer below is not the cause itself; what is left of that layer may be.
            is_strong = metric.meaning in STRONG and (not metric.shows or metric.meaning == "capacity")
            yield TargetChange(key, component, base, run, strength, is_strong)


def _depth(component: Component) -> int:
    return LAYERS.index(component.layer) if component.layer else -1


def _listed(changes: list[TargetChange]) -> str:
    return "; ".join(_text(each) for each in changes)


def _text(change: TargetChange) -> str:
    base, run = (format_in_unit(change.key.unit, value) for value in (change.base, change.run))
    text = f"{title(change.component)}: {change.key.name} was {run} on average, instead of {base}"
    high, low = max(change.base, change.run), min(change.base, change.run)
    if low > 0 and math.isfinite(high / low) and high / low >= _FOLD:
        ratio = high / low
        fold = f"{ratio:,.0f}" if ratio >= 10 else f"{ratio:.2g}"
        text += f" ({fold}-fold)" if change.run > change.base else f" (1/{fold} of it)"
    return text


def target_change_rows(found: Comparison) -> list[dict[str, object]]:
    """Return the explaining changes as rows of the JSON document."""
    return [
        {
            "target": each.key.target,
            "kind": each.key.kind,
            "layer": each.component.layer,
            "figure": each.key.name,
            "strength": round(each.strength, 4),
            "cause": each.is_strong and number == 0,
        }
        for number, each in enumerate(explaining_changes(found))
    ]
