"""The headers that a session sends with every request."""

from collections.abc import Callable, Mapping

from requests.structures import CaseInsensitiveDict


class SessionHeaders(CaseInsensitiveDict[str]):
    """A dict that ignores the case of names, and tells when it changes."""

    def __init__(self, fields: Mapping[str, str], on_change: Callable[[], None]) -> None:
        self._on_change: Callable[[], None] | None = None
        super().__init__(fields)
        self._on_change = on_change

    def __setitem__(self, key: str, value: str) -> None:
        super().__setitem__(key, value)
        if self._on_change is not None:
            self._on_change()

    def __delitem__(self, key: str) -> None:
        super().__delitem__(key)
        if self._on_change is not None:
            self._on_change()

    def copy(self) -> "CaseInsensitiveDict[str]":
        """An independent one."""
        return CaseInsensitiveDict(self)

    def present(self) -> dict[str, str]:
        """Without those whose value is None, which leaves a header out."""
        values: Mapping[str, str | None] = self
        return {name: value for name, value in values.items() if value is not None}
