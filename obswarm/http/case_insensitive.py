"""Headers as a dict. As requests.structures.CaseInsensitiveDict, without requests: FastHttpUser does not import it."""

from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from typing import Any, TypeVar

_Value = TypeVar("_Value")


class CaseInsensitiveDict(MutableMapping[str, _Value]):
    """A dict that ignores the case of its keys, and has them as they were last set.

    `CaseInsensitiveDict({"Accept": "*/*"})["accept"]` is `"*/*"`. It is equal to any mapping with the same values.
    """

    def __init__(self, fields: Mapping[str, _Value] | Iterable[tuple[str, _Value]] = (), **others: _Value) -> None:
        self._store: dict[str, tuple[str, _Value]] = {}
        """By the key in lower case: the key as it was set, and the value."""
        self.update(fields, **others)

    def __setitem__(self, key: str, value: _Value) -> None:
        self._store[key.lower()] = (key, value)

    def __getitem__(self, key: str) -> _Value:
        return self._store[key.lower()][1]

    def __delitem__(self, key: str) -> None:
        del self._store[key.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter([key for key, _ in self._store.values()])

    def __len__(self) -> int:
        return len(self._store)

    def lower_items(self) -> Iterator[tuple[str, _Value]]:
        """Iterate over keys in lower case, and values."""
        return iter([(lowered, value) for lowered, (_, value) in self._store.items()])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Mapping):
            return NotImplemented
        return dict(self.lower_items()) == dict(CaseInsensitiveDict[Any](other).lower_items())

    __hash__ = None  # type: ignore[assignment]  # as other dicts

    def copy(self) -> "CaseInsensitiveDict[_Value]":
        """Return an independent copy."""
        return CaseInsensitiveDict(self._store.values())

    def __repr__(self) -> str:
        return repr(dict(self.items()))
