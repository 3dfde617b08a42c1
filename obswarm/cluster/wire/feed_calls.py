"""Calls for rows of feeds, and their answers, as the content of Custom messages between workers and their master."""

from typing import Any

from obswarm.feeds import Call

MESSAGE = "obswarm.feed"
"""Type of these messages."""
ERROR = "error"
_MOST_FEEDS = 1_000
_LONGEST = 1_000


def pack_call(number: int, kind: str, feed: str, used: int, position: int) -> list[Any]:
    return [number, kind, feed, used, position]


def pack_used(used: dict[str, int]) -> list[Any]:
    """Return a message about the number of used rows, by feed. It has no answer."""
    return [0, used]


def unpack(node: str, content: Any) -> Call | dict[str, int]:
    """Return the call of a process, or its numbers of used rows. Raises ValueError for anything else."""
    if type(content) is not list or not content:
        raise ValueError("no call for rows")
    if content[0] == 0 and len(content) == 2 and type(content[1]) is dict and len(content[1]) <= _MOST_FEEDS:
        used: dict[str, int] = content[1]
        if all(_is_text(name) and _is_count(number) for name, number in used.items()):
            return used
    if len(content) == 5:
        number, kind, feed, taken, position = content
        if all(map(_is_count, (number, taken, position))) and number and _is_text(kind) and _is_text(feed):
            return Call(node, number, kind, feed, taken, position)
    raise ValueError("no call for rows")


def pack_answer(number: int, answer: list[Any]) -> list[Any]:
    return [number, *answer]


def unpack_answer(content: Any) -> tuple[int, list[Any]]:
    """Return number and answer of a message of the master. Raises ValueError for anything else."""
    if type(content) is not list or len(content) < 2 or not _is_count(content[0]) or not _is_text(content[1]):
        raise ValueError("no answer to a call for rows")
    return content[0], content[1:]


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**62


def _is_text(value: Any) -> bool:
    return type(value) is str and len(value) <= _LONGEST
