"""Compare two runs: changes, their statistical significance, and whether the runs are comparable."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from obswarm.analysis import (
    INTENDED_MEASURES,
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
from obswarm.report.custom_changes import custom_changes
from obswarm.stats import TOTAL, CustomKey, EndpointKey, EndpointStats
from obswarm.targets import sort_key_of
from obswarm.units import counted, format_count, format_duration

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
    custom: Mapping[tuple[CustomKey, str], Difference] = field(default_factory=dict)
    """Changes of the load test's own metrics that both runs have, by series and statistic: sum per second of a counter,
    mean of a histogram, value of a gauge."""

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
    is_paired = _same_load(before[:common], after[:common])
    if is_paired:
        before, after = before[:common], after[:common]
    too_short = "" if common >= SHORTEST_S else _too_short(common)
    blocks = 0 if too_short else block_count(common)
    found: dict[EndpointKey, tuple[list[Change], str]] = {}
    for key in _keys(base, run):
        # Without a verdict only the values are shown, of one block.
        one, other = cut(_blocks(before, key), blocks or 1), cut(_blocks(after, key), blocks or 1)
        why = too_short or _too_few(sum(each.requests for each in one), sum(each.requests for each in other))
        has_intended = all(any(each.intended for each in blocks) for blocks in (one, other))
        measures = (*MEASURES, *INTENDED_MEASURES) if has_intended else MEASURES
        resamples = 0 if why else RESAMPLES
        found[key] = changes(one, other, paired=is_paired, measures=measures, resamples=resamples), why
    # The targets' metrics are not part of the multiple-testing correction.
    verdicts = iter(significant([change for each, why in found.values() for change in each if not why]))
    endpoints = {
        key: tuple(Difference(change, False if why else next(verdicts), why) for change in each)
        for key, (each, why) in found.items()
    }
    targets = _targets(base, run, before, after, blocks or 1)
    custom = custom_changes(base, run, before, after, blocks or 1)
    return Comparison(
        base=base.info,
        run=run.info,
        endpoints=endpoints,
        targets=_with_verdicts(targets, too_short),
        settings=tuple(_settings(base, run)),
        only={
            **{key: base.info.run_id for key in base.endpoints if key not in run.endpoints},
            **{key: run.info.run_id for key in run.endpoints if key not in base.endpoints},
        },
        incomparable=incomparable,
        seconds=common,
        blocks=blocks,
        is_paired=is_paired,
        custom=_with_verdicts(custom, too_short),
    )


Key = TypeVar("Key", MetricKey, tuple[CustomKey, str])


def _with_verdicts(found: Mapping[Key, Change], too_short: str) -> dict[Key, Difference]:
    verdicts = significant(list(found.values()))
    return {
        key: Difference(change, is_significant, too_short or ("" if change.change is not None else _NO_VALUES))
        for (key, change), is_significant in zip(found.items(), verdicts, strict=True)
    }


_AT_LEAST = f"at least {format_duration(SHORTEST_S)} are needed to tell a difference from chance"
_NO_VALUES = "one of the runs has too few values"


def _too_short(seconds: int) -> str:
    return f"both runs have {format_duration(seconds)}; {_AT_LEAST}"


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
        intended = 0 if stats.intended_duration is None else lanes_of(stats.intended_duration.buckets)
        lanes = lanes_of(stats.duration.buckets)
        found.append(Block(interval.interval_s, stats.requests, stats.failures, lanes, intended))
    return found


def _same_load(before: Sequence[Interval], after: Sequence[Interval]) -> bool:
    """Return whether both runs had nearly the same load at the same times."""
    same = 0
    for (users, rate), (others, other_rate) in zip(_loads(before), _loads(after), strict=True):
        same += abs(users - others) <= max(1, _USERS_TOLERANCE * max(users, others)) and (
            abs(rate - other_rate) <= _USERS_TOLERANCE * max(rate, other_rate)
        )
    return same >= (1 - _USERS_TOLERANCE) * len(before)


def _loads(intervals: Sequence[Interval]) -> list[tuple[int, float]]:
    """Return the load of each interval: users, and iterations per second that were to start. Users of the classes with
    a rate do not count: how many there are follows from how fast the target is."""
    with_rate = {name for interval in intervals for name in interval.rates_target}
    return [
        (
            sum(count for name, count in interval.users.items() if name not in with_rate),
            sum(interval.rates_target.values()),
        )
        for interval in intervals
    ]


def _incomparable(base: RunRecord, run: RunRecord, before: Sequence[Interval], after: Sequence[Interval]) -> list[str]:
    incomparable = []
    one, other = base.info, run.info
    if one.test != other.test:
        incomparable.append(f"The load tests differ ({one.test} and {other.test}).")
    loads, other_loads = _loads(before), _loads(after)
    users, others = (max((users for users, _ in each), default=0) for each in (loads, other_loads))
    if abs(users - others) > _LOAD_TOLERANCE * max(users, others):
        incomparable.append(f"The loads differ (peaks: {counted(users, 'user')} and {others:,}).")
    rate, other_rate = (max((rate for _, rate in each), default=0.0) for each in (loads, other_loads))
    if abs(rate - other_rate) > _LOAD_TOLERANCE * max(rate, other_rate):
        incomparable.append(
            f"The loads differ (peaks: {format_count(rate)} and {format_count(other_rate)} iterations/s)."
        )
    if abs(len(before) - len(after)) > _LOAD_TOLERANCE * max(len(before), len(after)):
        # In the format of the report and the list of runs.
        took, others_took = format_duration(one.duration_s), format_duration(other.duration_s)
        if took == others_took:
            took, others_took = (
                f"{took}, {format_duration(len(before))} of it measured",
                f"{others_took}, {format_duration(len(after))} of it measured",
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
        f"{record.info.run_id} has {format_duration(len(seconds))} of measurements"
        for record, seconds in ((base, before), (run, after))
        if len(seconds) < SHORTEST_S
    ]
    return [f"{' and '.join(short)}; {_AT_LEAST}."] if short else []


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


MEASURE_NAMES = tuple(measure.name.replace(" ", "_") for measure in (*MEASURES, *INTENDED_MEASURES))
