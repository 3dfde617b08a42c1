"""Scenarios of a load-test file: their classes, plan, and a run of some."""

from collections import Counter
from pathlib import Path

import gevent
import pytest

from obswarm.api import Environment, Events, ObswarmError, Scenario, SequentialTaskSet, User, tag, task
from obswarm.api.feed import LocalSupply
from obswarm.config.run_config import LoadConfig
from obswarm.engine import (
    IterationCount,
    LocalGenerator,
    Run,
    ScenarioExecutor,
    classes_of_scenarios,
    load,
    plan_arrivals,
    plan_iterations,
    plan_scenarios,
    scenarios_in,
)
from obswarm.engine.scenario_classes import checked_scenarios
from obswarm.feeds import FeedServer
from obswarm.record import StopKind
from obswarm.stats import EndpointKey, Recorder, scenario_totals, without_scenarios


class Visitor(User):
    seen: Counter[str] = Counter()

    @tag("read", "page")
    @task
    def page(self) -> None:
        self.seen[type(self).__name__] += 1
        with self.environment.request("GET", "/page"):
            gevent.sleep(0.002)

    @task
    class Order(SequentialTaskSet):
        @tag("buy")
        @task
        def order(self) -> None:
            with self.user.environment.request("POST", "/order"):
                gevent.sleep(0.001)

        @tag("read")
        @task
        def look(self) -> None:
            with self.user.environment.request("GET", "/order"):
                pass


def test_each_scenario_has_classes_of_its_own_with_the_tasks_of_its_tags() -> None:
    browse, buy, every = classes_of_scenarios(
        [
            Scenario("browse", Visitor, exclude_tags=["buy"]),
            Scenario("buy", Visitor, tags=["buy"]),
            Scenario("every", Visitor),
        ]
    )
    assert [cls.__name__ for cls in (browse, buy, every)] == [
        "Visitor (browse)",
        "Visitor (buy)",
        "Visitor (every)",
    ]
    assert all(issubclass(cls, Visitor) and not cls.abstract for cls in (browse, buy, every))
    assert [len(cls.tasks) for cls in (browse, buy, every)] == [2, 1, 2]
    assert [len(cls.tasks[-1].tasks) for cls in (browse, buy, every)] == [1, 1, 2]
    assert len(Visitor.tasks) == 2, "the class itself stays as it was"
    assert len(Visitor.tasks[1].tasks) == 2
    with pytest.raises(ObswarmError, match="Scenario 'none': no task of Visitor matches its tags"):
        classes_of_scenarios([Scenario("none", Visitor, tags=["admin"])])


def test_scenarios_that_cannot_be_put_in_order_are_refused() -> None:
    with pytest.raises(ObswarmError, match="Two scenarios have the name 'a'"):
        checked_scenarios([Scenario("a", Visitor), Scenario("a", Visitor)])
    with pytest.raises(ObswarmError, match="neither a duration like 30s nor one of the scenarios a"):
        checked_scenarios([Scenario("a", Visitor, start_after="b")])
    with pytest.raises(ObswarmError, match="'a' would start after itself: a → b → a"):
        checked_scenarios([Scenario("a", Visitor, start_after="b"), Scenario("b", Visitor, start_after="a")])
    with pytest.raises(ObswarmError, match="contain 5; each has to be a Scenario"):
        checked_scenarios([Scenario("a", Visitor), 5])


def test_the_list_of_a_load_test_is_found_and_another_of_that_name_is_its_own(tmp_path: Path) -> None:
    (tmp_path / "with_scenarios.py").write_text(
        "from obswarm import Scenario, User, task\n"
        "class A(User):\n    @task\n    def t(self): ...\n"
        "scenarios = [Scenario('s', A, 3)]\n"
    )
    (tmp_path / "with_texts.py").write_text(
        "from obswarm import User, task\n"
        "class B(User):\n    @task\n    def t(self): ...\n"
        "scenarios = ['cheap', 'dear']\n"
    )
    found = load([tmp_path / "with_scenarios.py", tmp_path / "with_texts.py"])
    assert [scenario.name for scenario in found.scenarios] == ["s"]
    assert [cls.__name__ for cls in found.classes_of_scenarios] == ["A (s)"]
    assert [cls.__name__ for cls in found.user_classes] == ["A", "B"]
    assert found.chosen(["A (s)"]) == found.classes_of_scenarios


@pytest.mark.parametrize(
    ("imported", "written", "sentence"),
    [
        ("Scenario", "[A]", "scenarios contains the user class A; each has to be a Scenario(…), such as"),
        ("User", "[A]", "scenarios contains the user class A; each has to be a Scenario(…), such as"),
        ("User", "A()", None),
        ("Scenario", "'abc'", "scenarios is 'abc'; it has to be a list of Scenario(…)."),
        ("Scenario", "[]", "scenarios is an empty list. Write a Scenario(…) into it, or leave it out."),
        ("Scenario", "['a']", "scenarios contains 'a'; each has to be a Scenario(…)"),
        ("Scenario", "Scenario('a', A)", "scenarios is Scenario(name='a'"),
        ("User", "[]", None),
        ("User", "'abc'", None),
        ("User", "{'a': 1}", None),
        ("Scenario", "print", None),
    ],
)
def test_a_list_that_is_meant_as_scenarios_and_is_none_is_refused(
    imported: str, written: str, sentence: str | None, tmp_path: Path
) -> None:
    """A variable of that name in a file that has neither Scenario nor user classes in it is the load test's own."""
    path = tmp_path / "declared.py"
    path.write_text(
        f"from obswarm import {imported}, User as U, task\n"
        "class A(U):\n    def __init__(self): ...\n    @task\n    def t(self): ...\n"
        f"scenarios = {written}\n"
    )
    if sentence is None:
        assert load([path]).scenarios == ()
        return
    with pytest.raises(ObswarmError) as refused:
        load([path])
    assert f"{path}: {sentence}" in str(refused.value)


def test_a_number_as_the_rate_of_a_file_that_uses_arrival_rate_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rated.py"
    path.write_text(
        "from obswarm import ArrivalRate, User, task\n"
        "class A(User):\n    @task\n    def t(self): ...\n"
        "arrival_rate = 5\n"
    )
    with pytest.raises(ObswarmError, match=r"arrival_rate is a int; it has to be ArrivalRate\(\"200/s\"\)"):
        load([path])


def test_a_run_of_scenarios_tells_their_requests_iterations_and_users_apart() -> None:
    classes = classes_of_scenarios(
        [
            Scenario("browse", Visitor, 3, tags=["page"], spawn_rate=1000.0, run_time=0.8),
            Scenario("order", Visitor, "100/s", tags=["buy"], iterations=20),
            Scenario("later", Visitor, 2, tags=["buy"], iterations=7, start_after="order", spawn_rate=1000.0),
        ]
    )
    limits = plan_iterations(classes, None)
    assert {limit.name: limit.number for limit in limits} == {"order": 20, "later": 7}
    arrivals = plan_arrivals(classes, None, LoadConfig())
    assert list(arrivals) == ["Visitor (order)"]
    server = FeedServer([], quotas={limit.name: limit.number for limit in limits})
    count = IterationCount(limits, server)
    environment = Environment(events=Events(), recorder=Recorder(), user_classes=list(classes), stop_timeout=5.0)
    generator = LocalGenerator(environment)
    generator.limit_iterations(limits, LocalSupply(server))
    executor = ScenarioExecutor(plan_scenarios(classes, arrivals, count.is_done))
    result = Run(environment, executor, generator, test="t", planned_s=20.0, iterations=count).run()

    final = result.final
    assert (result.stop_reason.kind, result.stop_reason.detail) == (StopKind.TIME, "all scenarios have ended")
    assert final.iterations_ended == {"order": 20, "later": 7}
    totals = scenario_totals(final.endpoints.values())
    assert (totals["order"].requests, totals["later"].requests) == (20, 7)
    pages = final.endpoints[EndpointKey("GET", "/page", "browse")].requests
    assert totals["browse"].requests == pages == Visitor.seen["Visitor (browse)"] > 20
    assert sum(stats.requests for stats in totals.values()) == final.total.requests
    assert final.iterations["Visitor (order)"] == 20
    alike = without_scenarios(final.endpoints)
    assert alike[EndpointKey("POST", "/order")].requests == 27
    assert set(alike) == {EndpointKey("POST", "/order"), EndpointKey("GET", "/page")}


def test_requests_in_flight_are_those_of_their_scenario() -> None:
    class Slow(User):
        @task
        def hang(self) -> None:
            with self.environment.request("GET", "/slow"):
                gevent.sleep(30)

    classes = classes_of_scenarios([Scenario("one", Slow), Scenario("two", Slow)])
    environment = Environment(events=Events(), recorder=Recorder(), user_classes=list(classes))
    generator = LocalGenerator(environment)
    generator.spawn_user("Slow (one)")
    generator.spawn_user("Slow (two)")
    generator.spawn_user("Slow (two)")
    gevent.sleep(0.05)
    found = generator.in_flight(1e9)
    generator.stop(0)
    assert {key.scenario: each.count for key, each in found.items()} == {"one": 1, "two": 2}
    assert [scenario.name for scenario, _ in scenarios_in(classes)] == ["one", "two"]
