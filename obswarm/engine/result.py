"""How a run ended: what every output is given at the end, and what decides the exit code."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field

from obswarm import clock
from obswarm.api import ObswarmError
from obswarm.engine.control import StopReason
from obswarm.record import Annotation, Snapshot, TargetView
from obswarm.stats import NO_RESPONSE, EndpointKey, InFlight
from obswarm.units import counted


def new_run_id(wall_s: float) -> str:
    """A name that sorts by start: date and time in UTC, and four random characters."""
    stamp = clock.iso(wall_s)[:19].replace("-", "").replace(":", "").replace("T", "-")
    return f"{stamp}-{secrets.token_hex(2)}"


@dataclass(frozen=True, slots=True)
class WorkerLoss:
    """What is missing in the statistics. Of a worker that went away without its last ones, what it measured in the last
    `unreported_s` seconds with its `users` users; of one whose statistics could not be sent or read, that many
    `requests`, None where they are not known."""

    worker: str
    detail: str
    unreported_s: float
    users: int
    requests: int | None = None

    def __str__(self) -> str:
        """For people."""
        if self.requests is not None:
            verb = "is" if self.requests == 1 else "are"
            return f"{self.worker} ({self.detail}). {counted(self.requests, 'request')} {verb} in no figure."
        users = f" of its {counted(self.users, 'user')}" if self.users else ""
        return f"{self.worker} ({self.detail}). At most the last {self.unreported_s:.1f} s{users} are in no figure."


@dataclass(frozen=True, slots=True)
class FailedOutput:
    """An output that is missing or incomplete: its name as people know it (`--csv shop`), and why. `required` says
    whether the result is incomplete without it."""

    output: str
    reason: str
    required: bool = True


@dataclass(frozen=True, slots=True)
class RunResult:
    """How a run ended. `final` is its last snapshot; times are wall time, `duration_s` the time of the statistics."""

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
    """Attempts to join with a wrong secret, or none."""
    dropped_frames: int = 0
    """What came to a master and was no message of a worker."""
    failed_outputs: tuple[FailedOutput, ...] = ()
    in_flight_peaks: Mapping[EndpointKey, InFlight] = field(default_factory=dict)
    """The most that was under way, as of InFlightPeaks; of all endpoints together under TOTAL."""
    targets: tuple[TargetView, ...] = ()

    @property
    def requests_made(self) -> int:
        """Those that have finished, were cut off, or are still under way."""
        final = self.final
        return final.total.requests + final.interrupted + sum(each.count for each in final.in_flight.values())

    @property
    def was_never_answered(self) -> bool:
        """Whether requests were made, and not one of them was answered: each ended without an answer (whatever the load
        test called that), was cut off, or is still under way. What of it depends on a target then says nothing."""
        total = self.final.total
        without = total.failures_by.get(NO_RESPONSE, 0) + total.successes.get(NO_RESPONSE, 0)
        return self.requests_made > 0 and total.requests == without
