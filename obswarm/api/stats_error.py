"""StatsError: an error of `environment.stats.errors`, under Locust's names."""

import hashlib
import re
from typing import Any

_ADDRESS = re.compile(r"(?<=object at )0x[^>]*(?=>)")


class StatsError:
    """An error of an endpoint, with its number of `occurrences`, and the wall times of the first and the last one."""

    def __init__(
        self,
        method: str,
        name: str,
        error: Exception | str | None,
        occurrences: int = 0,
        first_seen: float | None = None,
        last_seen: float | None = None,
    ) -> None:
        self.method = method
        self.name = name
        self.error = error
        self.occurrences = occurrences
        self.first_seen = first_seen
        self.last_seen = last_seen

    @classmethod
    def parse_error(cls, error: Exception | str | None) -> str:
        """Return the error as text, without addresses of objects."""
        return _ADDRESS.sub("0x....", error if isinstance(error, str) else repr(error))

    @classmethod
    def create_key(cls, method: str, name: str, error: Exception | str | None) -> str:
        """Return the key of an error in `environment.stats.errors`."""
        return hashlib.sha256(f"{method}.{name}.{cls.parse_error(error)!r}".encode()).hexdigest()

    @property
    def key(self) -> str:
        return self.create_key(self.method, self.name, self.error)

    def to_name(self) -> str:
        """Return method, name and error as one text."""
        return f"{self.method} {self.name}: {self.error if isinstance(self.error, str) else repr(self.error)}"

    def to_dict(self) -> dict[str, Any]:
        return {
            "method": self.method,
            "name": self.name,
            "error": self.parse_error(self.error),
            "occurrences": self.occurrences,
            "first_seen": self.first_seen,
            "last_seen": self.last_seen,
        }

    serialize = to_dict

    @classmethod
    def unserialize(cls, data: dict[str, Any]) -> "StatsError":
        """Return the error of which `serialize` has made this."""
        return cls(
            data["method"],
            data["name"],
            data["error"],
            data["occurrences"],
            data.get("first_seen"),
            data.get("last_seen"),
        )
