"""Kinds of errors by endpoint; those of an endpoint that has many are grouped by the form that they have in common."""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache

from obswarm import defaults
from obswarm.stats.endpoint import CUT, OTHER_ERRORS, ErrorKey, ErrorStats

_STATUS = r"[1-5]\d\d"
_LIKELY = r"20[014]|30[1247]|40[01349]|422|429|50[0234]"
_NUMBER = r"(?:\d+|<number>)(?:[.,:](?:\d+|<number>|<hex>(?:[-+]\d+)?))*(?:[eE][-+]?\d+)?"
_HEX = "[0-9a-fA-F]"
_QUOTES = (("'", "'"), ('"', '"'), ("`", "`"), ("“", "”"), ("‘", "’"), ("«", "»"))
_QUOTED = "|".join(rf"{begin}(?:\\.|[^\\{end}])*{end}" for begin, end in _QUOTES)
_TOKEN = re.compile(
    rf"""
    (?P<kept>
        # Statuses: after what says that they are one, or first of all, or frequent ones where they are likely.
        \bHTTP/\d(?:\.\d)?(?:\s{_STATUS}\b(?![.,:]\d))?
      | \b(?i:http|errno|status|(?:status|response|error|exit|return)[ _-]?code)\b
        ['"]?[\s:=(\[]{{0,3}}{_STATUS}(?!\w|[.,:]\d)
      | ^{_STATUS}(?=$|[:;,)]|\s[A-Z])
      | \b(?i:got|was|not|code|error|expected|returned|received|answered)\s(?:{_LIKELY})(?=$|[,.;)\]](?!\d))
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


@lru_cache(maxsize=4096)
def common_form(message: str) -> str:
    """What errors have in common that differ only in numbers, ids, addresses or quoted values; the form of a form is
    the form itself. Statuses stay, and so do all words outside of quotes."""
    while True:
        form = _cut(_TOKEN.sub(_common, message))
        if form == message:
            return form
        message = form


def _common(found: re.Match[str]) -> str:
    kind, text = found.lastgroup, found[0]
    if found["kept"] is not None:
        return text
    if found["quoted"] is not None:
        return _quoted(found)
    if found["address"] is not None:
        return "<address>"
    if found["number"] is not None:
        return "<number>" + (found["unit"] or "")
    assert kind == "id"
    counted = _COUNTED_NAME.fullmatch(text)
    return f"{counted[1]}<number>" if counted else "<id>"


def _quoted(found: re.Match[str]) -> str:
    text = found[0]
    prefix = len(text) - len(text.lstrip("bBrRuU"))
    begin, inner, end = text[: prefix + 1], text[prefix + 1 : -1], text[-1]
    before = found.string[max(0, found.start() - 2) : found.start()]
    if before[1:] == "(" and before[0].isalnum() and _SEVERAL_WORDS.search(inner):
        # The text of an error within an error is no value: NewConnectionError('… Connection refused').
        return begin + _TOKEN.sub(_common, inner) + end
    return f"{begin}…{end}"


def _cut(text: str) -> str:
    if len(text) <= defaults.MAX_ERROR_LENGTH:
        return text
    return text[: defaults.MAX_ERROR_LENGTH - len(CUT)] + CUT


class ErrorKinds(dict[ErrorKey, ErrorStats]):
    """Occurrences by kind. Once an endpoint has more than `MAX_ERROR_KINDS`, its errors are counted by their common
    form, each with the first text that was seen as its example.

    Whatever order kinds are counted in, those of several processes that have grouped theirs or not, the result is the
    same, and its counts sum up to theirs.
    """

    __slots__ = ("_grouped",)

    def __init__(self, kinds: Mapping[ErrorKey, ErrorStats] | None = None) -> None:
        super().__init__(kinds or {})
        self._grouped: set[tuple[str, ...]] = {key[:2] for key, seen in self.items() if seen.example}

    def count(self, key: ErrorKey, seen: ErrorStats, most: int) -> None:
        """Add occurrences of a kind; one more kind than `most` counts under `(other errors)`."""
        endpoint = key[:2]
        if seen.example:
            self._group(endpoint)
        if endpoint in self._grouped:
            key, seen = _grouped(key, seen)
        found = self.get(key)
        if found is None and len(self) >= most:
            key = OTHER_ERRORS
            found = self.get(key)
        if found is not None:
            found.merge(seen)
            return
        self[key] = seen.copy()
        if endpoint not in self._grouped and sum(1 for _ in self._of(key[:2])) > defaults.MAX_ERROR_KINDS:
            self._group(endpoint)

    def grouped_as_here(self, kinds: Mapping[ErrorKey, ErrorStats]) -> "ErrorKinds":
        """Other kinds (those of a part of the time), of the same endpoints grouped."""
        regrouped = ErrorKinds()
        regrouped._grouped = set(self._grouped)
        for key, seen in kinds.items():
            regrouped.count(key, seen, len(kinds) + 1)
        return regrouped

    def _of(self, endpoint: tuple[str, ...]) -> Iterator[ErrorKey]:
        return (key for key in self if key[:2] == endpoint)

    def _group(self, endpoint: tuple[str, ...]) -> None:
        if endpoint in self._grouped:
            return
        self._grouped.add(endpoint)
        for key in list(self._of(endpoint)):
            form, seen = _grouped(key, self.pop(key))
            if form in self:
                self[form].merge(seen)
            else:
                self[form] = seen


def _grouped(key: ErrorKey, seen: ErrorStats) -> tuple[ErrorKey, ErrorStats]:
    form = common_form(key.message)
    if form == key.message:
        return key, seen
    twin = seen.copy()
    twin.example = seen.example or key.message
    return key._replace(message=form), twin
