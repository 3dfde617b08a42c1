"""States and kinds that several packages use: in labels of metrics, JSON, the store and the terminal."""

from enum import StrEnum


class RunState(StrEnum):
    READY = "ready"
    SPAWNING = "spawning"
    RUNNING = "running"
    HOLDING = "holding"
    STOPPING = "stopping"
    STOPPED = "stopped"


LOADED_STATES = (RunState.SPAWNING, RunState.RUNNING, RunState.HOLDING)
"""States with load."""


class WorkerStatus(StrEnum):
    READY = "ready"
    MISSING = "missing"
    """No report for some seconds; its users were moved to other workers."""
    LEAVING = "leaving"
    LOST = "lost"
    """The process has died."""
    GONE = "gone"
    """Left, after delivering all of its statistics."""


class ServiceState(StrEnum):
    """The state of a master service."""

    WAITING = "waiting"
    """Ready for a run request."""
    RUNNING = "running"


class StopKind(StrEnum):
    """Why a run stopped."""

    TIME = "time"
    ITERATIONS = "iterations"
    """All iterations of a limited number have ended."""
    USER = "user"
    """By the load test, or because all users have stopped."""
    GUARD = "guard"
    ALERT = "alert"
    SIGNAL = "signal"
    ERROR = "error"
    LOST = "lost"
    """All workers, or the client that requested the run, are gone."""


class AnnotationKind(StrEnum):
    """The kind of event of an annotation."""

    START = "start"
    TAKEOVER = "takeover"
    """A new master continues the run."""
    STOP = "stop"
    STAGE = "stage"
    RESTART = "restart"
    """A greenlet of obswarm failed and was restarted."""
    GUARD = "guard"
    ALERT = "alert"
    RELEASE = "release"
    """A guard or an alert no longer holds the load."""
    TARGET = "target"
    NOTE = "note"
    """A remark of a user of the page or the API."""


class GuardState(StrEnum):
    OK = "ok"
    PENDING = "pending"
    """The condition holds, but not yet for as long as its `for`."""
    TRIPPED = "tripped"
    NO_DATA = "no_data"
    """There is no value to evaluate the condition with."""

    @classmethod
    def _missing_(cls, value: object) -> "GuardState | None":
        """Convert a state that obswarm 0.1 stored."""
        return cls.NO_DATA if value == "blind" else None

    @property
    def label(self) -> str:
        """The state as text for display."""
        return self.replace("_", " ")


class GuardAction(StrEnum):
    """The effect of a guard or an alert on the run."""

    STOP = "stop"
    """Stop gracefully: running tasks may finish."""
    ABORT = "abort"
    """Stop at once; requests in flight are interrupted."""
    HOLD = "hold"
    """Hold the number of users until released."""
    SCALE = "scale"
    """Reduce the users to a percentage."""
    NOTIFY = "notify"
    """Only log and annotate."""


class AlertStatus(StrEnum):
    """Status of a delivered alert, as Alertmanager and Grafana name it."""

    FIRING = "firing"
    RESOLVED = "resolved"
