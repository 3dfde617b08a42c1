"""Scenarios as a load-test file writes them."""

from typing import Any

import pytest

from obswarm.api import ArrivalRate, ObswarmError, Scenario, Stage, User, task


class Visitor(User):
    @task
    def nothing(self) -> None: ...


class Buyer(Visitor): ...


class Base(Visitor):
    abstract = True


def test_a_load_is_a_number_of_users_stages_or_a_rate() -> None:
    assert Scenario("s", Visitor, 5).parsed_load() == 5
    assert Scenario("s", Visitor, "30s:10,1m:0").parsed_load() == (Stage(30.0, 10), Stage(60.0, 0))
    rate = Scenario("s", Visitor, "30s:10/s").parsed_load()
    assert isinstance(rate, ArrivalRate)
    assert rate.stages()[0].rate == 10
    load = ArrivalRate("5/s", arrivals="poisson")
    assert Scenario("s", Visitor, load).parsed_load() is load


def test_a_start_is_a_duration_or_the_name_of_a_scenario() -> None:
    assert Scenario("s", Visitor).start_s() == 0
    assert Scenario("s", Visitor, start_after="1m30s").start_s() == 90
    assert Scenario("s", Visitor, start_after=5).start_s() == 5
    assert Scenario("s", Visitor, start_after="browse").start_s() is None
    assert Scenario("s", [Visitor, Buyer]).user_classes == (Visitor, Buyer)
    assert Scenario("s", Visitor).user_classes == (Visitor,)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"name": ""}, "the name '' has to be a text of 1 to 100 characters"),
        ({"name": "a\nb"}, "has to be a text of 1 to 100 characters"),
        ({"user": []}, "Scenario 's': user is []; it has to be a user class"),
        ({"user": [3]}, "Scenario 's': user is [3]; it has to be a user class"),
        ({"load": 0}, "Scenario 's': load is 0; it has to be a number of users"),
        ({"load": True}, "Scenario 's': load is True"),
        ({"load": "10"}, "Scenario 's': load: stage 1 ('10') has no colon"),
        ({"load": "ten/s"}, "Scenario 's': load: ArrivalRate: "),
        ({"tags": "a"}, "Scenario 's': tags is 'a'; it has to be a list of texts."),
        ({"require": [5]}, "Scenario 's': require is [5]; it has to be a list of texts."),
        ({"iterations": 0}, "Scenario 's': iterations is 0"),
        ({"spawn_rate": 0}, "Scenario 's': spawn_rate is 0"),
        ({"spawn_rate": 3, "load": "5/s"}, "Scenario 's': spawn_rate is given, but goes with a number of users only"),
        ({"spawn_rate": 1.0, "load": "30s:10"}, "Scenario 's': spawn_rate is given, but goes with a number of users"),
        ({"user": Base}, "Scenario 's': the user class Base has abstract = True, so it is only to be subclassed"),
        ({"run_time": "soon"}, "Scenario 's': run_time: 'soon' is not a duration"),
        ({"run_time": 0}, "Scenario 's': run_time is 0; it has to be above 0."),
        ({"start_after": -1}, "Scenario 's': start_after: "),
    ],
)
def test_what_makes_no_sense_is_a_sentence(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ObswarmError) as refused:
        Scenario(**{"name": "s", "user": Visitor, **options})
    assert sentence in str(refused.value)
