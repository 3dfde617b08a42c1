from collections import Counter

import gevent
import pytest

from obswarm.api import (
    Environment,
    InterruptTaskSet,
    LoadTestError,
    MarkovTaskSet,
    RescheduleTask,
    RescheduleTaskImmediately,
    SequentialTaskSet,
    StopUser,
    TaskSet,
    User,
    constant,
    filter_by_tags,
    tag,
    task,
    transition,
    transitions,
)


def live(cls: type[User], environment: Environment, limit_s: float = 5) -> User:
    """Let one user live until it ends by itself."""
    user = cls(environment)
    with gevent.Timeout(limit_s):
        user.run()
    return user


def names(tasks) -> Counter:
    return Counter(entry.__name__ for entry in tasks)


def test_tasks_are_collected_from_decorators_attribute_and_base_classes() -> None:
    def outside(user):
        pass

    class Base(User):
        @task(2)
        def a(self):
            pass

    class Sub(Base):
        tasks = {outside: 3}

        @task
        def b(self):
            pass

    assert names(Sub.tasks) == {"a": 2, "outside": 3, "b": 1}
    assert names(Base.tasks) == {"a": 2}


def test_tasks_may_be_a_list_also_one_with_weights() -> None:
    def one(user):
        pass

    def two(user):
        pass

    class Visitor(User):
        tasks = [one, (two, 4)]

    assert names(Visitor.tasks) == {"one": 1, "two": 4}


@pytest.mark.parametrize("bad", ["x", [1], {"a": 1}, [(print, "three")], [(print, -1)]])
def test_tasks_of_another_kind_are_refused_with_the_class_named(bad) -> None:
    with pytest.raises(LoadTestError, match=r"Visitor\.tasks"):
        type("Visitor", (User,), {"tasks": bad})


@pytest.mark.parametrize("weight", [-1, 1.5, True, "2"])
def test_a_weight_is_a_whole_number(weight) -> None:
    with pytest.raises(ValueError, match="weight"):
        task(weight)


def test_weights_decide_how_often_a_task_is_picked(environment) -> None:
    picked: Counter = Counter()

    class Visitor(User):
        @task(9)
        def often(self):
            self._count("often")

        @task(1)
        def seldom(self):
            self._count("seldom")

        def _count(self, name):
            picked[name] += 1
            if picked.total() == 3000:
                raise StopUser

    live(Visitor, environment)
    assert 2550 < picked["often"] < 2850


def test_a_users_life_goes_from_on_start_through_tasks_to_on_stop(environment) -> None:
    course = []

    class Visitor(User):
        def on_start(self):
            course.append("on_start")

        def on_stop(self):
            course.append("on_stop")

        @task
        def once(self):
            course.append("task")
            raise StopUser

    live(Visitor, environment)
    assert course == ["on_start", "task", "on_stop"]


def test_a_nested_taskset_runs_until_it_interrupts_and_knows_user_and_parent(environment) -> None:
    course = []

    class Thread(TaskSet):
        @task
        def read(self):
            course.append((type(self.parent).__name__, type(self.user).__name__, self.client))
            self.interrupt(reschedule=False)

    class Forum(TaskSet):
        def on_start(self):
            course.append("in")
            self.schedule_task(Thread)
            self.schedule_task(Forum.leave)

        def on_stop(self):
            course.append("out")

        def wait_time(self):
            course.append("wait")
            return 0

        def leave(self):
            self.interrupt()

    class Visitor(User):
        tasks = [Forum]

        def __init__(self, env):
            super().__init__(env)
            self.client = "the client"

        def wait_time(self):
            raise AssertionError("interrupt() reschedules at once")

        def on_stop(self):
            course.append("end")

    greenlet = gevent.spawn(Visitor(environment).run)
    gevent.sleep(0)
    gevent.sleep(0)
    greenlet.kill()
    assert course[:4] == ["in", ("Forum", "Visitor", "the client"), "wait", "out"]
    assert course[-1] == "end"


def test_interrupt_in_on_start_leaves_the_taskset(environment) -> None:
    course = []

    class Visitor(User):
        @task
        class Closed(TaskSet):
            def on_start(self):
                course.append("closed")
                if len(course) == 3:
                    raise StopUser
                self.interrupt()

            @task
            def never(self):
                raise AssertionError("must not run")

    live(Visitor, environment)
    assert course == ["closed"] * 3


def test_a_sequential_taskset_goes_round_in_order_of_declaration(environment) -> None:
    course = []

    def between_them(taskset):
        course.append("between")

    class Steps(SequentialTaskSet):
        @task
        def first(self):
            course.append("first")

        tasks = [between_them]

        @task(2)
        def last(self):
            course.append("last")
            if len(course) == 8:
                raise StopUser

    class Visitor(User):
        tasks = [Steps]

    live(Visitor, environment)
    assert course == ["first", "between", "last", "last"] * 2


def test_reschedule_waits_unless_immediately(environment) -> None:
    course = []

    class Visitor(User):
        def wait_time(self):
            course.append("wait")
            return 0

        @task
        def again(self):
            course.append("task")
            if len(course) > 5:
                raise StopUser
            raise RescheduleTask if len(course) < 3 else RescheduleTaskImmediately

    live(Visitor, environment)
    assert course == ["task", "wait", "task", "task", "task", "task"]


def test_an_exception_in_a_task_is_counted_and_told_and_the_user_goes_on(environment, caplog) -> None:
    told = []
    environment.events.user_error.add_listener(lambda user_instance, exception, tb, **_: told.append(exception))

    class Visitor(User):
        rounds = 0

        @task
        def broken(self):
            self.rounds += 1
            if self.rounds == 4:
                raise StopUser
            raise KeyError("status")

    live(Visitor, environment)
    assert len(told) == 3
    (found,) = environment.recorder.take().exceptions.values()
    assert found.count == 3
    assert found.message.startswith("Visitor: KeyError: 'status' (test_tasks.py:")
    assert len([record for record in caplog.records if "KeyError" in record.getMessage()]) == 1
    assert "obswarm/api" not in caplog.text


def test_a_failing_wait_time_does_not_become_a_busy_loop(environment) -> None:
    class Visitor(User):
        rounds = 0

        def wait_time(self):
            raise ValueError("no idea")

        @task
        def count(self):
            type(self).rounds += 1

    greenlet = gevent.spawn(Visitor(environment).run)
    greenlet.join(0.2)
    greenlet.kill()
    assert Visitor.rounds == 1


def test_a_user_that_is_to_stop_does_so_after_its_task(environment) -> None:
    course = []

    class Visitor(User):
        @task
        def work(self):
            self.is_stopping = True
            course.append("finished")

        def on_stop(self):
            course.append("on_stop")

    live(Visitor, environment)
    assert course == ["finished", "on_stop"]


def test_waiting_in_the_middle_of_a_task_is_a_place_to_stop(environment) -> None:
    class Visitor(User):
        wait_time = constant(0)

        @task
        def work(self):
            self.is_stopping = True
            self.wait()
            raise AssertionError("must not be reached")

    live(Visitor, environment)
    assert not environment.recorder.take().exceptions


def test_no_tasks_is_an_error_that_says_what_to_do(environment) -> None:
    class Idle(User):
        pass

    with pytest.raises(LoadTestError, match="Idle has no tasks"):
        Idle(environment).run()


def make_tagged() -> type[User]:
    class Tagged(User):
        @tag("read")
        @task
        def read(self):
            pass

        @tag("write", "slow")
        @task
        def write(self):
            pass

        @task
        def plain(self):
            pass

        @tag("forum")
        @task
        class Forum(TaskSet):
            @tag("read")
            @task
            def thread(self):
                pass

            @task
            def other(self):
                pass

    return Tagged


@pytest.mark.parametrize(
    ("include", "exclude", "expected", "in_forum"),
    [
        ({"read"}, None, {"read", "Forum"}, {"thread"}),
        ({"forum"}, None, {"Forum"}, {"thread", "other"}),
        (None, {"slow"}, {"read", "plain", "Forum"}, {"thread", "other"}),
        (None, {"forum"}, {"read", "write", "plain"}, set()),
        ({"read"}, {"forum"}, {"read"}, set()),
        ({"nothing"}, None, set(), set()),
    ],
)
def test_tags_choose_tasks_also_nested_ones(include, exclude, expected, in_forum) -> None:
    cls = make_tagged()
    forum = cls.Forum
    filter_by_tags(cls, frozenset(include) if include else None, frozenset(exclude) if exclude else None)
    assert set(names(cls.tasks)) == expected
    assert set(names(forum.tasks)) == in_forum


def test_a_markov_taskset_walks_along_its_transitions(environment) -> None:
    course = []

    class Walk(MarkovTaskSet):
        @transition("browse")
        def home(self):
            course.append("home")

        @transitions({"home": 1})
        def browse(self):
            course.append("browse")
            if len(course) == 6:
                raise StopUser

    class Visitor(User):
        tasks = [Walk]

    live(Visitor, environment)
    assert course == ["home", "browse"] * 3


def test_a_transition_to_nowhere_is_refused() -> None:
    with pytest.raises(LoadTestError, match="Walk.home has a transition to 'gone'"):

        class Walk(MarkovTaskSet):
            @transition("gone")
            def home(self):
                pass


def test_interrupt_exception_carries_whether_to_reschedule() -> None:
    assert InterruptTaskSet().reschedule
    assert not InterruptTaskSet(reschedule=False).reschedule


def test_one_iteration_is_the_next_task_without_a_wait(environment: Environment) -> None:
    class Visitor(User):
        wait_time = constant(60)
        done = 0

        @task
        def visit(self):
            self.done += 1
            if self.done == 2:
                raise ValueError("no page")

    user = Visitor(environment)
    user.run_iteration()
    assert user.done == 1
    with pytest.raises(ValueError, match="no page"):
        user.run_iteration()
    user.run_iteration()
    user.is_stopping = True
    with pytest.raises(StopUser):
        user.run_iteration()
    assert user.done == 3
    assert environment.recorder.take().iterations == {"Visitor": 3}, "one that raised has ended, too"
