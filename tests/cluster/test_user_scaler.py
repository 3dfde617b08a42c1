"""A worker brings its users where the master wants them, evenly, on a clock of the test's own."""

from obswarm.cluster.worker.user_scaler import UserScaler


class Spawner:
    def __init__(self) -> None:
        self.now = 0.0
        self.times: list[float] = []
        self.users = {"A": 0, "B": 0}

    def spawn(self, user_class: str) -> None:
        self.times.append(self.now)
        self.users[user_class] += 1

    def retire(self, user_class: str) -> None:
        self.times.append(self.now)
        self.users[user_class] -= 1


def follow(follower: UserScaler, pool: Spawner, until_s: float) -> None:
    while pool.now < until_s:
        pool.now += follower.step(pool.now)


def test_users_come_evenly_at_the_rate_given() -> None:
    pool = Spawner()
    follower = UserScaler(["A", "B"], pool)
    follower.assign(1, {"A": 70, "B": 30}, 100.0, 0.0)
    assert follower.settled == 0
    follow(follower, pool, 2.0)
    assert pool.users == {"A": 70, "B": 30}
    assert follower.settled == 1
    assert 0.75 < max(pool.times) < 1.1
    busiest = max(sum(1 for time in pool.times if start <= time < start + 0.1) for start in pool.times)
    assert busiest <= 14


def test_the_newest_assignment_counts_and_users_go_as_well() -> None:
    pool = Spawner()
    follower = UserScaler(["A", "B"], pool)
    follower.assign(1, {"A": 100}, 100.0, 0.0)
    follow(follower, pool, 0.4)
    follower.assign(2, {"A": 10, "B": 5, "C": 3}, 400.0, pool.now)
    follow(follower, pool, 1.0)
    assert pool.users == {"A": 10, "B": 5}
    assert follower.settled == 2


def test_what_is_late_is_not_made_up_for_in_a_burst() -> None:
    pool = Spawner()
    follower = UserScaler(["A"], pool)
    follower.assign(1, {"A": 20}, 100.0, 0.0)
    pool.now = 1.0
    follower.assign(2, {"A": 100}, 100.0, pool.now)
    follow(follower, pool, 1.5)
    assert 50 <= pool.users["A"] <= 62


def test_an_assignment_that_changes_nothing_is_carried_out_at_once() -> None:
    follower = UserScaler(["A"], Spawner())
    follower.assign(7, {"A": 0}, 1.0, 0.0)
    assert follower.settled == 7


def test_what_another_master_had_assigned_does_not_count_as_carried_out() -> None:
    """Its numbers begin anew."""
    pool = Spawner()
    follower = UserScaler(["A"], pool)
    follower.assign(57, {}, 10, 0.0)
    assert follower.settled == 57
    follower.assign(1, {"A": 2}, 1, 0.0)
    assert follower.settled == 0
    follow(follower, pool, 3.0)
    assert follower.settled == 1


def test_after_the_users_were_ended_it_starts_from_nothing() -> None:
    pool = Spawner()
    follower = UserScaler(["A", "B"], pool)
    follower.assign(1, {"A": 5}, 50.0, 0.0)
    follow(follower, pool, 1.0)
    follower.forget()
    pool.users["A"] = 0
    follow(follower, pool, 2.0)
    assert pool.users["A"] == 0
    follower.assign(2, {"A": 5}, 50.0, pool.now)
    follow(follower, pool, 3.0)
    assert pool.users["A"] == 5
