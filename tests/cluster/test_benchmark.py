"""The clients of a worker's users, and how fast they are here."""

import pytest

from obswarm.api import User
from obswarm.cluster.worker.benchmark import client_shares, combined, requests_per_cpu_second
from obswarm.http import FastHttpUser, HttpUser


class Fast(FastHttpUser):
    weight = 3


class Plain(HttpUser):
    pass


class Database(User):
    fixed_count = 250


class NoUsers(HttpUser):
    weight = 0


@pytest.mark.parametrize(
    ("classes", "shares"),
    [
        ([Fast], {FastHttpUser: 1}),
        ([Fast, Plain], {FastHttpUser: 0.75, HttpUser: 0.25}),
        ([Fast, Plain, Database], {FastHttpUser: 0.5625, HttpUser: 0.1875, User: 0.25}),
        ([Fast, NoUsers], {FastHttpUser: 1}),
        ([NoUsers], {User: 1}),
    ],
)
def test_the_share_of_each_client(classes: list[type[User]], shares: dict[type[User], float]) -> None:
    assert client_shares(classes) == pytest.approx(shares, abs=0.001)


def test_a_slow_client_slows_down_by_its_share() -> None:
    assert combined({FastHttpUser: 1000, HttpUser: 100}, {FastHttpUser: 0.5, HttpUser: 0.5}) == pytest.approx(
        181.8, 0.01
    )


@pytest.mark.parametrize(
    ("classes", "least"), [([Fast], 1000), ([Plain], 300), ([Database], 1000), ([Fast, Plain, Database], 1000)]
)
def test_the_benchmark_of_this_machine_is_positive(classes: list[type[User]], least: int) -> None:
    assert requests_per_cpu_second(classes) > least
