"""Every message between a master and its workers: one frozen dataclass each, as MessagePack arrays.

A frame is [number of the message's type, field, field, …]. Hello's first field is the version of the protocol,
whatever the rest is, so that different versions can tell each other so. Anything that is not exactly of a known form
does not decode.
"""

import math
import typing
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, Final

import msgpack

from obswarm.bounded_msgpack import Unreadable, unpack

PROTOCOL_VERSION: Final = 5
LARGEST_FRAME_BYTES = 64 * 1024 * 1024
MAX_DELTA_BYTES = LARGEST_FRAME_BYTES - 16 * 1024 * 1024
"""A Report also holds users and requests under way."""
LARGEST_JOINING_FRAME_BYTES = 256 * 1024
"""Of peers that are no workers yet. The longest is Ready of a machine with thousands of processes."""

_LONGEST_TEXT = 100_000
_MOST_ITEMS = 20_000
"""In one message; what has more in it (statistics, a load test's own messages) is packed by itself, as bytes."""


class NotAMessage(ValueError):
    """A frame that no message of this version looks like. `version` is that of a Hello of another version."""

    def __init__(self, reason: str, version: int | None = None) -> None:
        super().__init__(reason)
        self.version = version


@dataclass(frozen=True, slots=True)
class Hello:
    """Worker: here I am, or here I am again. An incarnation is one life of a process; its deltas are numbered from
    1."""

    version: int
    release: str
    incarnation: str
    name: str
    processes: int
    file_hash: str
    """SHA-256 of the load-test file that the worker was started with; empty when it has none."""
    run_id: str
    """The run that it has taken part in; empty before."""


@dataclass(frozen=True, slots=True)
class Welcome:
    """Master: what to run. `acked` is the last delta of this incarnation that is safe."""

    nonce: str
    release: str
    run_id: str
    acked: int
    orphan_timeout_s: float
    bundle_hash: str
    """Of the files to fetch; empty when the worker finds them where the job says."""
    job: bytes


@dataclass(frozen=True, slots=True)
class Wait:
    """Master: there is no run now; stay."""


@dataclass(frozen=True, slots=True)
class Refused:
    """Master: go away, and why."""

    reason: str


@dataclass(frozen=True, slots=True)
class BundleRequest:
    """Worker: send me the bundle."""

    bundle_hash: str


@dataclass(frozen=True, slots=True)
class Bundle:
    """Master: the files."""

    bundle_hash: str
    packed: bytes


@dataclass(frozen=True, slots=True)
class Ready:
    """Worker: loaded; give me users. `capacity` is requests per second as measured (0: unknown); `users` those that
    it has."""

    nonce: str
    capacity: float
    cpus: float
    """CPUs that its processes may use, one each at the most."""
    users: dict[str, int]
    nodes: tuple[str, ...]
    """Names of its processes that have users."""
    acked: int = 0
    """The last of its deltas that a master has said to be safe; it does not have those any more."""


@dataclass(frozen=True, slots=True)
class Failed:
    """Worker: I cannot run this load test."""

    nonce: str
    reason: str


@dataclass(frozen=True, slots=True)
class Reregister:
    """Master: I do not know you; say hello."""


@dataclass(frozen=True, slots=True)
class Admitted:
    """Master: you belong to the fleet. `index` is that of the worker's first process."""

    index: int


@dataclass(frozen=True, slots=True)
class StartRun:
    """Master: the run starts."""

    run_id: str


@dataclass(frozen=True, slots=True)
class Assign:
    """Master: an assignment: run these users, by class; start at most `spawn_rate` of them per second."""

    number: int
    users: dict[str, int]
    spawn_rate: float


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """Master: I am alive; everything up to `acked` is safe; report, if `collect`."""

    number: int
    acked: int
    collect: bool


@dataclass(frozen=True, slots=True)
class Report:
    """Worker: the answer to a heartbeat. `delta` is a table packed by obswarm.stats.codec, numbered by
    `sequence`; an empty delta has the number 0."""

    pulse: int
    sequence: int
    delta: bytes
    users: dict[str, int]
    settled: int
    """The last Assign that has been carried out altogether."""
    cpu_ratio: float
    """Of one core, of the busiest of its processes."""
    loop_lag_s: float
    memory_bytes: int
    saturated: bool
    strained_s: int
    """Consecutive intervals in which it was over a limit."""
    last_sequence: int
    """The number of the newest delta that there is, whether this report has it or not."""
    ended: bool
    """All users have ended after a Stop; nothing comes after `last_sequence`."""
    in_flight: bytes = b""
    """The requests that are under way at the moment, as of obswarm.stats.codec.in_flight."""
    user_steps: bytes = b""
    """How its number of users has changed since the last report, as of obswarm.cluster.wire.user_steps."""
    losses: bytes = b""
    """All processes of this worker that went away or were refused, as of obswarm.cluster.master.losses."""


@dataclass(frozen=True, slots=True)
class Retransmit:
    """Worker: a delta that was sent before and has not been acknowledged."""

    sequence: int
    delta: bytes


@dataclass(frozen=True, slots=True)
class WorkerEvent:
    """Worker: something that the master has to act upon."""

    kind: str
    """error (of the load test), internal (of obswarm itself), stop_test, quit, warning (for people)."""
    detail: str


@dataclass(frozen=True, slots=True)
class SpawningComplete:
    """Master: the users that were asked for are there."""

    user_count: int


@dataclass(frozen=True, slots=True)
class StatsReset:
    """Master: the statistics were reset."""


@dataclass(frozen=True, slots=True)
class Stop:
    """Master: let running tasks finish within that time, then end all users."""

    timeout_s: float


@dataclass(frozen=True, slots=True)
class StopUsers:
    """Relay: end your users now, but stay: the master is not heard any more."""


@dataclass(frozen=True, slots=True)
class Custom:
    """Either: a message of the load test's own. `node` is its sender, or, from the master, whom it is for (empty:
    all)."""

    kind: str
    content: bytes
    node: str


@dataclass(frozen=True, slots=True)
class CustomReport:
    """Worker: what its listeners of report_to_master have put into their report; `content` is a MessagePack map."""

    node: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Leaving:
    """Worker: give my users to others; I go once what I measured is safe."""

    reason: str


@dataclass(frozen=True, slots=True)
class End:
    """Master: everything of yours up to `acked` is safe, and there is nothing left to do."""

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

OF_KNOWN_WORKERS = (Report, Retransmit, Ready, Failed, BundleRequest, Leaving, WorkerEvent)
"""What a worker sends after its Hello: one that the master does not know has met another master before."""

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


def _is_texts(value: Any) -> bool:
    return type(value) is list and all(map(_is_text, value))


_CHECKS: dict[Any, Check] = {
    int: _is_count,
    float: _is_number,
    str: _is_text,
    bytes: _is_bytes,
    bool: _is_flag,
    dict[str, int]: _is_counts,
    tuple[str, ...]: _is_texts,
}
_FIELDS: dict[type[Any], tuple[Check, ...]] = {
    kind: tuple(_CHECKS[typing.get_type_hints(kind)[field.name]] for field in fields(kind)) for kind in _TYPES
}
_NAMES: dict[type[Any], tuple[str, ...]] = {kind: tuple(field.name for field in fields(kind)) for kind in _TYPES}
_TUPLES: dict[type[Any], tuple[int, ...]] = {
    kind: tuple(
        number
        for number, field in enumerate(fields(kind))
        if typing.get_type_hints(kind)[field.name] == tuple[str, ...]
    )
    for kind in _TYPES
}
_packer = msgpack.Packer(use_bin_type=True, unicode_errors="backslashreplace")


def encode(message: Message) -> bytes:
    kind = type(message)
    packed: bytes = _packer.pack([_NUMBERS[kind], *(getattr(message, name) for name in _NAMES[kind])])
    return packed


def decode(frame: bytes) -> Message:
    """Raises NotAMessage for anything that `encode` would not have made."""
    if len(frame) > LARGEST_FRAME_BYTES:
        raise NotAMessage(f"a frame of {len(frame)} bytes")
    try:
        parts = unpack(frame, _MOST_ITEMS)
    except Unreadable as error:
        raise NotAMessage(str(error)) from None
    if type(parts) is not list or not parts or type(parts[0]) is not int or not 0 <= parts[0] < len(_TYPES):
        raise NotAMessage("no known type of message")
    kind = _TYPES[parts[0]]
    values = parts[1:]
    if kind is Hello and values and _is_count(values[0]) and values[0] != PROTOCOL_VERSION:
        raise NotAMessage(f"version {values[0]} of the protocol", values[0])
    checks = _FIELDS[kind]
    if len(values) != len(checks) or not all(check(value) for check, value in zip(checks, values, strict=True)):
        raise NotAMessage(f"not a proper {kind.__name__}")
    for number in _TUPLES[kind]:
        values[number] = tuple(values[number])
    return kind(*values)  # type: ignore[no-any-return]
