"""WorkerState: the state of a worker at its master. Each of its deltas is merged exactly once. No I/O."""

import math
import sys
from dataclasses import dataclass, field

from obswarm.cluster.master.balancer import Rates, Users, WorkerLoad
from obswarm.cluster.wire.bounds import most_requests
from obswarm.cluster.wire.messages import Hello, Ready, Report, Retransmit
from obswarm.record import GeneratorHealth, WorkerStatus
from obswarm.stats.codec import MOST_PROCESSES, NOTHING, Columns, DeltaSum, OutOfBounds, unpack_columns

_UNASKED = 64
"""Allowed deltas without a heartbeat: from before this master knew the worker, and a few at its end."""


@dataclass(slots=True)
class WorkerState:
    """A worker that has registered. Times are of the monotonic clock.

    `merged` is the sequence number of its last delta in the statistics, `acked` of the last one that the worker may
    discard. `assigned` are the users that were assigned to it, `users` those that it last reported.
    """

    incarnation: str
    name: str
    index: int
    processes: int
    peer: bytes
    capacity: float
    cpus: float
    nodes: tuple[str, ...]
    state: WorkerStatus = WorkerStatus.READY
    acked: int = 0
    merged: int = 0
    last_sequence: int = 0
    heard_s: float = 0.0
    stats_s: float = 0.0
    cut_off_s: float | None = None
    """Time at which its connection was noticed to be closed; None while it is connected."""
    assigned: Users = field(default_factory=dict)
    assigned_rates: Rates = field(default_factory=dict)
    assigned_limits: Users = field(default_factory=dict)
    assigned_ends: Rates = field(default_factory=dict)
    released: dict[str, tuple[float, float]] = field(default_factory=dict)
    """The last rates that were taken from it, by class, each with the time at which others took it over or it ended."""
    assign_number: int = 0
    rate: float = 0.0
    """Its assigned spawn rate, in users per second."""
    users: Users = field(default_factory=dict)
    settled: int = 0
    heartbeat: int = 0
    ended: bool = False
    in_flight: Columns = NOTHING
    health: GeneratorHealth | None = None
    worst: tuple[float, float] | None = None
    """Maximum of the reported CPU usage (1.0 is one core) and event loop lag (seconds) in the current interval."""
    max_cpu_ratio: float = 0.0
    max_loop_lag_s: float = 0.0
    """Maximum in the run, as is `max_cpu_ratio`."""
    was_saturated: bool = False
    strained_s: int = 0
    messages: int = 0
    lost: int = 0
    requests: int = 0
    """Number of requests reported since `known_s`."""
    deltas: int = 0
    """Number of deltas sent since the heartbeat `first_heartbeat`."""
    first_heartbeat: int = 0
    known_s: float = 0.0
    """Time at which it registered with this master."""
    refused: str = ""
    """Reason for which it was refused; empty if it was not."""

    def ready(self, peer: bytes, ready: Ready, now: float) -> None:
        """Note that it has registered, for the first time or over a new connection."""
        self.peer = peer
        self.capacity, self.cpus, self.nodes = ready.capacity, ready.cpus, ready.nodes
        if self.is_over or self.state is WorkerStatus.MISSING:
            self.state = WorkerStatus.READY
        self.heard_s = now
        self.cut_off_s = None
        self.users = ready.users
        # It gets a new assignment in any case; users that it has lost are assigned again.
        self.unassign(now)
        self.assign_number = 0

    def unassign(self, now: float) -> None:
        """Remove its users and rates, until the next assignment."""
        if self.assigned_rates:
            ends = {name: min(now, self.assigned_ends.get(name, now)) for name in self.assigned_rates}
            self.released = {name: (rate, ends[name]) for name, rate in self.assigned_rates.items()}
        self.assigned, self.assigned_rates, self.assigned_limits, self.assigned_ends = {}, {}, {}, {}

    def take_delta(self, sequence: int, delta: bytes, into: DeltaSum, now: float) -> None:
        """Merge a delta if it is the next one. Repeated ones are ignored; so is one after a gap, since the worker
        retransmits it with the missing one. Raises Malformed."""
        if sequence != self.merged + 1:
            return
        possible = most_requests(self.processes, max(0.0, now - self.known_s)) - self.requests
        self.requests += into.add(delta, possible)
        self.merged = sequence
        self.deltas += 1
        self.messages += 1
        self.stats_s = now

    def take_report(
        self, report: Report | Retransmit, into: DeltaSum, now: float, max_endpoints: int = sys.maxsize
    ) -> None:
        """Take over a report. Raises Malformed for invalid or impossible statistics, without merging them."""
        self.heard_s = now
        in_flight = unpack_columns(report.in_flight, max_endpoints) if isinstance(report, Report) else NOTHING
        if report.sequence:
            self.take_delta(report.sequence, report.delta, into, now)
        if isinstance(report, Retransmit):
            return
        if not report.sequence and report.last_sequence <= self.merged:
            # No requests since the last report: its statistics are complete as well.
            self.stats_s = now
        self.last_sequence = max(self.last_sequence, report.last_sequence)
        self.heartbeat = report.heartbeat
        self.users = report.users
        self.settled = report.settled
        self.strained_s = report.strained_s
        self.ended = report.ended
        self.in_flight = in_flight
        self.health = GeneratorHealth(
            self.name,
            sum(report.users.values()),
            report.cpu_ratio,
            report.loop_lag_s,
            report.memory_bytes,
            report.saturated,
        )
        cpu_ratio, loop_lag_s = self.worst or (0.0, 0.0)
        self.worst = max(cpu_ratio, report.cpu_ratio), max(loop_lag_s, report.loop_lag_s)
        self.max_cpu_ratio = max(self.max_cpu_ratio, report.cpu_ratio)
        self.max_loop_lag_s = max(self.max_loop_lag_s, report.loop_lag_s)
        self.was_saturated = self.was_saturated or report.saturated

    def unreported_iterations(self) -> dict[str, int]:
        """Return about how many iterations by class were its share since its last report, until others took over."""
        found = {name: round(rate * (until_s - self.stats_s)) for name, (rate, until_s) in self.released.items()}
        return {name: number for name, number in found.items() if number > 0}

    @property
    def strain(self) -> tuple[float, float]:
        """Maximum CPU usage and event loop lag (seconds) of the current interval, or the last ones that are known."""
        if self.worst is not None:
            return self.worst
        return (self.health.cpu_ratio, self.health.loop_lag_s) if self.health is not None else (0.0, 0.0)

    def check_pace(self, heartbeat_number: int) -> None:
        """Raise OutOfBounds if it has sent more deltas than heartbeats have requested."""
        if self.deltas > heartbeat_number - self.first_heartbeat + _UNASKED:
            raise OutOfBounds("it sends statistics more often than they are requested")

    @property
    def is_present(self) -> bool:
        """Whether it is connected: ready for users, or leaving."""
        return self.state in (WorkerStatus.READY, WorkerStatus.LEAVING)

    @property
    def is_over(self) -> bool:
        """Whether it has ended: lost or gone."""
        return self.state in (WorkerStatus.LOST, WorkerStatus.GONE)

    @property
    def complete(self) -> bool:
        """Whether its users have ended and all of its statistics are merged."""
        return self.ended and self.merged >= self.last_sequence

    @property
    def load(self) -> WorkerLoad:
        """Its load; `cpu_ratio` is relative to the CPU time that each of its processes may use."""
        share = min(1.0, self.cpus / self.processes) or 1.0
        return WorkerLoad(self.health.cpu_ratio / share if self.health else 0.0, self.strained_s)

    def most_users(self, now: float) -> int:
        """Maximum number of users that it may have now: the reported ones, and those it may have started since."""
        users, assigned = sum(self.users.values()), sum(self.assigned.values())
        return max(users, min(assigned, users + math.ceil((now - self.stats_s) * self.rate)))

    def view(self, now: float) -> GeneratorHealth | None:
        """Return its state for snapshots; None before the first report."""
        health = self.health
        if health is None:
            if not (self.lost or self.was_saturated):
                return None
            health = GeneratorHealth(self.name, 0, 0.0, 0.0, 0, False)
        gone = self.is_over or self.state is WorkerStatus.MISSING
        cpu_ratio, loop_lag_s = (0.0, 0.0) if gone else self.strain
        return GeneratorHealth(
            self.name,
            0 if gone else health.users,
            cpu_ratio,
            loop_lag_s,
            health.memory_bytes,
            self.was_saturated,
            self.state,
            self.capacity,
            self.messages,
            self.lost,
            max(0.0, now - self.stats_s),
            self.max_cpu_ratio,
            self.max_loop_lag_s,
        )


def new_worker_state(hello: Hello, index: int, heartbeat_number: int, now: float) -> WorkerState:
    """Return the state of a worker that is registering. `heartbeat_number` is the number of the last heartbeat."""
    processes = max(1, min(hello.processes, MOST_PROCESSES))
    return WorkerState(
        hello.incarnation,
        hello.name,
        index,
        processes,
        peer=b"",
        capacity=0.0,
        cpus=0.0,
        nodes=(),
        stats_s=now,
        known_s=now,
        first_heartbeat=heartbeat_number,
    )
