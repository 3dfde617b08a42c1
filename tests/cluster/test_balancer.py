"""Who gets which users."""

from hypothesis import given
from hypothesis import strategies as st

from obswarm.cluster.master.balancer import Balance, WorkerLoad, apportion, distribute

WEIGHTS = st.dictionaries(st.integers(0, 50).map("w{}".format), st.floats(0.01, 1000), min_size=1, max_size=20)
WANTED = st.dictionaries(st.sampled_from("ABCDE"), st.integers(0, 5000), min_size=1)


@given(st.integers(0, 100_000), st.lists(st.floats(0, 1000), min_size=1, max_size=30).filter(any))
def test_shares_sum_up_and_are_less_than_one_away_from_exact(total: int, weights: list[float]) -> None:
    given_out = apportion(total, weights)
    assert sum(given_out) == total
    whole = sum(weights)
    assert all(abs(share - total * weight / whole) < 1.001 for share, weight in zip(given_out, weights, strict=True))


def test_what_is_left_goes_to_the_largest_remainders() -> None:
    assert apportion(10, [1, 1, 1]) == [4, 3, 3]
    assert apportion(7, [5, 3, 1]) == [4, 2, 1]
    assert apportion(10, [0, 1]) == [0, 10]


def test_what_is_near_enough_stays_where_it_is() -> None:
    assert apportion(10, [1, 1, 1], [3, 3, 4]) == [3, 3, 4]
    assert apportion(11, [1, 1, 1], [3, 3, 4]) == [4, 3, 4]


@given(WANTED, WEIGHTS)
def test_classes_are_exact_and_workers_have_their_shares(wanted: dict[str, int], weights: dict[str, float]) -> None:
    result = distribute(wanted, weights)
    for name, number in wanted.items():
        assert sum(users.get(name, 0) for users in result.values()) == number
    total, whole = sum(wanted.values()), sum(weights.values())
    for worker, weight in weights.items():
        assert abs(sum(result[worker].values()) - total * weight / whole) < 1.001
        assert min(result[worker].values()) >= 0


@given(WANTED, WEIGHTS, st.sampled_from("ABCDE"))
def test_nothing_moves_without_need(wanted: dict[str, int], weights: dict[str, float], more: str) -> None:
    before = distribute(wanted, weights)
    assert distribute(wanted, weights, before) == before
    after = distribute({**wanted, more: wanted.get(more, 0) + 1}, weights, before)
    taken = sum(
        max(0, number - after[worker].get(name, 0))
        for worker, users in before.items()
        for name, number in users.items()
    )
    assert taken <= len(wanted) + 1, "one user more takes hardly any away"


@given(WANTED, WEIGHTS)
def test_a_lost_workers_users_go_to_the_others(wanted: dict[str, int], weights: dict[str, float]) -> None:
    before = distribute(wanted, weights)
    left = dict(list(weights.items())[1:])
    after = distribute(wanted, left, before)
    if left:
        assert sum(sum(users.values()) for users in after.values()) == sum(wanted.values())
    else:
        assert after == {}


def test_workers_without_capacity_get_no_users() -> None:
    assert distribute({"A": 5}, {"x": 0, "y": 1}) == {"x": {"A": 0}, "y": {"A": 5}}


def test_shares_follow_capacity_or_are_equal() -> None:
    assert Balance(True).weights({"x": 100, "y": 50, "z": 0}) == {"x": 100, "y": 50, "z": 75}
    assert Balance(False).weights({"x": 100, "y": 50}) == {"x": 1, "y": 1}


def test_a_strained_worker_gives_weight_away_only_while_others_have_room() -> None:
    balance = Balance(True)
    strained, idle, busy = WorkerLoad(0.99, 2), WorkerLoad(0.3, 0), WorkerLoad(0.8, 0)
    assert balance.update({"x": WorkerLoad(0.99, 1), "y": idle}) == []
    assert balance.update({"x": strained, "y": busy}) == []
    assert balance.update({"x": strained, "y": idle}) == ["x"]
    assert balance.weights({"x": 100, "y": 100}) == {"x": 75, "y": 100}
    assert balance.update({"x": strained, "y": idle}) == [], "it takes a while to show"
    assert balance.update({"x": strained, "y": idle}) == []
    assert balance.update({"x": strained, "y": idle}) == ["x"]
    assert Balance(False).update({"x": strained, "y": idle}) == []
