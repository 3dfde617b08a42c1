"""Pages of metrics, odd ones among them, as a server gives them to whoever scrapes."""

import gzip
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.support.listening import listening

_TEXT = "text/plain; version=0.0.4; charset=utf-8"
_OPEN = "application/openmetrics-text; version=1.0.0; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Page:
    body: bytes | Callable[[], bytes]
    content_type: str | None = _TEXT
    status: str = "200 OK"
    headers: tuple[tuple[str, str], ...] = ()


def _text(body: str) -> Page:
    return Page(body.encode())


def _open(body: str, end: str = "# EOF\n") -> Page:
    return Page((body + end).encode(), _OPEN)


def _at(form: str, *seconds: float, unit: float = 1000, page: Callable[[str], Page] = _text) -> Page:
    """With times so long after now."""

    def body() -> bytes:
        now = time.time()
        made = page(form.format(*(round((now + each) * unit) for each in seconds))).body
        assert isinstance(made, bytes)
        return made

    return Page(body, page("").content_type)


def _redirects(count: int) -> dict[str, Page]:
    name = f"redirect-{count}"
    hops = {
        name if number == count else f"{name}-{number}": Page(
            b"", status="302 Found", headers=(("Location", f"/{name}-{number - 1}"),)
        )
        for number in range(count, 0, -1)
    }
    return {**hops, f"{name}-0": _text("a 1\n")}


_FIXED_TIME_MS = round(time.time() * 1000) - 20_000

PAGES: dict[str, Page] = {
    # Names.
    "counters": _text("# TYPE a counter\na 1\n# TYPE b_total counter\nb_total 2\n# TYPE a_b:c counter\na_b:c 1\n"),
    "open-counters": _open("# TYPE a counter\na_total 1\na_created 1.5e9\n# TYPE b counter\nb 2\n"),
    "no-types": _text("a 1\nb{x=\"1\"} 2\n"),
    "utf-8-names": _text('{"a.b","c d"="é"} 1\n{x="1","ü"} 2\n# TYPE "q.q" counter\n{"q.q"} 3\n{"a\\nb","\\"c\\""="1"} 4\n'),
    "open-utf-8-names": _open('# TYPE "a.b" gauge\n{"a.b","c d"="é"} 1\n{x="1","ü"} 2\n'),
    "name-of-blanks": _text(" a 1\n\tb{x=\"1\"} 2\n  # TYPE c gauge\nc 3\n"),
    "name-and-value-in-one": _text("a-1\nb+Inf\n"),
    "two-names": _text('a{"b"} 1\n'),
    "no-name": _text('{x="1"} 1\n'),
    "empty-name": _text('{""} 1\n'),
    "bad-name": _text("1a 1\n"),
    "own-up": _text("up 0\nup{x=\"1\"} 7\n"),
    # Labels.
    "empty-values": _text('a{x="",y="1"} 1\nb{job=""} 2\nc{x=""} 3\nd{x="",x="1"} 4\n'),
    "own-job": _text('a{job="x",instance="y"} 1\nb{job="x",exported_job="z"} 2\nc{exported_instance="q"} 3\n'),
    "same-label-twice": _text('a{x="1",x="2"} 1\n'),
    "job-twice": _text('a{job="1",job="2"} 1\n'),
    "label-called-name": _text('a{__name__="b"} 1\n'),
    "label-without-name": _text('a{""="b"} 1\n'),
    "empty-label-without-name": _text('a{""=""} 1\n'),
    "blanks-in-labels": _text('a { x = "1" , y="2" , } 1\nb{x="1" y="2"} 2\nc{} 3\n'),
    "escapes": _text('a{x="a\\\\b\\"c\\nd\\qe"} 1\nb{x="a\nb"} 2\nc{x="{}#,="} 3\n'),
    "backslash-at-the-end": _text('a{x="a\\"} 1\n'),
    "no-quote": _text('a{x=1} 1\n'),
    "leading-comma": _text('a{,x="1"} 1\n'),
    "open-escapes": _open('a{x="a\\\\b\\"c\\nd"} 1\nc{x="{}#,="} 3\n'),
    "open-blanks-in-labels": _open('a{x="1", y="2"} 1\n'),
    "open-break-in-a-label": _open('a{x="1\n2"} 1\n'),
    "not-utf-8": Page(b'a{x="\xff"} 1\n'),
    "not-utf-8-help": Page(b"# HELP a \xff\na 1\n"),
    "not-utf-8-comment": Page(b"# \xff\na 1\n"),
    "latin-1": Page(b'a{x="\xe9"} 1\n', "text/plain; charset=iso-8859-1"),
    "byte-order-mark": Page(b"\xef\xbb\xbfa 1\n"),
    # Bounds.
    "bounds": _text(
        "# TYPE a histogram\n"
        + "".join(
            f'a_bucket{{le="{bound}"}} {number}\n'
            for number, bound in enumerate(
                ["0.00001", "5e-5", ".5", "1", "2.50", "100", "1e3", "123456", "1000000", "1.5e9", "1e22", "+Inf", "junk", ""]
            )
        )
        + "a_sum 1\na_count 12\n# TYPE b summary\n"
        + 'b{quantile="0"} 0\nb{quantile="0.50"} 1\nb{quantile="1"} 2\nb{quantile="NaN"} 3\nb{le="1"} 4\n'
        + '# TYPE c gauge\nc{le="1",quantile="1"} 1\nd{le="1"} 2\n# TYPE e histogram\nf{le="1"} 1\nf{quantile="1"} 2\n'
    ),
    "bounds-that-are-one": _text('# TYPE a histogram\na_bucket{le="1"} 1\na_bucket{le="1.0"} 2\na_bucket{le="+Inf"} 3\n'),
    "bounds-as-go-has-numbers": _text(
        "# TYPE a histogram\n"
        + "".join(
            f'a_bucket{{le="{bound}"}} 1\n'
            for bound in ["1_0", "1_1.2_5e0_1", "0x1p3", "-0X_A.8P-1", "0x.8p1", "0_7", "1__0", "_1", "1_", "1_.5", "1._5"
                       , "0x1", "0x1p5000", "0b1", "+nan", "1e400", "infinity"]
        )
    ),
    "open-bounds": _open('# TYPE a gaugehistogram\na_bucket{le="1"} 1\n# TYPE b histogram\nb_bucket{le="-0"} 1\n'),
    # Values and times.
    "values": _text(
        "".join(
            f"v{number} {value}\n"
            for number, value in enumerate(
                ["1", "+1", "-1", ".5", "5.", "1e3", "1E-3", "1e-400", "nan", "NaN", "NAN", "+Inf", "-inf", "Infinity", "-INFINITY", "00", "1e308", "0.1", "123456789012345678"]
            )
        )
    ),
    **{
        f"value-{name}": _text(f"a 1\nb {value}\n")
        for name, value in {
            "hex": "0x1F", "hex-float": "0x1p3", "underscore": "1_0", "too-large": "1e400", "comma": "1,0", "word": "abc",
            "signed-nan": "+nan", "missing": "", "quoted": '"1"', "return": "1\r", "wide": "１", "two": "1 2 3",
            "comment": "1 # x", "time-of-fraction": "1 1.5", "negative-time": "1 -1",
            "time-beyond": "1 99999999999999999999", "exemplar": '1 # {x="1"} 1',
        }.items()
    },
    "times": _at("a 1 {}\nb 2 {}\nc 3 {}\nd 4 {}\n", -5, -100, 3600, -20_000),
    "fixed-times": _text(f"a 1 {_FIXED_TIME_MS}\nb{{x=\"1\"}} 2 {_FIXED_TIME_MS}\n"),
    "same-series-at-several-times": _text(
        f"a 1 {_FIXED_TIME_MS}\na 2 {_FIXED_TIME_MS + 1000}\na 3 {_FIXED_TIME_MS + 500}\n"
    ),
    "open-times": _at("a 1 {}.5\nb 2 {}\n", -5, -100, unit=1, page=_open),
    "open-bad-time": _open("a 1 NaN\n"),
    "duplicates": _text('a 1\na 2\nb{x="1",y="2"} 3\nb{y="2",x="1"} 4\n'),
    # Comments, lines, ends.
    "comments": _text("#\n# \n#x\n# HELP\n# HELPa b\n# TYPE\n\n \t\n# HELP a\n# HELP a b\\nc\n#TYPE a x\na 1\n# EOF\n# UNIT a x\nb 2\n"),
    "bad-type": _text("# TYPE a unknown\na 1\n"),
    "type-with-a-blank": _text("# TYPE a gauge \na 1\n"),
    "type-of-no-name": _text("# TYPE 1a gauge\na 1\n"),
    "help-without-a-name": _text("# HELP \na 1\n"),
    "returns": _text("# TYPE a gauge\r\na 1\r\n"),
    "returns-after-values": _text("a 1\r\n"),
    "no-last-break": _text("a 1"),
    "cut-off": _text("a 1\nb{x="),
    "empty": _text(""),
    "blank": _text("\n \n"),
    "open-without-end": _open("a 1\n", ""),
    "open-after-end": _open("a 1\n", "# EOF\nb 2\n"),
    "open-blank-line": _open("a 1\n\nb 2\n"),
    "open-comment": _open("# a\na 1\n"),
    "open-empty": _open("", ""),
    "open-only-end": _open("", "# EOF"),
    "open-returns": _open("a 1\r\n"),
    "open-types": _open("# TYPE a info\na_info{x=\"1\"} 1\n# TYPE b stateset\nb{b=\"x\"} 1\n# TYPE c unknown\nc 1\n"),
    "open-untyped": _open("# TYPE a untyped\na 1\n"),
    "open-unit": _open("# TYPE a_s gauge\n# UNIT a_s s\na_s 1\n"),
    "open-bad-unit": _open("# TYPE a_s gauge\n# UNIT a_s m\na_s 1\n"),
    "open-exemplars": _open('# TYPE a histogram\na_bucket{le="1"} 1 # {id="x"} 0.5\na_bucket{le="+Inf"} 1 # {} 0.5 1.5\na_count 1\n'),
    "open-bad-exemplar": _open('a 1 # {id=x} 0.5\n'),
    # What is around the page.
    "gzip": Page(gzip.compress(b"a 1\n"), headers=(("Content-Encoding", "gzip"),)),
    "deflate": Page(zlib.compress(b"a 1\n"), headers=(("Content-Encoding", "deflate"),)),
    "only-called-deflate": Page(b"a 1\n", headers=(("Content-Encoding", "deflate"),)),
    "x-gzip": Page(gzip.compress(b"a 1\n"), headers=(("Content-Encoding", "x-gzip"),)),
    "identity": Page(b"a 1\n", headers=(("Content-Encoding", "identity"),)),
    "gzip-in-capitals": Page(gzip.compress(b"a 1\n"), headers=(("Content-Encoding", "GZIP"),)),
    "gzip-twice": Page(gzip.compress(gzip.compress(b"a 1\n")), headers=(("Content-Encoding", "gzip, gzip"),)),
    "bad-gzip": Page(b"a 1\n", headers=(("Content-Encoding", "gzip"),)),
    "not-found": Page(b"a 1\n", status="404 Not Found"),
    "no-content": Page(b"", status="204 No Content"),
    "error": Page(b"a 1\n", status="500 Internal Server Error"),
    **{
        f"type-{name}": Page(b"a 1\n", content_type)
        for name, content_type in {
            "absent": None, "html": "text/html; charset=utf-8", "json": "application/json", "plain": "text/plain",
            "upper-case": "TEXT/PLAIN", "junk": "text plain", "odd-parameter": "text/plain; charset", "semicolon": "text/plain;",
            "octets": "application/octet-stream", "quoted": 'text/plain; version="0.0.4"',
        }.items()
    },
    "html-without-anything": Page(b"", "text/html"),
    "open-type-of-text": Page(b"a 1\n", _OPEN),
    **_redirects(1),
    **_redirects(9),
    **_redirects(10),
}  # fmt: skip
"""By the path that serves them."""


@dataclass
class PageServer:
    """Serves pages, which may be exchanged meanwhile; `asked` has the headers of the last request of each."""

    pages: dict[str, Page] = field(default_factory=lambda: dict(PAGES))
    asked: dict[str, dict[str, str]] = field(default_factory=dict)
    address: str = ""

    def answer(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterator[bytes]:
        name = environ["PATH_INFO"].strip("/")
        page = self.pages[name]
        self.asked[environ.get("HTTP_USER_AGENT", "").partition("/")[0]] = {
            key: value for key, value in environ.items() if key.startswith("HTTP_")
        }
        content_type = [("Content-Type", page.content_type)] if page.content_type is not None else []
        start_response(page.status, [*content_type, *page.headers])
        yield page.body if isinstance(page.body, bytes) else page.body()


@contextmanager
def serving() -> Iterator[PageServer]:
    served = PageServer()
    with listening(served.answer) as served.address:
        yield served
