"""States and kinds that more than one package names: in metrics' labels, JSON, the store and the terminal."""

from enum import StrEnum


class RunState(StrEnum):
    READY = "ready"
    SPAWNING = "spawning"
    RUNNING = "running"
    HOLDING = "holding"
    STOPPING = "stopping"
    STOPPED = "stopped"


LOADED_STATES = (RunState.SPAWNING, RunState.RUNNING, RunState.HOLDING)
"""In which there is load."""


class WorkerStatus(StrEnum):
    READY = "ready"
    MISSING = "missing"
    """No report for some seconds; its users were given to others."""
    LEAVING = "leaving"
    LOST = "lost"
    """Known to be dead."""
    GONE = "gone"
    """Left, after delivering all of its statistics."""


class StopKind(StrEnum):
    """Why a run stopped."""

    TIME = "time"
    USER = "user"
    """By the load test, or because all users have ended."""
    GUARD = "guard"
    ALERT = "alert"
    SIGNAL = "signal"
    ERROR = "error"
    LOST = "lost"
    """No worker, or no client that asked for the run, is left."""


class AnnotationKind(StrEnum):
    """What an annotation of a run is about."""

    START = "start"
    TAKEOVER = "takeover"
    """A new master continues the run."""
    STOP = "stop"
    STAGE = "stage"
    RESTART = "restart"
    """A part of obswarm failed and was started again."""
    GUARD = "guard"
    ALERT = "alert"
    TARGET = "target"


class GuardState(StrEnum):
    OK = "ok"
    PENDING = "pending"
    """The condition holds, but not yet for as long as its `for`."""
    TRIPPED = "tripped"
    NO_DATA = "no_data"
    """There is no value to evaluate the condition with."""

    @classmethod
    def _missing_(cls, value: object) -> "GuardState | None":
        """Read what obswarm 0.1 stored."""
        return cls.NO_DATA if value == "blind" else None

    @property
    def label(self) -> str:
        """The state for people."""
        return self.replace("_", " ")


class GuardAction(StrEnum):
    """What a guard or an alert does to the run."""

    STOP = "stop"
    """Stop gracefully: running tasks may finish."""
    ABORT = "abort"
    """Stop at once; requests in flight are interrupted."""
    HOLD = "hold"
    """Keep the number of users until released."""
    SCALE = "scale"
    """Go down to a share of the users."""
    NOTIFY = "notify"
    """Only log and annotate."""


class AlertStatus(StrEnum):
    """Of an alert in a delivery, as Alertmanager and Grafana write it."""

    FIRING = "firing"
    RESOLVED = "resolved"
