"""Count errors by kind. An endpoint with many kinds has its errors grouped by the common form of their messages."""

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from http import HTTPStatus
from itertools import chain, zip_longest

from obswarm import defaults
from obswarm.stats.errors import CUT, OTHER_ERRORS, ErrorKey, ErrorStats, normalise_error

_STATUS = r"[1-5]\d\d"
_STATUSES = frozenset(map(str, (0, *(status.value for status in HTTPStatus), 499, *range(520, 531), 598, 599)))
"""Registered statuses, those of widespread proxies, and 0 for no response."""

_ANY_NUMBER = "<number>"
_NUMBER = r"(?:\d+|<number>)(?:[.,:](?:\d+|<number>|<hex>(?:[-+]\d+)?))*(?:[eE][-+]?\d+)?"
_HEX = "[0-9a-fA-F]"
_QUOTES = (("'", "'"), ('"', '"'), ("`", "`"), ("“", "”"), ("‘", "’"), ("«", "»"))
_QUOTED = "|".join(rf"{begin}(?:\\.|[^\\{end}])*{end}" for begin, end in _QUOTES)
_TOKEN = re.compile(
    rf"""
    (?P<constant>
        # Three digits after a word such as "status", also if that status is not registered.
        \bHTTP/\d(?:\.\d)?(?:\s{_STATUS}\b(?![.,:]\d))?
      | \b(?i:http|errno|status|(?:status|response|error|exit|return)[ _-]?code)\b
        ['"]?[\s:=(\[]{{0,3}}{_STATUS}(?!\w|[.,:]\d)
      | \b[1-5]xx\b
    )
  | (?<!\w)(?P<quoted>[bBrRuU]{{0,2}}(?:{_QUOTED}))(?!\w)
  | (?P<address>
        (?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+
      | \b0x(?:{_HEX}+\b|…)
      | \b\d{{1,3}}(?:\.\d{{1,3}}){{3}}(?::\d+)?\b
      | \b{_HEX}{{2}}(?:[:-]{_HEX}{{2}}){{5}}\b
      | (?<![\w:])(?=[0-9a-fA-F:]*\d)
        (?:(?:{_HEX}{{1,4}}:){{7}}{_HEX}{{1,4}}|(?:{_HEX}{{1,4}}(?::{_HEX}{{1,4}})*)?::(?:{_HEX}{{1,4}}(?::{_HEX}{{1,4}})*)?)
        (?![\w:])
    )
  | (?<!\w)(?:(?<![\w.)\]>])[-+])?(?P<number>{_NUMBER})(?P<unit>(?:[nuµm]?s|min|h|d|[kKMGT]?i?B)\b|(?!\w))
  | (?P<id>(?<!\w)(?:\w*\d\w*|[0-9a-f]{{8,}})(?!\w)|<hex>)
    """,
    re.VERBOSE,
)
_COUNTED_NAME = re.compile(r"([A-Za-z][A-Za-z_]{2,}_)\d+")
_SEVERAL_WORDS = re.compile(r"[A-Za-z]{2,}\W+[A-Za-z]{2,}")


class _Parts:
    """A text as constant `pieces`, and the `values` between them: a status or <number>."""

    def __init__(self) -> None:
        self.pieces = [""]
        self.values: list[str] = []

    def read(self, text: str) -> "_Parts":
        """Append the pieces and values of a text."""
        end = 0
        for found in _TOKEN.finditer(text):
            self.pieces[-1] += text[end : found.start()]
            self._add(found)
            end = found.end()
        self.pieces[-1] += text[end:]
        return self

    def _add(self, found: re.Match[str]) -> None:
        text = found[0]
        if found["number"] is not None and not found["unit"]:
            self.values.append(text if text in _STATUSES else _ANY_NUMBER)
            self.pieces.append("")
        elif found["quoted"] is not None:
            self._add_quoted(found)
        else:
            self.pieces[-1] += _common(found)

    def _add_quoted(self, found: re.Match[str]) -> None:
        text = found[0]
        prefix = len(text) - len(text.lstrip("bBrRuU"))
        begin, inner, end = text[: prefix + 1], text[prefix + 1 : -1], text[-1]
        before = found.string[max(0, found.start() - 2) : found.start()]
        self.pieces[-1] += begin
        if before[1:] == "(" and before[0].isalnum() and _SEVERAL_WORDS.search(inner):
            # The text of a nested error is not a value: NewConnectionError('… Connection refused').
            self.read(inner)
        else:
            self.pieces[-1] += "…"
        self.pieces[-1] += end

    def cut(self) -> "_Parts":
        """Shorten it as if all values were <number>, so that texts that differ in values only are cut at the same
        place."""
        if len(_ANY_NUMBER.join(self.pieces)) <= defaults.MAX_ERROR_LENGTH:
            return self
        short, room = _Parts(), defaults.MAX_ERROR_LENGTH - len(CUT)
        for piece, value in zip_longest(self.pieces, self.values):
            short.pieces[-1] += piece[:room]
            room -= len(piece)
            if room < len(_ANY_NUMBER):
                short.pieces[-1] += _ANY_NUMBER[: max(0, room)]
                break
            short.values.append(value)
            short.pieces.append("")
            room -= len(_ANY_NUMBER)
        short.pieces[-1] += CUT
        return short


def _common(found: re.Match[str]) -> str:
    """Return the placeholder of a token."""
    text = found[0]
    if found["constant"] is not None:
        return text
    if found["address"] is not None:
        return "<address>"
    if found["number"] is not None:
        return _ANY_NUMBER + found["unit"]
    counted = _COUNTED_NAME.fullmatch(text)
    return f"{counted[1]}{_ANY_NUMBER}" if counted else "<id>"


@lru_cache(maxsize=4096)
def _parsed(message: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the (pieces, values) of a message's form, whose form is itself."""
    while True:
        parts = _Parts().read(message).cut()
        form = _joined(parts.pieces, parts.values)
        if form == message:
            return tuple(parts.pieces), tuple(parts.values)
        message = form


def _joined(pieces: Iterable[str], values: Iterable[str]) -> str:
    return "".join(chain.from_iterable(zip_longest(pieces, values, fillvalue="")))


class CommonForms:
    """The common forms of the error messages of one endpoint: messages that differ only in numbers, ids, addresses or
    quoted values have the same form.

    The form of a form is the form itself. HTTP statuses and all words outside of quotes stay. A number stays if it is
    an HTTP status in all messages that differ in numbers only: of `got 404 for order 7` and `got 500 for order 404`,
    the first number."""

    def __init__(self, texts: Iterable[str] = ()) -> None:
        self._numbers: dict[tuple[str, ...], set[int]] = {}
        """Positions of numbers that are not statuses, by pieces."""
        for text in texts:
            self.note(text)

    def note(self, text: str) -> bool:
        """Add a text. Returns whether the form of other texts may have changed."""
        pieces, values = _parsed(text)
        if not values or (pieces not in self._numbers and len(self._numbers) >= defaults.MAX_ERRORS):
            return False
        known = self._numbers.setdefault(pieces, set())
        before = len(known)
        known.update(place for place, value in enumerate(values) if value == _ANY_NUMBER)
        return len(known) > before

    def form_of(self, text: str) -> str:
        """Return the form of a text."""
        pieces, values = _parsed(text)
        numbers = self._numbers.get(pieces, ())
        return _joined(pieces, (_ANY_NUMBER if place in numbers else value for place, value in enumerate(values)))


class ErrorKinds(dict[ErrorKey, ErrorStats]):
    """Occurrences by kind. Once an endpoint has more than `MAX_ERROR_KINDS`, its errors are counted by their common
    form, each with its first text as an example.

    The result does not depend on the order of counting, nor on which processes have grouped their errors already; the
    sum of its counts is the sum of theirs.
    """

    __slots__ = ("_grouped",)

    def __init__(self, kinds: Mapping[ErrorKey, ErrorStats] | None = None) -> None:
        super().__init__(kinds or {})
        self._grouped: dict[tuple[str, ...], CommonForms] = {}
        for endpoint in {key[:2] for key, seen in self.items() if _is_grouped(key, seen)}:
            self._group(endpoint)

    def count(self, key: ErrorKey, seen: ErrorStats, max_kinds: int) -> None:
        """Add occurrences of a kind; kinds beyond `max_kinds` count as `(other errors)`."""
        endpoint = key[:2]
        if endpoint not in self._grouped and _is_grouped(key, seen):
            self._group(endpoint)
        forms = self._grouped.get(endpoint)
        if forms is not None:
            if forms.note(key.message):
                self._regroup(endpoint)
            key, seen = _with_form(key, seen, forms.form_of(key.message))
        if key not in self and len(self) >= max_kinds:
            key, seen = OTHER_ERRORS, ErrorStats(seen.count, seen.first_seen_s, seen.last_seen_s)
        is_new = key not in self
        self._add(key, seen)
        # Only a new kind can exceed the limit, so known ones skip the loop.
        if is_new and forms is None and sum(1 for _ in self._of(key[:2])) > defaults.MAX_ERROR_KINDS:
            self._group(key[:2])

    def key_of(self, key: ErrorKey) -> ErrorKey:
        """Return the kind under which errors of this kind are counted, which may be its form."""
        forms = self._grouped.get(key[:2])
        return key if forms is None else key._replace(message=forms.form_of(key.message))

    def group_like_this(self, kinds: Mapping[ErrorKey, ErrorStats]) -> "ErrorKinds":
        """Return other kinds (of a part of the run) with the same endpoints grouped as in this one."""
        regrouped = ErrorKinds()
        for key, seen in kinds.items():
            regrouped._add(*_with_form(key, seen, self.key_of(key).message))
        return regrouped

    def _of(self, endpoint: tuple[str, ...]) -> Iterator[ErrorKey]:
        return (key for key in self if key[:2] == endpoint)

    def _add(self, key: ErrorKey, seen: ErrorStats) -> None:
        found = self.get(key)
        if found is None:
            self[key] = seen.copy()
            return
        # An example shows that the endpoint's kinds are grouped, unless its text differs from the message in ids only.
        example = next((each.example for each in (found, seen) if _is_grouped(key, each)), "")
        both = _is_grouped(key, found) == _is_grouped(key, seen)
        found.merge(seen)
        if not both:
            found.example = example

    def _group(self, endpoint: tuple[str, ...]) -> None:
        if endpoint not in self._grouped:
            self._grouped[endpoint] = CommonForms(key.message for key in self._of(endpoint))
            self._regroup(endpoint)

    def _regroup(self, endpoint: tuple[str, ...]) -> None:
        for key in list(self._of(endpoint)):
            form = self.key_of(key).message
            if form != key.message:
                self._add(*_with_form(key, self.pop(key), form))


def _with_form(key: ErrorKey, seen: ErrorStats, form: str) -> tuple[ErrorKey, ErrorStats]:
    if form == key.message:
        return key, seen
    copied = seen.copy()
    copied.example = seen.example or key.message
    return key._replace(message=form), copied


def _is_grouped(key: ErrorKey, seen: ErrorStats) -> bool:
    """Return whether the example would be another kind if the endpoint's kinds were not grouped."""
    return bool(seen.example) and normalise_error(seen.example) != key.message
