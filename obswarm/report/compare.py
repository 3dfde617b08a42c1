"""Compare two runs: changes, their statistical significance, and whether the runs are comparable."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from obswarm.analysis import (
    CONFIDENCE,
    MEASURES,
    RESAMPLES,
    SHORTEST_S,
    Block,
    Change,
    block_count,
    changes,
    cut,
    lanes_of,
    mean_change,
    significant,
    spans,
)
from obswarm.api import ObswarmError
from obswarm.config import setting_text
from obswarm.record import LOADED_STATES, Interval, MetricKey, RunInfo, RunRecord, value_at
from obswarm.stats import TOTAL, EndpointKey, EndpointStats
from obswarm.targets import sort_key_of
from obswarm.units import counted, format_duration, rounded

_LOAD_TOLERANCE = 0.1
_USERS_TOLERANCE = 0.05
_MIN_REQUESTS = 100
_MIN_RELATIVE_CHANGE = 0.05
_MIN_RATIO_CHANGE = 0.01

FASTER, SLOWER, SAME = "faster", "slower", "no difference that this data can show"
INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True)
class Difference:
    """A change with its verdict: better or worse (faster or slower for latencies), no difference, or inconclusive, for
    the reason in `inconclusive`."""

    change: Change
    is_significant: bool
    inconclusive: str = ""

    @property
    def verdict(self) -> str:
        change = self.change
        if self.inconclusive:
            return INCONCLUSIVE
        if not self.is_significant or change.change is None:
            return SAME
        if change.measure.lower_is_better is None:
            return "more" if change.change > 0 else "less"
        worse = (change.change > 0) == change.measure.lower_is_better
        if change.measure.is_ratio and change.measure.name != "throughput":
            return SLOWER if worse else FASTER
        return "worse" if worse else "better"


@dataclass(frozen=True, slots=True)
class Comparison:
    """The comparison of two runs.

    `endpoints` starts with their total (TOTAL). `targets`: changes of the targets' metrics; `settings`: settings that
    differ (name, base, run); `only`: endpoints that only one of the runs has; `incomparable`: reasons why the runs
    should not be compared. `seconds`: length of the compared parts, in `blocks` blocks; 0 blocks are too few for a
    verdict.
    """

    base: RunInfo
    run: RunInfo
    endpoints: Mapping[EndpointKey, tuple[Difference, ...]]
    targets: Mapping[MetricKey, Difference]
    settings: tuple[tuple[str, str, str], ...]
    only: Mapping[EndpointKey, str]
    incomparable: tuple[str, ...]
    seconds: int
    blocks: int
    is_paired: bool

    def get(self, key: EndpointKey, measure: str) -> Difference | None:
        return next((each for each in self.endpoints.get(key, ()) if each.change.measure.name == measure), None)

    def inconclusive(self) -> list[tuple[EndpointKey, str]]:
        """Return (endpoint, reason) for endpoints without a verdict."""
        found = ((key, differences[0].inconclusive) for key, differences in self.endpoints.items() if differences)
        return [(key, why) for key, why in found if why]


def compare_runs(base: RunRecord, run: RunRecord, force: bool = False) -> Comparison:
    """Compare two runs. Raises ObswarmError if they are not comparable, unless `force` is set."""
    before, after = _measured(base), _measured(run)
    incomparable = tuple(_incomparable(base, run, before, after))
    # With --force, the reasons for the verdict "inconclusive".
    reasons = [*incomparable, *_short_runs(base, run, before, after)]
    if reasons and not force:
        raise ObswarmError(f"These runs cannot be compared: {' '.join(reasons)} Use --force to compare them anyway.")
    common = min(len(before), len(after))
    is_paired = _same_users(before[:common], after[:common])
    if is_paired:
        before, after = before[:common], after[:common]
    too_short = "" if common >= SHORTEST_S else _too_short(common)
    blocks = 0 if too_short else block_count(common)
    found: dict[EndpointKey, tuple[list[Change], str]] = {}
    for key in _keys(base, run):
        # Without a verdict only the values are shown, of one block.
        one, other = cut(_blocks(before, key), blocks or 1), cut(_blocks(after, key), blocks or 1)
        why = too_short or _too_few(sum(each.requests for each in one), sum(each.requests for each in other))
        found[key] = changes(one, other, paired=is_paired, resamples=0 if why else RESAMPLES), why
    # The targets' metrics are not part of the multiple-testing correction.
    verdicts = iter(significant([change for each, why in found.values() for change in each if not why]))
    endpoints = {
        key: tuple(Difference(change, False if why else next(verdicts), why) for change in each)
        for key, (each, why) in found.items()
    }
    targets = _targets(base, run, before, after, blocks or 1)
    return Comparison(
        base=base.info,
        run=run.info,
        endpoints=endpoints,
        targets={
            metric: Difference(change, is_significant, too_short or ("" if change.change is not None else _NO_VALUES))
            for (metric, change), is_significant in zip(
                targets.items(), significant(list(targets.values())), strict=True
            )
        },
        settings=tuple(_settings(base, run)),
        only={
            **{key: base.info.run_id for key in base.endpoints if key not in run.endpoints},
            **{key: run.info.run_id for key in run.endpoints if key not in base.endpoints},
        },
        incomparable=incomparable,
        seconds=common,
        blocks=blocks,
        is_paired=is_paired,
    )


_NO_VALUES = "one of the runs has too few values"


def _too_short(seconds: int) -> str:
    return f"both runs have {seconds} s; at least {SHORTEST_S} s are needed to tell a difference from chance"


def _too_few(base: int, run: int) -> str:
    """Return why the numbers of requests are too small for a verdict; empty if they are not."""
    if min(base, run) >= _MIN_REQUESTS:
        return ""
    return f"{base:,} and {run:,} requests; at least {_MIN_REQUESTS} of each run are needed"


def _measured(record: RunRecord) -> list[Interval]:
    """Return the intervals to compare: since the last reset of the statistics, until the run was stopped."""
    if not record.intervals:
        return []
    epoch = record.intervals[-1].epoch
    return [interval for interval in record.intervals if interval.epoch == epoch and interval.state in LOADED_STATES]


def _keys(base: RunRecord, run: RunRecord) -> list[EndpointKey]:
    return [TOTAL, *sorted(base.endpoints.keys() & run.endpoints.keys())]


def _blocks(intervals: Sequence[Interval], key: EndpointKey) -> list[Block]:
    found = []
    for interval in intervals:
        stats = interval.total() if key == TOTAL else interval.endpoints.get(key, EndpointStats(key))
        found.append(Block(interval.interval_s, stats.requests, stats.failures, lanes_of(stats.duration.buckets)))
    return found


def _same_users(before: Sequence[Interval], after: Sequence[Interval]) -> bool:
    """Return whether both runs had nearly the same number of users at the same times."""
    same = 0
    for one, other in zip(before, after, strict=True):
        users, others = sum(one.users.values()), sum(other.users.values())
        same += abs(users - others) <= max(1, _USERS_TOLERANCE * max(users, others))
    return same >= (1 - _USERS_TOLERANCE) * len(before)


def _incomparable(base: RunRecord, run: RunRecord, before: Sequence[Interval], after: Sequence[Interval]) -> list[str]:
    incomparable = []
    one, other = base.info, run.info
    if one.test != other.test:
        incomparable.append(f"The load tests differ ({one.test} and {other.test}).")
    users, others = (
        max((sum(interval.users.values()) for interval in intervals), default=0) for intervals in (before, after)
    )
    if abs(users - others) > _LOAD_TOLERANCE * max(users, others):
        incomparable.append(f"The loads differ (peaks: {counted(users, 'user')} and {others:,}).")
    if abs(len(before) - len(after)) > _LOAD_TOLERANCE * max(len(before), len(after)):
        # In the format of the report and the list of runs.
        took, others_took = format_duration(one.duration_s), format_duration(other.duration_s)
        if took == others_took:
            took, others_took = (
                f"{took}, {len(before)} s of it measured",
                f"{others_took}, {len(after)} s of it measured",
            )
        incomparable.append(f"The durations differ ({took} and {others_took}).")
    for record, intervals in ((base, before), (run, after)):
        if not any(interval.endpoints for interval in intervals):
            incomparable.append(f"{record.info.run_id} made no requests.")
        if any(worker.saturated for interval in intervals for worker in interval.workers.values()):
            incomparable.append(
                f"In {record.info.run_id} the load generator was the bottleneck, so its latencies are not the target's."
            )
    return incomparable


def _short_runs(base: RunRecord, run: RunRecord, before: Sequence[Interval], after: Sequence[Interval]) -> list[str]:
    """Return a sentence that names the runs that are too short, if any."""
    short = [
        f"{record.info.run_id} has {len(seconds)} s of measurements"
        for record, seconds in ((base, before), (run, after))
        if len(seconds) < SHORTEST_S
    ]
    least = f"at least {SHORTEST_S} s are needed to tell a difference from chance."
    return [f"{' and '.join(short)}; {least}"] if short else []


def target_metric_order(metric: MetricKey) -> tuple[int, str, int]:
    """Return a sort key for metrics of targets: in the order in which a request passes the targets, grouped by
    target."""
    kind, number = sort_key_of(metric.kind, metric.name)
    return kind, metric.target, number


def _targets(
    base: RunRecord, run: RunRecord, before: Sequence[Interval], after: Sequence[Interval], blocks: int
) -> dict[MetricKey, Change]:
    found = {}
    for metric in sorted(base.samples.keys() & run.samples.keys(), key=target_metric_order):
        means = [
            _means([value_at(samples, interval.time_s) for interval in intervals], blocks)
            for samples, intervals in ((base.samples[metric], before), (run.samples[metric], after))
        ]
        name = f"{metric.target}: {metric.name}"
        change = mean_change(name, means[0], means[1], least=_MIN_RELATIVE_CHANGE)
        if metric.unit == "ratio" and abs((change.run or 0) - (change.base or 0)) < _MIN_RATIO_CHANGE:
            # A large relative change of a tiny ratio is not relevant.
            change = replace(change, p=1.0)
        found[metric] = change
    return found


def _means(values: Sequence[float], blocks: int) -> list[float]:
    """Return the mean of each block that has values."""
    found = []
    for begin, end in spans(len(values), blocks):
        present = [value for value in values[begin:end] if math.isfinite(value)]
        if present:
            found.append(sum(present) / len(present))
    return found


def _settings(base: RunRecord, run: RunRecord) -> list[tuple[str, str, str]]:
    one, other = base.info, run.info
    rows: list[tuple[str, Any, Any]] = [
        ("host", one.host, other.host),
        ("obswarm", one.version, other.version),
        ("load test's revision", one.revision, other.revision),
        ("load test's text", _hashes(base), _hashes(run)),
    ]
    names = sorted({*one.configuration, *other.configuration})
    rows += [(name, one.configuration.get(name), other.configuration.get(name)) for name in names]
    return [(name, _text(name, before), _text(name, after)) for name, before, after in rows if before != after]


def _hashes(record: RunRecord) -> str:
    return ", ".join(each.hash[:8] for each in record.loadtests)


def _text(name: str, value: Any) -> str:
    return "–" if value is None else setting_text(name, value)


def comparison_document(found: Comparison) -> dict[str, Any]:
    """Return a comparison as a JSON document. Changes are relative, except those of the error ratio: differences."""
    return {
        "base": found.base.run_id,
        "run": found.run.run_id,
        "seconds": found.seconds,
        "blocks": found.blocks,
        "paired": found.is_paired,
        "confidence": CONFIDENCE,
        "doubts": list(found.incomparable),
        "unjudged": [{"method": key.method, "name": key.name, "reason": why} for key, why in found.inconclusive()],
        "endpoints": [
            {
                "method": key.method,
                "name": key.name,
                "measures": {each.change.measure.name.replace(" ", "_"): _difference(each) for each in differences},
            }
            for key, differences in found.endpoints.items()
        ],
        "only": [{"method": key.method, "name": key.name, "run": where} for key, where in found.only.items()],
        "targets": [
            {"target": metric.target, "kind": metric.kind, "figure": metric.name, "unit": metric.unit}
            | _difference(difference)
            for metric, difference in found.targets.items()
        ],
        "settings": [{"name": name, "base": one, "run": other} for name, one, other in found.settings],
    }


def _difference(difference: Difference) -> dict[str, Any]:
    change = difference.change
    numbers = {"base": change.base, "run": change.run, "change": change.change, "low": change.low, "high": change.high}
    return {
        **{name: rounded(value) for name, value in numbers.items()},
        "verdict": difference.verdict,
    }


MEASURE_NAMES = tuple(measure.name.replace(" ", "_") for measure in MEASURES)
