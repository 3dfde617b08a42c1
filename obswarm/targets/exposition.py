"""Parse the text exposition formats, Prometheus' and OpenMetrics, as Prometheus 3 does. No I/O.

The grammars are those of Prometheus' lexers (model/textparse, promlex.l and openmetricslex.l), which are stricter than
the specifications in some places and more lenient in others:
https://prometheus.io/docs/instrumenting/exposition_formats/,
https://github.com/prometheus/OpenMetrics/blob/main/specification/OpenMetrics.md
"""

import math
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import NamedTuple

TEXT = "text/plain"
OPENMETRICS = "application/openmetrics-text"

LabelPairs = list[tuple[str, str]]


class ParseError(ValueError):
    """A page that cannot be parsed. The message contains no text of the page."""

    def __init__(self, page: str, position: int, what: str) -> None:
        self.line = page.count("\n", 0, position) + 1
        if page.startswith("\r", page.find("\n", position) - 1):
            what = "the line ends with a carriage return"
        super().__init__(f"line {self.line} of the page: {what}")


class LabelsError(ParseError):
    """A well-formed sample with an invalid metric name or invalid labels."""


class Entry(NamedTuple):
    """A sample of a page. `series`: text of the metric name and labels, to be parsed by `labels_of` with the type given
    last; `timestamp_s`: wall time, None if the page gives none; `position`: offset of the series in the page."""

    series: str
    value: float
    timestamp_s: float | None
    metric_type: str
    position: int


# Possessive quantifiers stand on character classes alone: on groups they match too much in Python 3.11.0 to 3.11.4.
_NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*+"
_LABEL = r"[a-zA-Z_][a-zA-Z0-9_]*+"
# Quoted text; it may contain line breaks, but not after a backslash.
_QUOTED = r'"[^"\\]*+(?:\\[^\n][^"\\]*+)*"'
_ONE_LINE_QUOTED = r'"[^"\\\n]*+(?:\\[^\n][^"\\\n]*+)*"'
_BRACES = rf'\{{(?:[^"}}\n]++|{_QUOTED})*\}}'
_BLANK = r"[ \t]*+"

# Values and timestamps are converted later, labels only when a series occurs for the first time.
_TEXT_SAMPLE = re.compile(
    rf"({_BLANK}(?:{_NAME}(?:{_BLANK}{_BRACES})?|{_BRACES})){_BLANK}([^{{ \t\n]++){_BLANK}([0-9]++)?{_BLANK}\n"
)
_TEXT_META = re.compile(rf"{_BLANK}#[ \t]++(HELP|TYPE)[ \t]++(?:({_NAME}|{_QUOTED})([^\n]*+)\n)?")
_TEXT_OTHER = re.compile(rf"{_BLANK}(?:#[^\n]*+)?\n")
_TEXT_SERIES = re.compile(rf"{_BLANK}({_NAME})?{_BLANK}(?:\{{{_BLANK}(.*)\}})?", re.DOTALL)
# A quoted name, or a label; a comma is required only after a name.
_TEXT_TERM = re.compile(
    rf"{_BLANK}(?:({_QUOTED}){_BLANK}(?=,|\Z)|({_LABEL}|{_QUOTED}){_BLANK}={_BLANK}({_QUOTED})){_BLANK},?+{_BLANK}"
)
_TEXT_TYPES = frozenset({"counter", "gauge", "histogram", "summary", "untyped"})

_EXEMPLAR = rf" # \{{(?:(?:{_LABEL}|{_ONE_LINE_QUOTED})={_ONE_LINE_QUOTED}(?:,|(?=\}})))*\}} ([^ \n]++)(?: ([^ \n]++))?"
_OPEN_SAMPLE = re.compile(rf"({_NAME}(?:{_BRACES})?|{_BRACES}) ([^ \n]++)(?: (?!# \{{)([^ \n]++))?(?:{_EXEMPLAR})?\n")
_OPEN_META = re.compile(rf"# (HELP|TYPE|UNIT) (?:({_NAME}|{_QUOTED}) ([^\n]*+)\n)?")
_OPEN_END = re.compile(r"# EOF\n?+")
_OPEN_SERIES = re.compile(rf"({_NAME})?(?:\{{(.*)\}})?", re.DOTALL)
_OPEN_TERM = re.compile(rf"(?:({_QUOTED})(?=,|\Z)|({_LABEL}|{_QUOTED})=({_ONE_LINE_QUOTED}))(?:,|\Z)")
_OPEN_TYPES = frozenset({"counter", "gauge", "histogram", "gaugehistogram", "summary", "info", "stateset", "unknown"})

# What Go's ParseFloat accepts, except hexadecimal numbers and underscores, which Prometheus refuses.
_NUMBER = re.compile(
    r"[+-]?(?:[0-9]++(?:\.[0-9]*+)?|\.[0-9]++)(?:[eE][+-]?[0-9]++)?|(?P<word>[+-]?inf(?:inity)?|nan)",
    re.IGNORECASE | re.ASCII,
)
# All that Go's ParseFloat accepts, which Prometheus uses to normalise bounds.
_DIGITS, _HEX_DIGITS = "[0-9]++(?:_[0-9]++)*", "[0-9a-f]++(?:_[0-9a-f]++)*"
_BOUND = re.compile(
    rf"[+-]?(?:(?:{_DIGITS}(?:\.(?:{_DIGITS})?)?|\.{_DIGITS})(?:e[+-]?{_DIGITS})?"
    rf"|(?P<hex>0x(?:_?{_HEX_DIGITS}(?:\.(?:{_HEX_DIGITS})?)?|\.{_HEX_DIGITS})p[+-]?{_DIGITS}))"
    r"|(?P<word>[+-]?inf(?:inity)?|nan)",
    re.IGNORECASE | re.ASCII,
)
_ESCAPED = re.compile(r'\\([\\"n])')
_NOT_UTF8 = re.compile("[\ud800-\udfff]")
_LARGEST_TIMESTAMP_MS = 2**63 - 1

_NO_METRIC = "not a metric with a value"
_NO_VALUE = "the value is not a number"
_NO_TIME = "the timestamp is not a number"
_NO_LABELS = "the labels cannot be parsed"
_NO_TYPE = "not a metric type"


def decode(content: bytes) -> str:
    """Decode a page; bytes that are not UTF-8 become lone surrogates, which are rejected in names and labels."""
    return content.decode(errors="surrogateescape")


def entries(page: str, media_type: str) -> Iterator[Entry]:
    """Yield the samples of a page of media type TEXT or OPENMETRICS, in order. Raises ParseError at the first line that
    cannot be parsed."""
    if "\0" in page:
        raise ParseError(page, page.index("\0"), "a NUL character")
    return _open_entries(page) if media_type == OPENMETRICS else _text_entries(page)


def _text_entries(page: str) -> Iterator[Entry]:
    page += "\n"
    position, metric_type, end = 0, "", len(page)
    sample_at, meta_at, other_at = _TEXT_SAMPLE.match, _TEXT_META.match, _TEXT_OTHER.match
    while position < end:
        if found := sample_at(page, position):
            series, text, timestamp = found.groups()
            value = _value(page, position, text)
            yield Entry(
                series, value, None if timestamp is None else _time_ms(page, position, timestamp), metric_type, position
            )
        elif found := meta_at(page, position):
            keyword, name, rest = found.groups()
            if name is None:
                raise ParseError(page, position, f"no metric name after {keyword}")
            # Separated by one character; only blanks count as nothing.
            metadata = "" if not rest.strip(" \t") else rest[1:]
            if keyword == "HELP":
                _check_unicode(page, position, metadata)
            elif metadata not in _TEXT_TYPES:
                raise ParseError(page, position, _NO_TYPE)
            else:
                metric_type = metadata
        elif not (found := other_at(page, position)):
            raise ParseError(page, position, _NO_METRIC)
        position = found.end()


def _open_entries(page: str) -> Iterator[Entry]:
    position, metric_type, end = 0, "", len(page)
    sample_at, meta_at = _OPEN_SAMPLE.match, _OPEN_META.match
    while position < end:
        if found := sample_at(page, position):
            series, text, timestamp, exemplar, exemplar_timestamp = found.groups()
            value = _value(page, position, text)
            if exemplar is not None:
                _value(page, position, exemplar)
                if exemplar_timestamp is not None:
                    _time_s(page, position, exemplar_timestamp)
                _check_unicode(page, position, found[0])
            yield Entry(
                series, value, None if timestamp is None else _time_s(page, position, timestamp), metric_type, position
            )
        elif found := meta_at(page, position):
            keyword, name, metadata = found.groups()
            if name is None:
                raise ParseError(page, position, f"no metric name and text after {keyword}")
            if keyword == "HELP":
                _check_unicode(page, position, metadata)
            elif keyword == "UNIT":
                if metadata and not name.strip('"').endswith(f"_{metadata}"):
                    raise ParseError(page, position, "the metric name does not end with the unit")
            elif metadata not in _OPEN_TYPES:
                raise ParseError(page, position, _NO_TYPE)
            else:
                metric_type = metadata
        elif found := _OPEN_END.match(page, position):
            if found.end() < end:
                raise ParseError(page, found.end(), "text after # EOF")
            return
        else:
            raise ParseError(page, position, _NO_METRIC)
        position = found.end()
    raise ParseError(page, position, "the page ends without # EOF")


def _value(page: str, position: int, text: str) -> float:
    found = _NUMBER.fullmatch(text)
    if found is None:
        raise ParseError(page, position, _NO_VALUE)
    value = float(text)
    if math.isinf(value) and found["word"] is None:
        raise ParseError(page, position, _NO_VALUE)
    return value


def _time_ms(page: str, position: int, text: str) -> float:
    milliseconds = int(text) if len(text) < 20 else _LARGEST_TIMESTAMP_MS + 1
    if milliseconds > _LARGEST_TIMESTAMP_MS:
        raise ParseError(page, position, _NO_TIME)
    return milliseconds / 1000


def _time_s(page: str, position: int, text: str) -> float:
    try:
        seconds = _value(page, position, text)
    except ParseError:
        seconds = math.nan
    if not math.isfinite(seconds):
        raise ParseError(page, position, _NO_TIME)
    return math.trunc(seconds * 1000) / 1000


def _check_unicode(page: str, position: int, text: str, error: type[ParseError] = ParseError) -> None:
    if _NOT_UTF8.search(text):
        raise error(page, position, "not UTF-8")


def labels_of(page: str, entry: Entry, media_type: str) -> tuple[str, LabelPairs]:
    """Return (name, labels) of a sample, without empty labels. Bounds of classic histograms and quantiles of summaries
    are normalised: "1" becomes "1.0".

    Raises ParseError (LabelsError if the labels are well-formed but invalid).
    """
    is_open = media_type == OPENMETRICS
    found = (_OPEN_SERIES if is_open else _TEXT_SERIES).fullmatch(entry.series)
    if found is None:
        raise ParseError(page, entry.position, _NO_LABELS)
    name: str | None = None
    if found[1] is not None:
        # As in Prometheus, blanks before a name are part of it.
        name = entry.series[: found.end(1)]
    term_at = (_OPEN_TERM if is_open else _TEXT_TERM).match
    pairs: LabelPairs = []
    inside, position = found[2] or "", 0
    while position < len(inside):
        term = term_at(inside, position)
        if term is None:
            raise ParseError(page, entry.position, _NO_LABELS)
        alone, label, value = term.groups()
        if alone is not None:
            if name is not None:
                raise ParseError(page, entry.position, "the metric has two names")
            name = _unescaped(alone[1:-1])
        else:
            _check_unicode(page, entry.position, value)
            label = _unescaped(label[1:-1]) if label[0] == '"' else label
            pairs.append((label, _label_value(entry.metric_type, label, _unescaped(value[1:-1]))))
        position = term.end()
    if name is None:
        raise ParseError(page, entry.position, "the metric has no name")
    if not name:
        raise LabelsError(page, entry.position, "the metric has no name")
    _check_unicode(page, entry.position, name, LabelsError)
    return name, _distinct(page, entry.position, pairs)


def _distinct(page: str, position: int, pairs: LabelPairs) -> LabelPairs:
    empty = {label for label, value in pairs if not value}
    nonempty = [pair for pair in pairs if pair[0] not in empty]
    names = {label for label, _ in nonempty}
    if len(names) < len(nonempty) or "__name__" in names | empty:
        raise LabelsError(page, position, "duplicate label")
    for label in names:
        _check_unicode(page, position, label, LabelsError)
        if not label:
            raise LabelsError(page, position, "a label has no name")
    return nonempty


def _unescaped(text: str) -> str:
    return _ESCAPED.sub(lambda found: "\n" if found[1] == "n" else found[1], text) if "\\" in text else text


def _label_value(metric_type: str, label: str, value: str) -> str:
    is_number = (metric_type, label) in (("histogram", "le"), ("summary", "quantile"))
    return canonical_number(value) if is_number else value


def number_of(text: str) -> float | None:
    """Parse a number as Go's ParseFloat does; None if it is invalid or out of range."""
    if not (found := _BOUND.fullmatch(text)):
        return None
    digits_alone = text.replace("_", "")
    try:
        number = float.fromhex(digits_alone) if found["hex"] else float(digits_alone)
    except OverflowError:
        return None
    return None if math.isinf(number) and found["word"] is None else number


def canonical_number(text: str) -> str:
    """Format a number as OpenMetrics does: `1.0`, `+Inf`, `1e+06`; other text is returned unchanged."""
    number = number_of(text)
    if number is None:
        return text
    if not math.isfinite(number):
        return "NaN" if math.isnan(number) else "+Inf" if number > 0 else "-Inf"
    if number == 0:
        return "0.0"
    sign, digits, _ = Decimal(repr(number)).normalize().as_tuple()
    exponent = Decimal(repr(number)).adjusted()
    if -4 <= exponent < 6:
        return repr(number) if "e" not in repr(number) else f"{number:f}"
    mantissa = "".join(map(str, digits))
    fraction = f".{mantissa[1:]}" if len(mantissa) > 1 else ""
    return f"{'-' if sign else ''}{mantissa[0]}{fraction}e{'-' if exponent < 0 else '+'}{abs(exponent):02d}"
