"""Every field of an endpoint's statistics is added up, sent, stored and read, also one that was added yesterday."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obswarm.api import Environment, Events, User, task
from obswarm.cluster.master.journal import Journal, Progress, read
from obswarm.cluster.master.recovery import result_of_recovered
from obswarm.cluster.wire.messages import PROTOCOL_VERSION
from obswarm.engine import Ramp
from obswarm.record import Snapshot, statistics_of
from obswarm.stats import (
    CustomKey,
    CustomKind,
    EndpointKey,
    EndpointStats,
    Exemplar,
    Histogram,
    Recorder,
    StatsTable,
    TimingStats,
)
from obswarm.stats.checks import Malformed
from obswarm.stats.codec import DeltaSum, pack_row, pack_table, unpack_row
from obswarm.stats.codec.layout import KINDS
from obswarm.stats.endpoint import FIELDS
from obswarm.stats.errors import ErrorKey, ErrorStats
from obswarm.stats.field_functions import copy_function, empty_function, merge_function, subtract_function
from obswarm.stats.fields import (
    Durations,
    Exemplars,
    Extreme,
    Field,
    Kind,
    Number,
    OptionalDurations,
    Phases,
    Requests,
    ResultCounts,
    StatusCounts,
)
from obswarm.stats.in_flight import CutOff, CutOffKey
from obswarm.stats.keys import NO_FREE_USER
from obswarm.stats.table import TaskException
from obswarm.store.pack import pack, unpack
from obswarm.web.wire import pack_snapshot, unpack_snapshot
from tests.support.runs import local_run

KEY = EndpointKey("GET", "/")
_timings = TimingStats()
_timings.record((0.1, 0.2, 0.3, 0.4), detailed=True)

SAMPLES: dict[type[Kind[Any]], Any] = {
    Durations: Histogram({-5: 1, 7: 300}, 2**70),
    OptionalDurations: Histogram({-5: 1, 7: 300}, 2**70),
    Extreme: 0.25,
    Number: 2**70,
    Requests: 3,
    StatusCounts: {"5xx": 2},
    ResultCounts: {(True, "5xx"): 2, (False, "2xx"): 1},
    Phases: _timings,
    Exemplars: {1: Exemplar("a" * 32, 1.5, 1e9)},
}
"""A value of each kind of field."""

_SENT_5 = "duration min_s max_s response_bytes successes failures_by timings untimed late newest_exemplars"
SENT = {5: _SENT_5, 6: f"{_SENT_5} intended_duration"}
"""Fields that peers read, since a version of the protocol. A peer refuses a field that it does not know, so that a new
field comes with a new version."""


def full() -> EndpointStats:
    """Statistics with something in every field."""
    stats = EndpointStats(KEY)
    for number in range(20):
        stats.record(0.01 * (number % 3 + 1), 1000, "2xx" if number % 5 else "5xx", not number % 5)
    stats.record(None, 1000, "4xx", True)
    for field in FIELDS:
        if field.kind.is_empty(getattr(stats, field.name)):
            setattr(stats, field.name, field.kind.copy(SAMPLES[type(field.kind)]))
    return stats


def values(stats: EndpointStats) -> dict[str, Any]:
    return {field.name: field.kind.pack(getattr(stats, field.name)) for field in FIELDS}


def table() -> StatsTable:
    made = StatsTable()
    made.endpoints[KEY] = full()
    return made


def test_the_list_of_fields_is_the_class() -> None:
    names = [field.name for field in FIELDS]
    assert list(EndpointStats.__annotations__) == ["key", *names]
    assert EndpointStats.__slots__ == ("key", *names)
    assert EndpointStats(KEY).__getstate__()[0] is None
    assert all(field.kind.is_empty(getattr(EndpointStats(KEY), field.name)) for field in FIELDS)
    assert not any(field.kind.is_empty(getattr(full(), field.name)) for field in FIELDS)


def test_another_list_of_fields_is_another_version_of_the_protocol() -> None:
    since = max(version for version in SENT if version <= PROTOCOL_VERSION)
    assert " ".join(field.name for field in FIELDS) == SENT[since]


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.name)
def test_a_field_is_merged_subtracted_and_copied(field: Field) -> None:
    kind = field.kind
    one, other = full(), full()
    before = kind.pack(kind.copy(getattr(one, field.name)))
    twin = one.copy()
    one.merge(other)
    assert kind.pack(getattr(twin, field.name)) == before
    assert kind.pack(getattr(other, field.name)) == before
    if not isinstance(kind, Extreme | Exemplars):
        assert kind.pack(getattr(one, field.name)) != before
    one.subtract(other)
    if not isinstance(kind, Extreme):
        assert kind.pack(getattr(one, field.name)) == before
    fresh = EndpointStats(KEY)
    fresh.merge(other)
    assert kind.pack(getattr(fresh, field.name)) == before


@pytest.mark.parametrize("mine", ["nothing", "everything", "zero"])
@pytest.mark.parametrize("theirs", ["nothing", "everything", "zero"])
def test_all_fields_at_once_are_what_their_kinds_make_of_each(mine: str, theirs: str) -> None:
    made = {"nothing": lambda: EndpointStats(KEY), "everything": full, "zero": zero}
    for together, verb in ((merge_function(FIELDS), "merge"), (subtract_function(FIELDS), "subtract")):
        one, other = made[mine](), made[theirs]()
        if verb == "subtract":
            one.merge(other)
        expected = {}
        for field in FIELDS:
            value = field.kind.copy(getattr(one, field.name))
            expected[field.name] = getattr(field.kind, verb)(value, getattr(other, field.name))
        together(one, other)
        assert {field.name: getattr(one, field.name) for field in FIELDS} == expected
        assert values(other) == values(made[theirs]())
    copied, empty = EndpointStats(KEY), full()
    copy_function(FIELDS)(copied, made[mine]())
    assert values(copied) == values(made[mine]())
    empty_function(FIELDS)(empty)
    assert values(empty) == values(EndpointStats(KEY)) == {f.name: f.kind.pack(f.kind.empty()) for f in FIELDS}


def zero() -> EndpointStats:
    """One request, all of whose numbers are 0: they are not the same as none."""
    stats = EndpointStats(KEY)
    stats.record(0.0, 0, "2xx", False)
    stats.timings = TimingStats()
    stats.timings.record((None, None, 0.0, 0.0), detailed=False)
    return stats


def test_two_new_endpoints_have_no_value_in_common_that_can_change() -> None:
    one, other = EndpointStats(KEY), EndpointStats(KEY)
    for field in FIELDS:
        value = getattr(one, field.name)
        assert isinstance(value, int | None) or value is not getattr(other, field.name)


def test_all_fields_come_through_a_delta_a_journal_and_a_snapshot(tmp_path: Path) -> None:
    deltas = DeltaSum()
    for _ in range(2):
        deltas.add(pack_table(table()))
    twice = full()
    twice.merge(full())
    assert values(deltas.take(10).endpoints[KEY]) == values(twice)

    journal = Journal(tmp_path / "state", "run", "digest", 1.0)
    progress = Progress(1.0, 1.0, 1.0, 1.0, False, {}, None, 0, None, [])
    journal.rewrite(table(), progress, {})
    journal.close()
    recovered = read(tmp_path / "state", 10)
    assert recovered is not None
    assert values(recovered.table.endpoints[KEY]) == values(full())

    environment = Environment(events=Events(), recorder=Recorder(), user_classes=[Nobody])
    snapshot = replace(local_run(environment, Ramp(1, 1)).latest(), endpoints=table().endpoints)
    assert values(unpack_snapshot(pack_snapshot(snapshot)).endpoints[KEY]) == values(full())


LIMITS = {"max_endpoints", "max_errors", "overflow_names", "_exception_forms"}
"""Parts of a table that are not measurements."""


def full_table() -> StatsTable:
    """A table with something in every part. A new part of StatsTable has a line here."""
    made = table()
    made.count_error(ErrorKey("GET", "/", "HTTP 500"), ErrorStats(3, 1.5, 2.5))
    made.count_exception(TaskException("KeyError: 'a'", "Traceback …", 2))
    made.count_cut_off(CutOffKey("request", "GET", "/"), CutOff(1, 0.5))
    made.iterations["Nobody"] = 7
    made.count_dropped("Nobody", NO_FREE_USER, 5)
    made.count_ended("all", "worker-1", 6)
    made.count_lost("worker-1", "cannot be packed", 4)
    made.custom.series(CustomKey("orders", CustomKind.COUNTER)).add(2.0)
    assert all(getattr(made, name) for name in StatsTable.__slots__ if name not in LIMITS)
    return made


def parts(made: StatsTable | Snapshot) -> dict[str, Any]:
    """The measurements in a table or a snapshot by name; a snapshot has none that were lost, and of
    ended iterations only their number by limit."""
    found = {name: dict(getattr(made, name)) for name in StatsTable.__slots__ if name not in LIMITS | {"lost", "ended"}}
    return found | {"endpoints": {key: values(stats) for key, stats in made.endpoints.items()}}


def test_all_parts_of_a_table_come_through_merging_a_delta_a_journal_and_a_snapshot(tmp_path: Path) -> None:
    merged, deltas = StatsTable(), DeltaSum()
    merged.merge(full_table())
    deltas.add(pack_table(full_table()))
    sent = deltas.take(10)

    journal = Journal(tmp_path / "state", "run", "digest", 1.0)
    journal.rewrite(full_table(), Progress(1.0, 1.0, 1.0, 1.0, False, {}, None, 0, None, []), {})
    journal.close()
    recovered = read(tmp_path / "state", 10)
    assert recovered is not None

    for each in (merged, sent, recovered.table):
        assert parts(each) == parts(full_table())
        assert (each.lost, each.ended) == (full_table().lost, full_table().ended)

    environment = Environment(events=Events(), recorder=Recorder(), user_classes=[Nobody])
    run = local_run(environment, Ramp(1, 1))
    run.statistics.add(full_table())
    snapshot = run.latest()
    of_client = unpack_snapshot(pack_snapshot(snapshot))
    of_journal = result_of_recovered(recovered, "lost").final
    of_table = replace(snapshot, **statistics_of(full_table()))
    for picture in (snapshot, of_client, of_journal, of_table):
        assert parts(picture) == parts(full_table())
        assert picture.interrupted == 1


class Nobody(User):
    @task
    def nothing(self) -> None: ...


def test_all_fields_that_the_store_keeps_come_through_it() -> None:
    found = values(unpack_row(unpack(pack(pack_row(full()))), KEY))
    stored = [field.name for field in FIELDS if field.is_stored]
    assert stored[:9] == SENT[5].split()[:9], "rows of stores that exist have these fields in this order"
    assert {name: found[name] for name in stored} == {name: values(full())[name] for name in stored}


ROW = [[420_000_000, -147, 2, 32, 1], 0.04, 0.08, 30, {"2xx": 2}, {"error": 1}]
"""As version 0.1.0 has written it."""


@pytest.mark.parametrize(
    "more",
    [
        [],
        [[[0, 0, 3, 3], [0, 0, 4, 5], {}]],
        [None, 1],
        [None, 1, [[True, "error", 1]]],
        [None, 0, [[True, "error", 1]]],
        [None, 0, [], [840_000_000, -115, 3]],
    ],
)
def test_rows_of_earlier_versions_are_read_and_written_as_they_were(more: list[Any]) -> None:
    stats = unpack_row([*ROW, *more], KEY)
    assert stats.duration == Histogram({-147: 2, -115: 1}, 420_000_000)
    assert (stats.min_s, stats.max_s, stats.response_bytes, stats.failures) == (0.04, 0.08, 30, 1)
    assert stats.untimed == (more[1] if len(more) > 1 else 0)
    assert stats.late == ({(True, "error"): 1} if len(more) == 3 else {})
    assert stats.intended_duration == (Histogram({-115: 3}, 840_000_000) if len(more) == 4 else None)
    assert pack_row(stats) == [*ROW, *more]


@pytest.mark.parametrize("kind", SAMPLES, ids=lambda kind: kind.__name__)
def test_a_kind_accepts_what_it_packs(kind: type[Kind[Any]]) -> None:
    made = kind(min) if kind is Extreme else kind()  # type: ignore[call-arg]
    made.check(made.pack(SAMPLES[kind]), 1000)
    assert made.pack(made.unpack(made.pack(SAMPLES[kind]))) == made.pack(SAMPLES[kind])


WRONG = [
    ("late", [[1, "2xx", 1]]),
    ("late", [[True, "6xx", 1]]),
    ("late", [[True, "2xx", -1]]),
    ("late", {}),
    ("untimed", -1),
    ("untimed", 1.0),
    ("untimed", 10**6),
    ("successes", {"9xx": 1}),
    ("successes", [1]),
    ("failures_by", {"5xx": True}),
    ("failures_by", {"5xx": 10**6}),
    ("timings", [[0, 0, 0], [0, 0, 0, 0], {}]),
    ("timings", [[0, 0, 0, 0], [0, 0, 0, 0], {"sleep": [0]}]),
    ("timings", [[0, 0, 0, 0], [0, 0, 0, 0], {"tls": [0, -100, 1, 0, 1]}]),
    ("timings", [[0, 0, 0, 0], [0, 0, 0, 0], {"tls": [0, -100, 10**6]}]),
    ("timings", [[0, 0, 0, 0], [0, 0, 0, b"x" * 17], {}]),
    ("timings", [[0, 0, 0, 0], [0, 0, 0, 0], {"tls": [-1]}]),
    ("timings", [[0, 0, 0, 0], [0, 0, 0, 0], {"tls": [0, -100]}]),
    ("timings", [[0, 0, 0, 0], [0, 0, 0, 0], {"tls": [0, -100, 0]}]),
    ("timings", [[0, 0, 0, 0], [0, 0, 0, 0], {"tls": [0, -100, True]}]),
    ("timings", [[0, 0, 0, 0], [0, 0, 0, 0], {"tls": [0, -638, 1, 639, 1]}]),
    ("timings", [[0, 0, 0, 0], [0, 0, 0, 0], {"tls": [0, -100, 1, 480, 1]}]),
    ("timings", [[0, 0, 0, 0], [0, 0, 0, -1], {}]),
    ("timings", [[0, 0, 0, -1], [0, 0, 0, 0], {}]),
    ("timings", [[0, 0, 0, True], [0, 0, 0, 0], {}]),
    ("timings", [[0, 0, 0, 10**6], [0, 0, 0, 0], {}]),
    ("intended_duration", [-1]),
    ("intended_duration", {}),
    ("intended_duration", [0, -100, 10**6]),
    ("intended_duration", [0, -638, 1, 1_100, 1]),
    ("newest_exemplars", [["\n", 1.0, 1.0]]),
    ("newest_exemplars", [["a", -1.0, 1.0]]),
    ("newest_exemplars", [["a", 1.0, float("nan")]]),
]


@pytest.mark.parametrize(("name", "packed"), WRONG)
def test_values_that_no_recorder_makes_are_refused(name: str, packed: Any) -> None:
    with pytest.raises((Malformed, ValueError, TypeError)):
        KINDS[name].check(packed, 1000)


_PLAIN = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-5, 5), st.floats(), st.binary(max_size=3), st.sampled_from(["2xx", "tls", ""])),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.sampled_from(["2xx", "tls"]), inner)),
)  # fmt: skip


@given(st.sampled_from(list(KINDS)), _PLAIN)
def test_a_check_accepts_or_raises_what_a_delta_is_refused_for(name: str, packed: Any) -> None:
    try:
        KINDS[name].check(packed, 1000)
    except (ValueError, TypeError, KeyError, IndexError, OverflowError):
        return
    KINDS[name].unpack(packed)
