"""What a master knows of one worker, and the rule by which each of its deltas counts exactly once. No I/O."""

import math
import sys
from dataclasses import dataclass, field

from obswarm.cluster.master.balancer import Rates, Users, WorkerLoad
from obswarm.cluster.wire.bounds import most_requests
from obswarm.cluster.wire.messages import Hello, Ready, Report, Retransmit
from obswarm.record import GeneratorHealth, WorkerStatus
from obswarm.stats.codec import MOST_PROCESSES, NOTHING, Columns, DeltaSum, OutOfBounds, unpack_columns

_UNASKED = 64
"""Deltas without a pulse: those of the time before this master has met a worker, and a few at its end."""


@dataclass(slots=True)
class WorkerState:
    """A worker that has been ready once. Times are of the monotonic clock.

    `merged` is the number of its last delta that was added up, `acked` of the last one that is safe to be forgotten by
    the worker. `assigned` are the users that it was told to have, `users` those that it said that it has.
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
    """Since when its connection is known to be closed."""
    assigned: Users = field(default_factory=dict)
    assigned_rates: Rates = field(default_factory=dict)
    assign_number: int = 0
    rate: float = 0.0
    """Users per second that it was told to keep to."""
    users: Users = field(default_factory=dict)
    settled: int = 0
    pulse: int = 0
    ended: bool = False
    in_flight: Columns = NOTHING
    health: GeneratorHealth | None = None
    worst: tuple[float, float] | None = None
    """The highest CPU ratio and loop lag (seconds) that it has reported in the present interval."""
    max_cpu_ratio: float = 0.0
    max_loop_lag_s: float = 0.0
    """The same of the run."""
    was_saturated: bool = False
    strained_s: int = 0
    messages: int = 0
    lost: int = 0
    requests: int = 0
    """That it has reported since `known_s`."""
    deltas: int = 0
    """That it has sent since the pulse `first_pulse`."""
    first_pulse: int = 0
    known_s: float = 0.0
    """Since when this master has known it."""
    refused: str = ""
    """Why nothing of it counts any more."""

    def ready(self, peer: bytes, ready: Ready, now: float) -> None:
        """It has joined, or joined again over another connection."""
        self.peer = peer
        self.capacity, self.cpus, self.nodes = ready.capacity, ready.cpus, ready.nodes
        if self.is_over or self.state is WorkerStatus.MISSING:
            self.state = WorkerStatus.READY
        self.heard_s = now
        self.cut_off_s = None
        self.users = ready.users
        # It is told what to have whatever it has, and users that it has not any more are given out anew.
        self.unassign()
        self.assign_number = 0

    def unassign(self) -> None:
        """Take its part of the load from it, until the next assignment."""
        self.assigned, self.assigned_rates = {}, {}

    def take_delta(self, sequence: int, delta: bytes, into: DeltaSum, now: float) -> None:
        """Count a delta if it is the next one. One that came before is not counted again; one that comes too early,
        since another was lost on the way, will be sent again. Raises Malformed."""
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
        """Raises Malformed for statistics that cannot be read or cannot be so; nothing of them counts then."""
        self.heard_s = now
        in_flight = unpack_columns(report.in_flight, max_endpoints) if isinstance(report, Report) else NOTHING
        if report.sequence:
            self.take_delta(report.sequence, report.delta, into, now)
        if isinstance(report, Retransmit):
            return
        if not report.sequence and report.last_sequence <= self.merged:
            # Nothing happened there, which is news, too.
            self.stats_s = now
        self.last_sequence = max(self.last_sequence, report.last_sequence)
        self.pulse = report.pulse
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

    @property
    def strain(self) -> tuple[float, float]:
        """CPU ratio and loop lag (seconds), the worst of the present interval, or the last ones that are known."""
        if self.worst is not None:
            return self.worst
        return (self.health.cpu_ratio, self.health.loop_lag_s) if self.health is not None else (0.0, 0.0)

    def check_pace(self, pulse_number: int) -> None:
        """Raises OutOfBounds when it has sent more deltas than pulses have asked for."""
        if self.deltas > pulse_number - self.first_pulse + _UNASKED:
            raise OutOfBounds("it sends statistics more often than it is asked for them")

    @property
    def is_present(self) -> bool:
        """Whether it is heard from: ready for users, or about to leave."""
        return self.state in (WorkerStatus.READY, WorkerStatus.LEAVING)

    @property
    def is_over(self) -> bool:
        """Whether it will not be heard of again."""
        return self.state in (WorkerStatus.LOST, WorkerStatus.GONE)

    @property
    def complete(self) -> bool:
        """Whether it has ended its users and everything that it measured has been added up."""
        return self.ended and self.merged >= self.last_sequence

    @property
    def load(self) -> WorkerLoad:
        """`cpu_ratio` as a share of what each of its processes may use."""
        share = min(1.0, self.cpus / self.processes) or 1.0
        return WorkerLoad(self.health.cpu_ratio / share if self.health else 0.0, self.strained_s)

    def most_users(self, now: float) -> int:
        """Those that it has told, and those that it may have started since."""
        users, assigned = sum(self.users.values()), sum(self.assigned.values())
        return max(users, min(assigned, users + math.ceil((now - self.stats_s) * self.rate)))

    def view(self, now: float) -> GeneratorHealth | None:
        """For snapshots; None before the first report."""
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


def new_worker_state(hello: Hello, index: int, pulse_number: int, now: float) -> WorkerState:
    """A worker that has said hello and is about to be ready. `pulse_number` is that of the last pulse before."""
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
        first_pulse=pulse_number,
    )
