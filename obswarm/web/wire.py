"""Snapshots and results of a run as MessagePack, for clients of a master service.

A snapshot is [its plain fields, workers, guards, alerts, refused alerts, statistics since the start, statistics of the
interval, requests in flight]; statistics and requests in flight are packed as workers send them (obswarm.stats.codec).
"""

import sys
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

import msgpack

from obswarm.api import ObswarmError
from obswarm.bounded_msgpack import unpack
from obswarm.engine import FailedOutput, RunResult, StopReason, WorkerLoss
from obswarm.record import (
    AlertCount,
    AlertStatus,
    Annotation,
    GeneratorHealth,
    GuardState,
    GuardView,
    RefusedAlerts,
    RunState,
    Snapshot,
    StopKind,
    TargetView,
    WorkerStatus,
    statistics_of,
)
from obswarm.stats import CustomKey, CustomStats, EndpointKey, EndpointStats, ErrorKinds, StatsTable
from obswarm.stats.codec import DeltaSum, pack_in_flight, pack_table, unpack_in_flight

_PLAIN = tuple(
    each.name
    for each in fields(Snapshot)
    if each.name not in statistics_of(StatsTable())
    and each.name
    not in (
        "interval",
        "interval_total",
        "interval_custom",
        "in_flight",
        "workers",
        "guards",
        "alerts",
        "refused_alerts",
    )
)
"""Fields of a snapshot that are sent as they are: all but those that have a form of their own below."""

_RESULT = tuple(
    each.name
    for each in fields(RunResult)
    if each.name
    not in (
        *("run_id", "stop_reason", "error", "losses", "failed_outputs", "annotations", "targets", "final"),
        "in_flight_peaks",
    )
)
"""The same of a result; its run's id is that of the snapshot."""

_PACKER = "master"
"""The process named as the cause if statistics cannot be packed and are lost."""
_MOST_ITEMS = 1_000_000
"""Maximum number of items, not counting statistics, which are packed separately."""


class NotReadable(ValueError):
    """The content was not packed by this version."""


def pack_message(content: Any) -> bytes:
    """Pack a message; invalid Unicode is escaped."""
    packed: bytes = msgpack.packb(content, unicode_errors="backslashreplace")
    return packed


def pack_snapshot(snapshot: Snapshot) -> bytes:
    return pack_message(
        [
            [_plain(getattr(snapshot, name)) for name in _PLAIN],
            [_values(worker) for worker in snapshot.workers],
            [_values(guard) for guard in snapshot.guards],
            [_values(alert) for alert in snapshot.alerts],
            [_values(refused) for refused in snapshot.refused_alerts],
            pack_table(_table(snapshot), _PACKER),
            pack_table(_with_endpoints(snapshot.interval, snapshot.interval_custom), _PACKER),
            pack_in_flight(snapshot.in_flight),
        ]
    )


def unpack_snapshot(packed: bytes) -> Snapshot:
    """Unpack a snapshot. Raises NotReadable."""
    return _unpack_snapshot(packed)[0]


def _unpack_snapshot(packed: bytes) -> tuple[Snapshot, StatsTable]:
    """Unpack a snapshot; returns it and the table of its statistics."""
    try:
        parts = unpack(packed, _MOST_ITEMS)
        plain, workers, guards, alerts, refused, whole, interval, in_flight = parts
        table, last = _unpacked(whole), _unpacked(interval)
        values = dict(zip(_PLAIN, plain, strict=True))
        values["state"] = RunState(values["state"])
        snapshot = Snapshot(
            **values,
            **statistics_of(table),
            interval=last.endpoints,
            interval_total=last.total(),
            interval_custom=last.custom,
            in_flight=unpack_in_flight(in_flight),
            workers=tuple(_worker(each) for each in workers),
            guards=tuple(_guard(each) for each in guards),
            alerts=tuple(AlertCount(name, AlertStatus(status), *more) for name, status, *more in alerts),
            refused_alerts=tuple(RefusedAlerts(*each) for each in refused),
        )
        return snapshot, table
    except (ValueError, TypeError, IndexError) as error:
        raise NotReadable(f"it is not a snapshot of this version ({type(error).__name__})") from None


def pack_result(result: RunResult) -> bytes:
    return pack_message(
        [
            [getattr(result, name) for name in _RESULT],
            [result.stop_reason.kind, result.stop_reason.detail],
            str(result.error) if result.error is not None else None,
            [_values(loss) for loss in result.losses],
            [_values(failed) for failed in result.failed_outputs],
            [_values(annotation) for annotation in result.annotations],
            [_values(target) for target in result.targets],
            pack_snapshot(result.final),
            pack_in_flight(result.in_flight_peaks),
        ]
    )


def unpack_result(packed: bytes) -> RunResult:
    """Unpack a result. Raises NotReadable."""
    try:
        plain, (kind, detail), error, losses, failed, annotations, targets, final, peaks = msgpack.unpackb(
            packed, raw=False
        )
        snapshot, table = _unpack_snapshot(final)
        unsent = [WorkerLoss(name, why, 0.0, 0, requests) for (name, why), requests in table.lost.items()]
        return RunResult(
            run_id=snapshot.run_id,
            **dict(zip(_RESULT, plain, strict=True)),
            stop_reason=StopReason(StopKind(kind), detail),
            error=ObswarmError(error) if error is not None else None,
            final=snapshot,
            losses=(*(WorkerLoss(*each) for each in losses), *unsent),
            failed_outputs=tuple(FailedOutput(*each) for each in failed),
            annotations=tuple(Annotation(*each) for each in annotations),
            targets=tuple(TargetView(*each) for each in targets),
            in_flight_peaks=unpack_in_flight(peaks),
        )
    except NotReadable:
        raise
    except (ValueError, TypeError, IndexError) as wrong:
        raise NotReadable(f"it is not a result of this version ({type(wrong).__name__})") from None


def _plain(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else value


def _values(item: Any) -> list[Any]:
    """Return the values of a dataclass's fields, in order."""
    return [getattr(item, field.name) for field in fields(item)]


def _worker(values: list[Any]) -> GeneratorHealth:
    worker = GeneratorHealth(*values)
    return replace(worker, state=WorkerStatus(worker.state))


def _guard(values: list[Any]) -> GuardView:
    guard = GuardView(*values)
    return replace(
        guard,
        state=GuardState(guard.state),
        trips=tuple((action, count) for action, count in guard.trips),
        extremes=tuple((value, shown) for value, shown in guard.extremes),
    )


def _with_endpoints(
    endpoints: Mapping[EndpointKey, EndpointStats], custom: Mapping[CustomKey, CustomStats]
) -> StatsTable:
    table = StatsTable(sys.maxsize)
    table.endpoints = dict(endpoints)
    table.custom.update(custom)
    return table


def _table(snapshot: Snapshot) -> StatsTable:
    table = _with_endpoints(snapshot.endpoints, snapshot.custom)
    table.errors = ErrorKinds(snapshot.errors)
    table.exceptions = dict(snapshot.exceptions)
    table.cut_off = dict(snapshot.cut_off)
    table.iterations = dict(snapshot.iterations)
    table.dropped = dict(snapshot.dropped)
    return table


def _unpacked(delta: bytes) -> StatsTable:
    summed = DeltaSum()
    summed.add(delta)
    return summed.take(sys.maxsize)
