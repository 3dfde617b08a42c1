"""Exceptions of a load test's own, whatever they are, are counted under a clean text."""

from hypothesis import given

from obswarm.api import Environment, Events, User, task
from obswarm.sanitize import is_clean
from obswarm.stats import Recorder
from tests.support.anything import ANY_EXCEPTION


class Visitor(User):
    @task
    def nothing(self) -> None: ...


@given(ANY_EXCEPTION)
def test_any_exception_of_a_task_is_counted_once(error: Exception) -> None:
    environment = Environment(events=Events(), recorder=Recorder(), user_classes=[Visitor])
    Visitor(environment).report_error(error)
    (found,) = environment.recorder.take().exceptions.values()
    assert found.count == 1
    assert found.message.startswith("Visitor: ")
    assert is_clean(found.message)
