"""States that more than one package names: in metrics' labels, JSON, the store and the terminal."""

from enum import StrEnum


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
