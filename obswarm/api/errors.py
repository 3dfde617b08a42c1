"""Exceptions: those that control a user, those that a load test sees, and those with a message for the terminal."""

from obswarm.errors import ObswarmError as ObswarmError


class LoadTestError(ObswarmError):
    """The load-test file is wrong in a way that only shows when it is used, such as a user class without tasks."""


class InternalError(ObswarmError):
    """A part of obswarm itself has failed, and the run had to end. What was measured is in the result."""


class InterruptTaskSet(Exception):
    """Leaves the current TaskSet; raised by `TaskSet.interrupt`."""

    def __init__(self, reschedule: bool = True) -> None:
        """With `reschedule` the parent picks its next task at once, else after its wait time."""
        super().__init__(reschedule)
        self.reschedule = reschedule


class RescheduleTask(Exception):
    """Ends the current task; the next one follows after the wait time."""


class RescheduleTaskImmediately(Exception):
    """Ends the current task; the next one follows without waiting."""


class StopUser(Exception):
    """Ends this user for good. It is not replaced."""


class StopTest(Exception):
    """Ends the whole run, from inside any user."""


STEERING_EXCEPTIONS = (InterruptTaskSet, RescheduleTask, RescheduleTaskImmediately, StopUser, StopTest)
"""Exceptions that are not errors: event listeners and `with` blocks let them through."""


class ResponseError(Exception):
    """An answer whose status says failure (4xx or 5xx)."""

    has_full_message = True


class CatchResponseError(Exception):
    """The load-test file itself declared a response a failure."""

    has_full_message = True
