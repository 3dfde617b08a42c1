"""Two runs beside each other: what has changed, how sure that is, and whether they can be compared at all."""

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
from obswarm.stats import TOTAL, EndpointKey, EndpointStats
from obswarm.store import Interval, MetricKey, RunInfo, RunRecord, value_at
from obswarm.targets import place_of
from obswarm.units import counted, format_duration

_SAME_LOAD = 0.1
_SAME_USERS = 0.05
_FEWEST_REQUESTS = 100
_LEAST_OF_A_TARGET = 0.05
_LEAST_OF_A_SHARE = 0.01
_ENDED_BY_PLAN = ("time", "signal", "user")

FASTER, SLOWER, SAME = "faster", "slower", "no difference that this data can show"
INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True)
class Difference:
    """A change, and what it means: `verdict` is better or worse (faster or slower of a latency), or that nothing can be
    told from this data. `inconclusive` is the reason if the data allow no verdict, else empty."""

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
    """Two runs compared.

    `endpoints` begins with their total (TOTAL). `targets` are the targets' figures, `settings` (name, base, run) those
    that differ, `only` endpoints that only one of the runs has, `incomparable` the reasons why the two should not be
    compared. `seconds` is how much of each was compared, in that many `blocks`; 0 blocks are too few for any verdict.
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
        """Endpoints without a verdict, each with the reason."""
        found = ((key, differences[0].inconclusive) for key, differences in self.endpoints.items() if differences)
        return [(key, why) for key, why in found if why]


def compare_runs(base: RunRecord, run: RunRecord, force: bool = False) -> Comparison:
    """Raises ObswarmError when they cannot be compared, or should not be unless `force` says so."""
    before, after = _measured(base), _measured(run)
    incomparable = tuple(_incomparable(base, run, before, after))
    # With --force, these are the reasons why there is no verdict.
    reasons = [*incomparable, *_short(base, run, before, after)]
    if reasons and not force:
        raise ObswarmError(f"These runs cannot be compared: {' '.join(reasons)} Say --force to do it all the same.")
    common = min(len(before), len(after))
    is_paired = _same_users(before[:common], after[:common])
    if is_paired:
        before, after = before[:common], after[:common]
    too_short = "" if common >= SHORTEST_S else _too_short(common)
    blocks = 0 if too_short else block_count(common)
    found: dict[EndpointKey, tuple[list[Change], str]] = {}
    for key in _keys(base, run):
        # Without a verdict the values are shown, of one block.
        one, other = cut(_blocks(before, key), blocks or 1), cut(_blocks(after, key), blocks or 1)
        why = too_short or _too_few(sum(each.requests for each in one), sum(each.requests for each in other))
        found[key] = changes(one, other, paired=is_paired, resamples=0 if why else RESAMPLES), why
    # Those are none of the many among which chance has to be told from a change.
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
            figure: Difference(change, is_significant, too_short or ("" if change.change is not None else _NO_VALUES))
            for (figure, change), is_significant in zip(
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


_NO_VALUES = "one of the runs has too few values of it"


def _too_short(seconds: int) -> str:
    return f"{seconds} s are in both runs; {SHORTEST_S} s are the least to tell a difference from chance"


def _too_few(base: int, run: int) -> str:
    """Why so many requests say nothing; empty when they do."""
    if min(base, run) >= _FEWEST_REQUESTS:
        return ""
    return f"{base:,} and {run:,} requests; {_FEWEST_REQUESTS} of each run are the least"


def _measured(record: RunRecord) -> list[Interval]:
    """The seconds that count: since the statistics last began, until the run was stopped."""
    if not record.seconds:
        return []
    epoch = record.seconds[-1].epoch
    return [
        second
        for second in record.seconds
        if second.epoch == epoch and second.state not in ("ready", "stopping", "stopped")
    ]


def _keys(base: RunRecord, run: RunRecord) -> list[EndpointKey]:
    return [TOTAL, *sorted(base.endpoints.keys() & run.endpoints.keys())]


def _blocks(seconds: Sequence[Interval], key: EndpointKey) -> list[Block]:
    found = []
    for second in seconds:
        stats = second.total() if key == TOTAL else second.endpoints.get(key, EndpointStats(key))
        found.append(Block(second.interval_s, stats.requests, stats.failures, lanes_of(stats.duration.buckets)))
    return found


def _same_users(before: Sequence[Interval], after: Sequence[Interval]) -> bool:
    """Whether both had nearly the same users at the same time."""
    same = 0
    for one, other in zip(before, after, strict=True):
        users, others = sum(one.users.values()), sum(other.users.values())
        same += abs(users - others) <= max(1, _SAME_USERS * max(users, others))
    return same >= (1 - _SAME_USERS) * len(before)


def _incomparable(base: RunRecord, run: RunRecord, before: Sequence[Interval], after: Sequence[Interval]) -> list[str]:
    incomparable = []
    one, other = base.info, run.info
    if one.test != other.test:
        incomparable.append(f"They are of different load tests ({one.test} and {other.test}).")
    users, others = (max((sum(second.users.values()) for second in seconds), default=0) for seconds in (before, after))
    if abs(users - others) > _SAME_LOAD * max(users, others):
        incomparable.append(f"They had different loads (at most {counted(users, 'user')} and {others:,}).")
    if abs(len(before) - len(after)) > _SAME_LOAD * max(len(before), len(after)):
        # As the report and the list of runs have it.
        took, others_took = format_duration(one.duration_s), format_duration(other.duration_s)
        if took == others_took:
            took, others_took = (
                f"{took}, {len(before)} s of it measured",
                f"{others_took}, {len(after)} s of it measured",
            )
        incomparable.append(f"They took different times ({took} and {others_took}).")
    for record, seconds in ((base, before), (run, after)):
        if not any(second.endpoints for second in seconds):
            incomparable.append(f"{record.info.run_id} has made no requests.")
        if any(worker.saturated for second in seconds for worker in second.workers.values()):
            incomparable.append(
                f"In {record.info.run_id} the load generator was the bottleneck, so its latencies are its own."
            )
    return incomparable


def _short(base: RunRecord, run: RunRecord, before: Sequence[Interval], after: Sequence[Interval]) -> list[str]:
    """Which of them are too short, in one sentence."""
    short = [
        f"{record.info.run_id} has measured for {len(seconds)} s"
        for record, seconds in ((base, before), (run, after))
        if len(seconds) < SHORTEST_S
    ]
    least = f"{SHORTEST_S} s are the least that a difference can be told from chance with."
    return [f"{' and '.join(short)}; {least}"] if short else []


def figure_place(figure: MetricKey) -> tuple[int, str, int]:
    """Sorts figures of targets: in the order of the request's way, those of a target together."""
    kind, number = place_of(figure.kind, figure.name)
    return kind, figure.target, number


def _targets(
    base: RunRecord, run: RunRecord, before: Sequence[Interval], after: Sequence[Interval], blocks: int
) -> dict[MetricKey, Change]:
    found = {}
    for figure in sorted(base.samples.keys() & run.samples.keys(), key=figure_place):
        means = [
            _means([value_at(samples, second.time_s) for second in seconds], blocks)
            for samples, seconds in ((base.samples[figure], before), (run.samples[figure], after))
        ]
        name = f"{figure.target}: {figure.name}"
        change = mean_change(name, means[0], means[1], least=_LEAST_OF_A_TARGET)
        if figure.unit == "ratio" and abs((change.run or 0) - (change.base or 0)) < _LEAST_OF_A_SHARE:
            # Many times as much of next to nothing is nothing.
            change = replace(change, p=1.0)
        found[figure] = change
    return found


def _means(values: Sequence[float], blocks: int) -> list[float]:
    """Of each block that has a value."""
    found = []
    for begin, end in spans(len(values), blocks):
        there = [value for value in values[begin:end] if math.isfinite(value)]
        if there:
            found.append(sum(there) / len(there))
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
    """For other programs. Changes are relative but for the error ratio, whose are differences."""
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
            {"target": figure.target, "kind": figure.kind, "figure": figure.name, "unit": figure.unit}
            | _difference(difference)
            for figure, difference in found.targets.items()
        ],
        "settings": [{"name": name, "base": one, "run": other} for name, one, other in found.settings],
    }


def _difference(difference: Difference) -> dict[str, Any]:
    change = difference.change
    numbers = {"base": change.base, "run": change.run, "change": change.change, "low": change.low, "high": change.high}
    return {
        **{name: None if value is None else round(value, 6) for name, value in numbers.items()},
        "verdict": difference.verdict,
    }


MEASURE_NAMES = tuple(measure.name.replace(" ", "_") for measure in MEASURES)
