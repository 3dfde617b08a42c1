"""`locust.exception`: exceptions that control a user, and those of Locust's own."""

from obswarm.api import (
    CatchResponseError,
    InterruptTaskSet,
    RescheduleTask,
    RescheduleTaskImmediately,
    ResponseError,
    StopTest,
    StopUser,
)

__all__ = [
    "CatchResponseError",
    "InterruptTaskSet",
    "LocustError",
    "MissingWaitTimeError",
    "RPCError",
    "RPCReceiveError",
    "RPCSendError",
    "RescheduleTask",
    "RescheduleTaskImmediately",
    "ResponseError",
    "RunnerAlreadyExistsError",
    "StopTest",
    "StopUser",
]


class LocustError(Exception):
    """For locustfiles that raise it. obswarm itself raises LoadTestError for a wrong load test."""


class MissingWaitTimeError(LocustError):
    """For locustfiles that name it; without a wait time, users of obswarm do not wait."""


class RunnerAlreadyExistsError(Exception):
    """For locustfiles that name it."""


class RPCError(Exception):
    """For locustfiles that name it; a message that cannot be sent raises ObswarmError."""


class RPCSendError(RPCError):
    """For locustfiles that name it."""


class RPCReceiveError(RPCError):
    """For locustfiles that name it."""
