"""A worker brings its users where the master wants them, evenly, on a clock of the test's own."""

from obswarm.engine import Assignment, UserScaler


class Scaled:
    """A scaler, and the users that it has assigned on the way."""

    def __init__(self, *classes: str) -> None:
        self.now = 0.0
        self.times: list[float] = []
        """Of each change by one user."""
        self.scaler = UserScaler(list(classes))

    @property
    def users(self) -> dict[str, int]:
        return self.scaler.assigned

    def assign(self, number: int, users: dict[str, int], spawn_rate: float) -> None:
        self.scaler.assign(number, Assignment(users, spawn_rate), self.now)

    def until(self, time_s: float) -> None:
        while self.now < time_s:
            before = dict(self.scaler.assigned)
            assignment = self.scaler.step(self.now)
            for name, users in assignment.users.items():
                self.times += [self.now] * abs(users - before[name])
            self.now += assignment.wait_s


def test_users_come_evenly_at_the_rate_given() -> None:
    scaled = Scaled("A", "B")
    scaled.assign(1, {"A": 70, "B": 30}, 100.0)
    assert scaled.scaler.settled == 0
    scaled.until(2.0)
    assert scaled.users == {"A": 70, "B": 30}
    assert scaled.scaler.settled == 1
    assert 0.75 < max(scaled.times) < 1.1
    busiest = max(sum(1 for time in scaled.times if start <= time < start + 0.1) for start in scaled.times)
    assert busiest <= 14


def test_the_newest_assignment_counts_and_users_go_as_well() -> None:
    scaled = Scaled("A", "B")
    scaled.assign(1, {"A": 100}, 100.0)
    scaled.until(0.4)
    scaled.assign(2, {"A": 10, "B": 5, "C": 3}, 400.0)
    scaled.until(1.0)
    assert scaled.users == {"A": 10, "B": 5}
    assert scaled.scaler.settled == 2


def test_what_is_late_is_not_made_up_for_in_a_burst() -> None:
    scaled = Scaled("A")
    scaled.assign(1, {"A": 20}, 100.0)
    scaled.now = 1.0
    scaled.assign(2, {"A": 100}, 100.0)
    scaled.until(1.5)
    assert 50 <= scaled.users["A"] <= 62


def test_an_assignment_that_changes_nothing_is_carried_out_at_once() -> None:
    scaled = Scaled("A")
    scaled.assign(7, {"A": 0}, 1.0)
    assert scaled.scaler.settled == 7


def test_what_another_master_had_assigned_does_not_count_as_carried_out() -> None:
    """Its numbers begin anew."""
    scaled = Scaled("A")
    scaled.assign(57, {}, 10)
    assert scaled.scaler.settled == 57
    scaled.assign(1, {"A": 2}, 1)
    assert scaled.scaler.settled == 0
    scaled.until(3.0)
    assert scaled.scaler.settled == 1


def test_after_the_users_were_ended_it_starts_from_nothing() -> None:
    scaled = Scaled("A", "B")
    scaled.assign(1, {"A": 5}, 50.0)
    scaled.until(1.0)
    scaled.scaler.forget()
    scaled.until(2.0)
    assert scaled.users["A"] == 0
    scaled.assign(2, {"A": 5}, 50.0)
    scaled.until(3.0)
    assert scaled.users["A"] == 5
