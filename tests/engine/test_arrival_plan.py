import math
from dataclasses import replace

import pytest

from obswarm.api import ArrivalRate, ObswarmError, User, task
from obswarm.config.run_config import LoadConfig
from obswarm.engine import plan_arrivals


class Visitor(User):
    weight = 3

    @task
    def nothing(self) -> None: ...


class Buyer(Visitor):
    weight = 1


CONFIG = LoadConfig(arrivals="constant", max_users=100)


def test_a_rate_is_divided_by_weight_and_loses_nothing() -> None:
    loads = plan_arrivals([Visitor, Buyer], None, replace(CONFIG, arrival_rate="10s:100/s,10s:7/s", arrivals="poisson"))
    assert [loads[name].curve.at(10) for name in ("Visitor", "Buyer")] == [75, 25]
    assert sum(load.curve.integral(99) for load in loads.values()) == pytest.approx(500 + 535)
    assert sum(load.max_users for load in loads.values()) == 100
    assert Visitor._arrivals == ("poisson", None)


def test_without_a_rate_the_model_is_closed() -> None:
    assert plan_arrivals([Visitor, Buyer], None, CONFIG) == {}


def test_a_class_may_have_a_rate_of_its_own() -> None:
    class Own(Visitor):
        arrival_rate = ArrivalRate("20/s", arrivals="poisson", seed=5, max_users=7)

    loads = plan_arrivals([Visitor, Own], None, replace(CONFIG, arrivals_seed=3))
    assert list(loads) == ["Own"]
    assert (loads["Own"].curve.at(0), loads["Own"].max_users, Own._arrivals) == (20, 7, ("poisson", 5))
    of_file = plan_arrivals([Visitor, Own, Buyer], ArrivalRate("8/s"), replace(CONFIG, arrivals_seed=3))
    assert {name: load.curve.at(0) for name, load in of_file.items()} == {"Own": 20, "Visitor": 6, "Buyer": 2}
    assert Buyer._arrivals == ("constant", 3)
    # A number of users replaces the rate of the file, and no class's own.
    assert list(plan_arrivals([Visitor, Own], ArrivalRate("8/s"), replace(CONFIG, users=5))) == ["Own"]
    # The command line replaces all.
    given = plan_arrivals([Visitor, Own], ArrivalRate("8/s"), replace(CONFIG, arrival_rate="4/s"))
    assert {name: load.curve.at(0) for name, load in given.items()} == {"Visitor": 2, "Own": 2}


def test_what_cannot_run_iterations_is_a_sentence() -> None:
    class Running(Visitor):
        def run(self) -> None: ...

    class Fixed(Visitor):
        fixed_count = 2

    class Wrong(Visitor):
        arrival_rate = "often"

    rate = replace(CONFIG, arrival_rate="4/s")
    for classes, config, part in (
        ([Running], rate, "Running overrides User.run, so its users have no iterations"),
        ([Visitor, Fixed], rate, "Fixed has a fixed_count of 2, but the load is a rate"),
        ([Wrong], CONFIG, r"Wrong\.arrival_rate: ArrivalRate: 'often' is not a rate"),
        ([Visitor, Buyer], replace(rate, max_users=1), "A maximum of 1 users is too low for 2 user classes"),
    ):
        with pytest.raises(ObswarmError, match=part):
            plan_arrivals(classes, None, config)
    assert plan_arrivals([Fixed], None, rate)["Fixed"].curve.at(math.pi) == 4
