"""The messages between a master and its workers: one frozen dataclass each, encoded as a MessagePack array.

A frame is [number of the message's type, field, field, …]. The first field of Hello is the protocol version in every
version, so that a master can tell a worker which versions do not match. A frame with an unknown type, or with other
fields than those of its type, is not decoded.
"""

import math
import typing
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from operator import attrgetter
from typing import Any, Final

import msgpack

from obswarm.bounded_msgpack import Unreadable, unpack

PROTOCOL_VERSION: Final = 9
LARGEST_FRAME_BYTES = 64 * 1024 * 1024
MAX_DELTA_BYTES = LARGEST_FRAME_BYTES - 16 * 1024 * 1024
"""A Report also contains users and requests in flight."""
LARGEST_JOINING_FRAME_BYTES = 256 * 1024
"""Limit for peers that are not registered. The longest message is Ready of a machine with thousands of processes."""

_LONGEST_TEXT = 100_000
_MOST_ITEMS = 20_000
"""Limit for one message. Statistics and messages of the load test, which may have more, are fields of type bytes."""


class NotAMessage(ValueError):
    """The frame is not a valid message. `version` is the protocol version of a Hello of another version."""

    def __init__(self, reason: str, version: int | None = None) -> None:
        super().__init__(reason)
        self.version = version


@dataclass(frozen=True, slots=True)
class Hello:
    """Worker: registers, for the first time or again. The incarnation identifies a process; its deltas are numbered
    from 1."""

    version: int
    release: str
    incarnation: str
    name: str
    processes: int
    file_hash: str
    """SHA-256 of the load-test file that the worker was started with; empty if it has none."""
    run_id: str
    """The run that the worker takes part in; empty before its first run."""


@dataclass(frozen=True, slots=True)
class Welcome:
    """Master: the run's specification. `acked` is the last delta of this incarnation that the master has."""

    nonce: str
    release: str
    run_id: str
    acked: int
    orphan_timeout_s: float
    bundle_hash: str
    """Hash of the bundle to request; empty if the worker reads the files at the paths of the job."""
    job: bytes


@dataclass(frozen=True, slots=True)
class Wait:
    """Master: there is no run now; wait for one."""


@dataclass(frozen=True, slots=True)
class Refused:
    """Master: the worker is refused, and why. The worker exits."""

    reason: str


@dataclass(frozen=True, slots=True)
class BundleRequest:
    """Worker: requests the bundle."""

    bundle_hash: str


@dataclass(frozen=True, slots=True)
class Bundle:
    """Master: the load test's files."""

    bundle_hash: str
    packed: bytes


@dataclass(frozen=True, slots=True)
class Ready:
    """Worker: the load test is loaded. `capacity` is in requests per second (0: unknown); `users` are its running
    users by class."""

    nonce: str
    capacity: float
    cpus: float
    """CPUs that its processes may use, at most one each."""
    users: dict[str, int]
    nodes: tuple[str, ...]
    """Names of its processes with users."""
    acked: int = 0
    """Its last delta that a master has acknowledged; the worker no longer has it and those before."""


@dataclass(frozen=True, slots=True)
class Failed:
    """Worker: it cannot run this load test, and why."""

    nonce: str
    reason: str


@dataclass(frozen=True, slots=True)
class Reregister:
    """Master: the worker is unknown; send Hello again."""


@dataclass(frozen=True, slots=True)
class Admitted:
    """Master: the worker is registered. `index` is that of its first process."""

    index: int


@dataclass(frozen=True, slots=True)
class StartRun:
    """Master: the run starts. With `with_statistics`, reports to its listeners contain the statistics."""

    run_id: str
    with_statistics: bool = False


@dataclass(frozen=True, slots=True)
class Assign:
    """Master: an assignment: the number of users by class, of which at most `spawn_rate` are started per second; of
    other classes the rate at which users run iterations."""

    number: int
    users: dict[str, int]
    spawn_rate: float
    rates: dict[str, float] = field(default_factory=dict)
    """Iterations per second by class."""
    max_users: dict[str, int] = field(default_factory=dict)
    """Maximum number of users for these iterations, by class."""
    lasts_s: dict[str, float] = field(default_factory=dict)
    """Seconds from now on, by class, after which no iteration is due; a class without has no known end."""
    late_s: dict[str, float] = field(default_factory=dict)
    """Seconds by which the first rate of a class is assigned late."""
    evenly: tuple[str, ...] = ()
    """Classes whose rate a relay divides among its processes in equal parts."""


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """Master: sent once a second. Acknowledges the deltas up to `acked`; with `collect`, asks for a Report."""

    number: int
    acked: int
    collect: bool


@dataclass(frozen=True, slots=True)
class Report:
    """Worker: response to a heartbeat. `delta` is a table encoded by obswarm.stats.codec with the sequence number
    `sequence`; 0 if there is none."""

    heartbeat: int
    sequence: int
    delta: bytes
    users: dict[str, int]
    settled: int
    """Number of the last Assign that has been carried out completely."""
    cpu_ratio: float
    """CPU usage of its busiest process; 1.0 is one core."""
    loop_lag_s: float
    memory_bytes: int
    saturated: bool
    strained_s: int
    """Consecutive intervals in which it was over a limit."""
    last_sequence: int
    """Sequence number of its newest delta, whether it is in this report or not."""
    ended: bool
    """All users have ended after a Stop; `last_sequence` is the last delta of the run."""
    in_flight: bytes = b""
    """The requests in flight, encoded by obswarm.stats.codec.in_flight."""
    user_steps: bytes = b""
    """Changes in its number of users since the last report, encoded by obswarm.cluster.wire.user_steps."""
    losses: bytes = b""
    """Processes of this worker that were lost or refused, encoded by obswarm.cluster.master.losses."""


@dataclass(frozen=True, slots=True)
class Retransmit:
    """Worker: a delta that was sent before and has not been acknowledged."""

    sequence: int
    delta: bytes


@dataclass(frozen=True, slots=True)
class WorkerEvent:
    """Worker: an event that the master handles."""

    kind: str
    """error (of the load test), internal (an error in obswarm), stop_test, quit, warning (is logged)."""
    detail: str


@dataclass(frozen=True, slots=True)
class SpawningComplete:
    """Master: all users that the plan asks for are running."""

    user_count: int


@dataclass(frozen=True, slots=True)
class StatsReset:
    """Master: the statistics were reset."""


@dataclass(frozen=True, slots=True)
class Stop:
    """Master: stop all users; running tasks may finish within that time."""

    timeout_s: float


@dataclass(frozen=True, slots=True)
class StopUsers:
    """Relay: stop all users now, without leaving: contact with the master is lost."""


@dataclass(frozen=True, slots=True)
class Custom:
    """Master or worker: a message of the load test. `node` is the sender, or, from the master, the recipient (empty:
    all workers)."""

    kind: str
    content: bytes
    node: str


@dataclass(frozen=True, slots=True)
class CustomReport:
    """Worker: the data of its report_to_master listeners; `content` is a MessagePack map."""

    node: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Leaving:
    """Worker: it leaves once its statistics are acknowledged; its users are to be moved to other workers."""

    reason: str


@dataclass(frozen=True, slots=True)
class End:
    """Master: the run is over; the deltas up to `acked` are acknowledged. The worker exits."""

    acked: int
    exit_code: int


Message = (
    Hello
    | Welcome
    | Refused
    | BundleRequest
    | Bundle
    | Ready
    | Failed
    | Reregister
    | Admitted
    | StartRun
    | Assign
    | Heartbeat
    | Report
    | Retransmit
    | WorkerEvent
    | SpawningComplete
    | StatsReset
    | Stop
    | StopUsers
    | Custom
    | CustomReport
    | Leaving
    | End
    | Wait
)

OF_KNOWN_WORKERS = (Report, Retransmit, Ready, Failed, BundleRequest, Leaving, WorkerEvent, Custom, CustomReport)
"""Messages that a worker sends after its Hello: a master that does not know the worker replies with Reregister."""

_TYPES: tuple[type[Any], ...] = typing.get_args(Message)
_NUMBERS = {kind: number for number, kind in enumerate(_TYPES)}

Check = Callable[[Any], bool]


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**63


def _is_number(value: Any) -> bool:
    return (type(value) is float and math.isfinite(value) and value >= 0) or _is_count(value)


def _is_text(value: Any) -> bool:
    return type(value) is str and len(value) <= _LONGEST_TEXT


def _is_bytes(value: Any) -> bool:
    return type(value) is bytes


def _is_flag(value: Any) -> bool:
    return type(value) is bool


def _is_counts(value: Any) -> bool:
    return type(value) is dict and all(_is_text(key) and _is_count(number) for key, number in value.items())


def _is_numbers(value: Any) -> bool:
    return type(value) is dict and all(_is_text(key) and _is_number(number) for key, number in value.items())


def _is_texts(value: Any) -> bool:
    return type(value) is list and all(map(_is_text, value))


_CHECKS: dict[Any, Check] = {
    int: _is_count,
    float: _is_number,
    str: _is_text,
    bytes: _is_bytes,
    bool: _is_flag,
    dict[str, int]: _is_counts,
    dict[str, float]: _is_numbers,
    tuple[str, ...]: _is_texts,
}
_FIELDS: dict[type[Any], tuple[Check, ...]] = {
    kind: tuple(_CHECKS[typing.get_type_hints(kind)[each.name]] for each in fields(kind)) for kind in _TYPES
}


def _values_of(kind: type[Any]) -> Callable[[Any], tuple[Any, ...]]:
    """Return a function that returns the values of a message's fields; in C for those with several."""
    names = [each.name for each in fields(kind)]
    return attrgetter(*names) if len(names) > 1 else lambda message: tuple(getattr(message, name) for name in names)


_VALUES = {kind: _values_of(kind) for kind in _TYPES}
_TUPLES: dict[type[Any], tuple[int, ...]] = {
    kind: tuple(
        number for number, each in enumerate(fields(kind)) if typing.get_type_hints(kind)[each.name] == tuple[str, ...]
    )
    for kind in _TYPES
}
_packer = msgpack.Packer(use_bin_type=True, unicode_errors="backslashreplace")


def encode(message: Message) -> bytes:
    kind = type(message)
    packed: bytes = _packer.pack((_NUMBERS[kind], *_VALUES[kind](message)))
    return packed


def decode(frame: bytes) -> Message:
    """Decode a frame. Raises NotAMessage for anything that `encode` would not have produced."""
    if len(frame) > LARGEST_FRAME_BYTES:
        raise NotAMessage(f"a frame of {len(frame)} bytes")
    try:
        parts = unpack(frame, _MOST_ITEMS)
    except Unreadable as error:
        raise NotAMessage(str(error)) from None
    if type(parts) is not list or not parts or type(parts[0]) is not int or not 0 <= parts[0] < len(_TYPES):
        raise NotAMessage("an unknown type of message")
    kind = _TYPES[parts[0]]
    values = parts[1:]
    if kind is Hello and values and _is_count(values[0]) and values[0] != PROTOCOL_VERSION:
        raise NotAMessage(f"protocol version {values[0]}", values[0])
    checks = _FIELDS[kind]
    if len(values) != len(checks) or not all(check(value) for check, value in zip(checks, values, strict=True)):
        raise NotAMessage(f"an invalid {kind.__name__}")
    for number in _TUPLES[kind]:
        values[number] = tuple(values[number])
    return kind(*values)  # type: ignore[no-any-return]
