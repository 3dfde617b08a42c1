"""The result of a run, for outputs and the exit code."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from obswarm import clock
from obswarm.api import ObswarmError
from obswarm.engine.control import StopReason
from obswarm.record import Annotation, Snapshot, TargetView
from obswarm.stats import NO_RESPONSE, EndpointKey, InFlight
from obswarm.units import counted, format_tenths


def new_run_id(wall_s: float) -> str:
    """Return a run id that sorts by start: date and time in UTC, and four random characters."""
    stamp = clock.iso(wall_s)[:19].replace("-", "").replace(":", "").replace("T", "-")
    return f"{stamp}-{secrets.token_hex(2)}"


@dataclass(frozen=True, slots=True)
class WorkerLoss:
    """Statistics of a worker that are missing: up to the last `unreported_s` seconds of its `users`, if the worker was
    lost; or that number of `requests`, if its statistics could not be sent or read (None for a lost worker)."""

    worker: str
    detail: str
    unreported_s: float
    users: int
    requests: int | None = None

    def __str__(self) -> str:
        """Return a sentence for the user."""
        if self.requests is not None:
            verb = "is" if self.requests == 1 else "are"
            return (
                f"{self.worker} ({self.detail}). {counted(self.requests, 'request')} {verb} missing in the statistics."
            )
        users = f" of its {counted(self.users, 'user')}" if self.users else ""
        return (
            f"{self.worker} ({self.detail}). Up to {format_tenths(self.unreported_s)} of statistics{users} are missing."
        )


@dataclass(frozen=True, slots=True)
class FailedOutput:
    """An output that is missing or incomplete: its name for messages (`--csv shop`), and the reason. `required`: the
    result is incomplete without it."""

    output: str
    reason: str
    required: bool = True


@dataclass(frozen=True, slots=True)
class RunResult:
    """The result of a run. `final` is its last snapshot; times are wall time, `duration_s` the time of the
    statistics."""

    run_id: str
    started_s: float
    ended_s: float
    duration_s: float
    stop_reason: StopReason
    error: ObswarmError | None
    users_max: int
    final: Snapshot
    saturated: bool
    max_loop_lag_s: float
    max_cpu_ratio: float
    forced: bool
    losses: tuple[WorkerLoss, ...] = ()
    annotations: tuple[Annotation, ...] = ()
    refused_handshakes: int = 0
    """Connections of workers with a wrong secret, or none."""
    dropped_frames: int = 0
    """Invalid messages that a master has received."""
    failed_outputs: tuple[FailedOutput, ...] = ()
    in_flight_peaks: Mapping[EndpointKey, InFlight] = field(default_factory=dict)
    """The maximum of requests in flight (see InFlightPeaks) by endpoint, and of all endpoints together under TOTAL."""
    targets: tuple[TargetView, ...] = ()
    explanation: str = ""
    """What saturated first, as a sentence; empty if the run did not break, or if that is not known."""
    feeds: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """Numbers of rows by name of the feed: `rows` in it, `handed_out` and `unused` ones."""
    limit: Mapping[str, Any] = field(default_factory=dict)
    """Result of a search for the limit, as in JSON; empty for other runs."""

    @property
    def requests_made(self) -> int:
        """Number of requests that have finished, were interrupted, or are still in flight."""
        final = self.final
        return final.total.requests + final.interrupted + sum(each.count for each in final.in_flight.values())

    @property
    def was_never_answered(self) -> bool:
        """Whether requests were made, but none got a response: all ended without one (even if the load test marked them
        as successful), were interrupted, or are still in flight. Such a result has no measurements of the target."""
        total = self.final.total
        without = total.failures_by.get(NO_RESPONSE, 0) + total.successes.get(NO_RESPONSE, 0)
        return self.requests_made > 0 and total.requests == without
