"""What counts as evidence, on timelines that are made by hand: each test has one pattern that recorded runs have shown."""

import math
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from obswarm.analysis.explain.document import sections
from obswarm.analysis.explain.explanation import Explanation, explain_timeline
from obswarm.analysis.explain.findings import Finding, component_of
from obswarm.analysis.explain.onset import Onset
from obswarm.analysis.explain.sentences import headline
from obswarm.analysis.explain.suspects import rank
from obswarm.analysis.explain.symptom import symptoms_of
from obswarm.analysis.explain.timeline import Timeline
from obswarm.analysis.explain.way import METRIC, ways_of
from obswarm.record import MetricKey
from obswarm.targets import KINDS

STEPS = 60
BREAKS = 30
"""Step at which the response times of all these runs rise from 10 ms to a second."""
IN_FLIGHT = 50.0
REQUESTS = 100.0


def key(target: str, kind: str, name: str) -> MetricKey:
    metric = KINDS[kind].metric(name)
    assert metric is not None, name
    return MetricKey(target, kind, name, metric.unit)


def step(before: float, after: float, at: int = BREAKS) -> "array[float]":
    """A series that changes at once; it is not quite constant, as none is."""
    return array("d", ((before if now < at else after) * (1 + 0.01 * (now % 3)) for now in range(STEPS)))


def timeline(
    targets: Mapping[MetricKey, Sequence[float]], p95_s: Sequence[float] | None = None, in_flight: float = IN_FLIGHT
) -> Timeline:
    latency = array("d", p95_s) if p95_s is not None else step(0.01, 1.0)

    def line(value: float) -> "array[float]":
        return array("d", [value] * STEPS)

    return Timeline(
        times_s=array("d", range(1, STEPS + 1)),
        step_s=1.0,
        users=line(100),
        users_target=line(100),
        requests=step(REQUESTS, REQUESTS),
        throughput=line(REQUESTS),
        errors=line(0),
        mean_s=latency,
        p95_s=latency,
        p95_window_s=latency,
        in_flight=step(1, in_flight),
        endpoints={},
        generator={},
        saturated_workers={},
        targets={name: array("d", values) for name, values in targets.items()},
    )


def explained(targets: Mapping[MetricKey, Sequence[float]]) -> Explanation:
    return explain_timeline("a run", timeline(targets))


def causes(targets: Mapping[MetricKey, Sequence[float]]) -> list[tuple[str, str]]:
    return [(each.component.target, each.component.layer) for each in explained(targets).causes]


QUEUE = key("web", "uwsgi", "listen queue")
LOCKS = key("db", "mysql", "waiting for row locks")
EXECUTING = key("db", "mysql", "statements executing")
QUERIES = key("db", "mysql", "queries")
ROWS = key("db", "mysql", "rows read")
WAITING = key("app", "app", "waiting for the database")
OTHER_WAITING = key("app 2", "app", "waiting for the database")
PRESSURE = key("machine", "node", "CPU pressure")
PROXY_QUEUE = key("proxy", "haproxy", "queue")


@pytest.mark.parametrize(("waiting", "is_cause"), [(0.05, False), (20.0, True)])
def test_what_waits_matters_by_its_share_of_the_requests_in_flight(waiting: float, is_cause: bool) -> None:
    # From nothing, so both have increased by the same infinite factor.
    assert causes({QUEUE: step(0, waiting)}) == ([("web", "server")] if is_cause else [])


@pytest.mark.parametrize(("deep", "origin"), [(0.8, "web"), (20.0, "db")])
def test_a_weak_finding_below_does_not_explain_a_strong_one(deep: float, origin: str) -> None:
    found = explained({QUEUE: step(0, 30), LOCKS: step(0, deep)})
    assert found.suspects[0].component.target == origin
    assert {each.component.target for each in found.consequences} == ({"web"} if origin == "db" else set())


@pytest.mark.parametrize(("rows", "origin"), [(1.0, "machine"), (10.0, "db")])
def test_a_machine_is_a_consequence_of_a_component_that_has_more_to_do(rows: float, origin: str) -> None:
    found = explained(
        {PRESSURE: step(0.05, 0.9), EXECUTING: step(0.2, 10), ROWS: step(1000, 1000 * rows), QUERIES: step(200, 200)}
    )
    assert found.suspects[0].component.target == origin
    (other,) = found.consequences
    assert other.component.target == ({"machine", "db"} - {origin}).pop()
    assert other.because_of is not None
    assert other.because_of.target == origin


def test_the_time_on_the_way_is_what_the_applications_wait_beyond_what_the_database_executes() -> None:
    targets = {WAITING: step(6, 6), OTHER_WAITING: step(5, 5), EXECUTING: step(8, 8), QUERIES: step(100, 100)}
    ways = list(ways_of(timeline(targets)))
    assert [each.key for each in ways] == [
        MetricKey(target, "app", METRIC.name, "seconds") for target in ("app", "app 2")
    ]
    for way in ways:
        assert all(value == pytest.approx((6 + 5 - 8) / 100) for value in way.values)


def test_there_is_no_way_without_the_metrics_of_exactly_one_database() -> None:
    targets = {WAITING: step(6, 6), EXECUTING: step(8, 8), QUERIES: step(100, 100)}
    assert list(ways_of(timeline({WAITING: targets[WAITING]}))) == []
    assert list(ways_of(timeline({name: targets[name] for name in (WAITING, EXECUTING)}))) == []
    second = replace(EXECUTING, target="db 2")
    assert list(ways_of(timeline({**targets, second: step(1, 1)}))) == []


@pytest.mark.parametrize("on_the_way", [False, True])
def test_locks_that_are_held_while_answers_are_on_their_way_are_a_consequence(on_the_way: bool) -> None:
    waiting = 20 + (4 if on_the_way else 0)
    targets = {WAITING: step(0.3, waiting), EXECUTING: step(0.25, 20), LOCKS: step(0, 18), QUERIES: step(200, 150)}
    assert causes(targets) == ([("app", "network")] if on_the_way else [("db", "database")])


def test_the_way_to_a_database_without_metrics_is_unknown() -> None:
    targets = {
        WAITING: step(0.3, 20),
        # Its last values are those of a window from which one scrape after the other leaves.
        EXECUTING: [*([0.25] * BREAKS), *(0.25 * (15 - left) / 15 for left in range(15)), *([math.nan] * 15)],
        QUERIES: [*([200.0] * BREAKS), *(200 * (15 - left) / 15 for left in range(15)), *([math.nan] * 15)],
        LOCKS: [*([0.0] * BREAKS), *([math.nan] * 30)],
    }
    found = explained(targets)
    assert found.suspects[0].component.target == "db"
    assert found.suspects[0].findings[0].how == "gone"
    assert not any(each.component.layer == "network" for each in found.suspects)


def test_a_target_is_not_gone_while_some_of_its_rates_go_on() -> None:
    targets = {LOCKS: [*([0.0] * BREAKS), *([math.nan] * 30)], QUERIES: step(200, 150), QUEUE: step(0, 30)}
    assert causes(targets) == [("web", "server")]


def test_what_waits_for_a_layer_without_evidence_is_named() -> None:
    assert causes({PROXY_QUEUE: step(0, 30)}) == [("proxy", "balancer")]
    assert causes({PROXY_QUEUE: step(0, 30), QUEUE: step(0, 20)}) == [("web", "server")]


def breaking(*levels: tuple[int, float]) -> list[float]:
    return [level * (1 + 0.02 * (now % 3)) for steps, level in levels for now in range(steps)]


@pytest.mark.parametrize(
    ("levels", "at_s"),
    [
        (((30, 0.01), (30, 1.0)), 31),
        # Twice as slow for a while, and then it broke.
        (((20, 0.01), (15, 0.03), (25, 1.0)), 36),
        # It became slower all the time.
        (((20, 0.01), (3, 0.03), (3, 0.06), (3, 0.12), (3, 0.25), (28, 1.0)), 21),
    ],
)
def test_a_run_broke_when_it_became_much_worse(levels: tuple[tuple[int, float], ...], at_s: float) -> None:
    (symptom,) = symptoms_of(timeline({}, breaking(*levels)))
    assert symptom.onset.low_s <= at_s <= symptom.onset.high_s + 1
    assert symptom.onset.high_s - symptom.onset.low_s <= 3


def test_an_incident_that_is_half_of_the_run_does_not_hide_itself_as_noise() -> None:
    levels = [(0.02 if now < BREAKS else 4.0 if now % 6 < 4 else 0.01) for now in range(STEPS)]
    (symptom,) = symptoms_of(timeline({}, levels))
    assert symptom.onset.low_s <= BREAKS + 1 <= symptom.onset.high_s + 1


CPU = key("machine", "node", "CPU")
ERRORS = key("db", "mysql", "statement errors")
THREADS_BUSY = key("web", "uwsgi", "threads busy")
THREADS = key("web", "uwsgi", "threads")


@pytest.mark.parametrize(("since", "origin"), [(BREAKS - 25, "db"), (BREAKS, "machine")])
def test_a_limit_that_was_reached_long_before_under_a_constant_load_is_no_cause(since: int, origin: str) -> None:
    found = explained({CPU: step(0.6, 0.96, since), ERRORS: step(0, 30)})
    assert found.suspects[0].component.target == origin


def test_a_limit_that_was_reached_while_the_load_was_rising_is_one() -> None:
    rising = timeline({CPU: step(0.6, 0.96, BREAKS - 10), QUEUE: step(0, 30)})
    rising = replace(rising, users=array("d", [10.0 * (now + 1) for now in range(STEPS)]))
    assert explain_timeline("a run", rising).suspects[0].component.target == "machine"
    assert explain_timeline("a run", rising).is_overload


@pytest.mark.parametrize(("executing", "origin"), [(1.0, "web"), (6.0, "db")])
def test_what_fills_a_resource_has_to_be_enough_to_fill_it(executing: float, origin: str) -> None:
    found = explained({THREADS_BUSY: step(1, 8), THREADS: step(8, 8), EXECUTING: step(0.1, executing)})
    assert found.causes[0].component.target == origin


@pytest.mark.parametrize("by", [-4, 0, 4])
def test_the_clocks_of_an_application_and_its_database_may_differ(by: int) -> None:
    def wave(at: int) -> float:
        return 0.2 if at < BREAKS else 10 + 8 * math.sin(at / 3)

    targets = {
        WAITING: [1.05 * wave(at + by) for at in range(STEPS)],
        EXECUTING: [wave(at) for at in range(STEPS)],
        QUERIES: step(100, 100),
    }
    (way,) = ways_of(timeline(targets))
    # In the middle, where both series have all values.
    for waited_s, on_the_way_s in zip(way.waited[10:-10], way.values[10:-10], strict=True):
        assert on_the_way_s == pytest.approx(waited_s * 0.05 / 1.05)


def test_a_small_part_of_what_is_waited_for_a_statement_is_no_slow_network() -> None:
    # 20 ms on the way are much more than before, and less than an eighth of what the database takes.
    targets = {WAITING: step(0.3, 32), EXECUTING: step(0.25, 30), LOCKS: step(0, 18), QUERIES: step(200, 100)}
    assert causes(targets) == [("db", "database")]


def test_a_run_that_is_not_twice_as_slow_as_in_the_time_before_did_not_break() -> None:
    assert symptoms_of(timeline({}, breaking((6, 0.02), (24, 0.034), (30, 0.06)))) == []
    (symptom,) = symptoms_of(timeline({}, breaking((6, 0.02), (24, 0.034), (12, 0.08), (18, 0.034))))
    assert symptom.before == pytest.approx(0.035, abs=0.001)
    # As long as it lasted.
    assert symptom.after == pytest.approx(0.0816, abs=0.001)
    assert symptom.end_s == pytest.approx(43, abs=1)


PAUSES, OTHER_PAUSES = (key(target, "app", "pauses") for target in ("app", "app 2"))


@pytest.mark.parametrize(
    ("targets", "begins"),
    [
        ({LOCKS: step(0, 30)}, "MySQL (db) saturated first, at 100 users: waiting for row locks rose from 0"),
        (
            {WAITING: step(0.3, 12), OTHER_WAITING: step(0.3, 12), EXECUTING: step(0.25, 12), QUERIES: step(200, 150)},
            "The network of Application and Application (app 2) became slow first, at 100 users: time on the way to the"
            " database per statement rose from ",
        ),
        ({PAUSES: step(0, 3)}, "The processes of Application were held up first, at 100 users: pauses rose from 0 to"),
        (
            {key("shop", "jvm", "waiting for the pool"): step(0, 30)},
            "The connection pool of JVM (shop) saturated first, at 100 users: waiting for the pool rose from 0 to 30",
        ),
        (
            {key("app", "app", "waiting for services outside"): step(0, 30)},
            "The services that Application calls became slow first, at 100 users: ",
        ),
    ],
)
def test_the_headline_says_of_each_part_what_happened_to_it(
    targets: dict[MetricKey, "array[float]"], begins: str
) -> None:
    assert headline(explained(targets)).startswith(begins)


def test_workers_that_are_seen_full_some_seconds_before_the_lock_are_its_consequence() -> None:
    # As in the demo, on a machine with much other work: one is busy when another one begins to wait.
    app = [key("demo", "app", name) for name in ("workers busy", "workers", "waiting for the database's write lock")]
    targets = dict(zip(app, (step(1, 8, BREAKS - 4), step(8, 8), step(0, 7)), strict=True))
    assert causes(targets) == [("demo", "database")]
    # Locks that hardly anybody waits for do not fill workers.
    assert causes({**targets, app[2]: step(0, 1.5)})[0] == ("demo", "application")


@pytest.mark.parametrize("breaks", [10, 12])
def test_a_run_that_breaks_early_has_departures(breaks: int) -> None:
    # As in the demo on a busy machine: what has a limit would be all that is seen.
    app = [key("demo", "app", name) for name in ("workers busy", "workers", "waiting for the database's write lock")]
    targets = dict(zip(app, (step(1, 8, breaks), step(8, 8), step(0, 7, breaks)), strict=True))
    found = explain_timeline("a run", timeline(targets, step(0.01, 1.0, breaks)))
    assert found.suspects[0].component.layer == "database"
    assert found.suspects[0].findings[0].before == 0


def test_a_slope_by_chance_does_not_explain_what_is_at_ten_times_the_load() -> None:
    # One waited once, when there were a few users more; then the load grew to the tenfold.
    lock = key("demo", "app", "waiting for the database's write lock")
    load = array("d", (float(now + 4) if now < 12 else 150.0 for now in range(STEPS)))
    waiting = [1.0 if now == 6 else 0.0 if now < 12 else 6.0 + now % 2 for now in range(STEPS)]
    run = replace(timeline({lock: waiting}, step(0.01, 1.0, 12)), users=load, requests=load)
    (cause,) = explain_timeline("a run", run).causes
    assert cause.findings[0].key == lock
    # What really follows the load is no suspect at any load.
    busy = key("demo", "app", "queue")
    follows = [0.1 * load[now] * (1 + 0.02 * (now % 3)) for now in range(STEPS)]
    run = replace(timeline({busy: follows}, step(0.01, 1.0, 12)), users=load, requests=load)
    assert explain_timeline("a run", run).suspects == ()


@pytest.mark.parametrize(
    ("slower", "is_suspect"),
    [
        # From 70 % to 85 % makes what needs it twice as slow at most.
        (2.5, True),
        (100.0, False),
    ],
)
def test_a_busier_machine_explains_as_much_as_its_queue_grew(slower: float, is_suspect: bool) -> None:
    run = timeline({CPU: step(0.7, 0.85), EXECUTING: step(1, 1.6)}, step(0.01, 0.01 * slower))
    found = explain_timeline("a run", run)
    named = [each for each in found.suspects if each.component.target == "machine"]
    assert bool(named) == is_suspect
    for each in named:
        assert each.findings[0].how == "contention"
        assert each.findings[0].ratio == pytest.approx(2, abs=0.15)
        assert found.causes[0] == each
        assert headline(found).startswith("Machines (machine) got busier first, at 100 users: CPU rose from 7")
        assert "(what needs it may take 2.1 times as long)" in headline(found)


def test_slots_that_are_held_are_no_queue() -> None:
    targets = {THREADS_BUSY: step(5, 6.8), THREADS: step(8, 8)}
    found = explain_timeline("a run", timeline(targets, step(0.01, 0.025)))
    assert found.symptoms
    assert not any(each.how == "contention" for suspect in found.suspects for each in suspect.findings)


@pytest.mark.parametrize(("at_s", "origin"), [(26.0, "app"), (29.0, "db")])
def test_what_began_rather_later_than_the_lock_is_no_origin_of_it(at_s: float, origin: str) -> None:
    # Its moment may have been earlier, and clocks differ by 4 s; at the odds of two to one it is too late.
    def finding(of: MetricKey, strength: float, onset: Onset) -> Finding:
        metric = KINDS[of.kind].metric(of.name)
        component = component_of(of, metric, KINDS)
        return Finding(of, metric, component, "departure", onset, 0.1, 5.0, 50.0, strength)

    lock = finding(EXECUTING, 0.9, Onset(21, 20, 22, 22))
    waits = finding(key("app", "app", "waiting for a CPU"), 0.7, Onset(at_s, 18, at_s + 2, at_s))
    assert rank([lock, waits])[0].component.target == origin


def test_the_second_suspect_is_what_explains_the_rest_without_the_first() -> None:
    # The queue was seen first; without the lock, the pool would explain it.
    pool = key("shop", "jvm", "waiting for the pool")
    targets = {
        QUEUE: step(0, 40, BREAKS - 1),
        replace(QUEUE, target="web 2"): step(0, 40, BREAKS - 1),
        pool: step(0, 40),
        LOCKS: step(0, 40, BREAKS + 1),
    }
    found = explained(targets)
    assert [each.component.target for each in found.suspects][:3] == ["db", "shop", "web"]
    assert [each.role for each in found.suspects] == ["cause", *["consequence"] * 3]
    # What happened is told in the order of time.
    assert [each.component.target for each in found.consequences][-1] == "shop"
    (text,) = dict(sections(found))["If it is something else"]
    assert text == "Look at the connection pool of JVM (shop), then at uWSGI (web)."


def test_what_points_to_a_layer_is_named_if_the_evidence_there_is_too_weak() -> None:
    found = explained({PROXY_QUEUE: step(0, 30), LOCKS: step(0, 0.8)})
    assert found.suspects[0].component.target == "proxy"
    found = explained({PROXY_QUEUE: step(0, 30), LOCKS: step(0, 20)})
    assert found.suspects[0].component.target == "db"


def test_a_rate_shows_a_change_some_seconds_after_it() -> None:
    # Over 15 s: as soon as the symptom, and not as strong as it was, if it comes much later.
    waits = key("app", "app", "waiting for services outside")

    def strength(later: int) -> float:
        found = explained({waits: step(0, 30, BREAKS + later)})
        return found.suspects[0].strength if found.suspects else 0.0

    assert strength(4) == pytest.approx(strength(0), rel=0.05)
    assert strength(12) < 0.8 * strength(0)


def test_what_is_gone_is_neither_said_to_have_room_nor_left_without_a_next_step() -> None:
    connected, most = (key("db", "mysql", name) for name in ("threads connected", "connections limit"))
    targets = {name: [*([value] * BREAKS), *([math.nan] * 30)] for name, value in ((connected, 9.0), (most, 150.0))}
    found = explained({**targets, QUEUE: step(0, 30), CPU: step(0.2, 0.2)})
    assert found.causes[0].findings[0].how == "gone"
    assert {each.component.target for each in found.headroom} == {"machine"}
    assert dict(sections(found))["Cause: MySQL (db)"][-1].startswith("Look next at whether it still runs")


def test_causes_of_another_kind_than_the_first_are_told_from_it() -> None:
    # Neither explains the other: what is deeper began later.
    found = explained({LOCKS: step(0, 30), PAUSES: step(0, 4, BREAKS + 14)})
    headings = [heading for heading, _ in sections(found)]
    assert "Cause: MySQL (db)" in headings
    assert [each.component.layer for each in found.causes] == ["database", "process"]
    assert "Perhaps also: the processes of Application" in headings
