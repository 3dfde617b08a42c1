"""An answer while it is read: what the parser has found so far. No I/O."""

import re
from typing import Any

import httptools

Header = tuple[bytes, bytes]

_END_OF_HEAD = re.compile(rb"\r?\n\r?\n")
_FOLD = re.compile(rb"[ \t]*\r?\n[ \t]+")
_STATUS_LINE = re.compile(rb"[\r\n]*HTTP/\d\.\d +(\S+)")
_FRAMES = rb"\n(?:content-length|transfer-encoding)[ \t]*:"
_MENDABLE = re.compile(
    rb"\n[ \t]|\ncontent-length[ \t]*:[^\n]*,|" + _FRAMES + rb".*" + _FRAMES, re.IGNORECASE | re.DOTALL
).search
_LENGTH, _CODING = b"content-length", b"transfer-encoding"
_LARGE_LENGTH = re.compile(rb"\ncontent-length:[ \t]*\d{6}", re.IGNORECASE).search
_MOST_HEAD_BYTES = 256 * 1024
_MUCH = f"more than {_MOST_HEAD_BYTES // 1024} KiB of headers"
_MOST_INTERIM = 100
_BEGIN = b"HTTP/"
_SWITCHING_PROTOCOLS = 101
_INTERIM = frozenset(b"%d" % status for status in range(100, 200) if status != _SWITCHING_PROTOCOLS)
_MOST_SPARE = 256


class Excess(Exception):
    """The server began a second answer to one request."""


class TooMuch(Exception):
    """The head of an answer goes on and on."""


class NotHttp(Exception):
    """The bytes are no response of HTTP/1.0 or HTTP/1.1. The text says why."""


class ResponseHead:
    """What stands before the body, cut apart when somebody asks for it: most callers only want the status, which the
    parser knows, and calls into Python for each header are a tenth of a request's cost.

    `raw` begins with the answer's first byte and goes beyond its head; the parser has found it to be in order.
    """

    __slots__ = ("headers", "reason")

    def __init__(self, raw: bytes, interim: int = 0) -> None:
        """`interim` is the number of 1xx answers that came before."""
        begin, end, _ = _last_head(raw, interim)
        head = raw[begin:end]
        if b"\n " in head or b"\n\t" in head:
            head = _FOLD.sub(b" ", head)
        lines = head.split(b"\n")
        parts = lines[0].split(b" ", 2)
        self.reason = parts[2].strip() if len(parts) > 2 else b""
        self.headers: list[Header] = []
        for line in lines[1:]:
            name, _, value = line.partition(b":")
            self.headers.append((name, value.strip()))


class ParsedResponse:
    """Feed it what arrives; `complete` says when the answer is whole. It is also what the parser calls back.

    `raw` is what has come up to the end of the head, and what came with it; `body` the pieces of the body. Get one by
    `ParsedResponse.begin`, and `recycle` it: an idle connection needs no parser, and there are far more of those than
    answers that are just being read.
    """

    __slots__ = (
        "_head_only",
        "_parser",
        "body",
        "complete",
        "interim",
        "keep_alive",
        "on_body",
        "raw",
        "reading_head",
        "status",
    )

    def __init__(self) -> None:
        # One list for the life of the parser, which appends to it without a call into Python.
        self.body: list[bytes] = []
        self.on_body = self.body.append
        self.raw = b""
        self.status = 0
        self.interim = 0
        self.complete = False
        self.keep_alive = False
        self.reading_head = True
        self._head_only = False
        self._parser: Any = self._new_parser()

    def _new_parser(self) -> Any:
        parser = httptools.HttpResponseParser(self)
        # RFC 9112, 2.2 lets a recipient take a single LF as the end of a line, and old servers put blanks behind a
        # chunk's size.
        parser.set_dangerous_leniencies(lenient_optional_cr_before_lf=True, lenient_spaces_after_chunk_size=True)
        return parser

    @staticmethod
    def begin(head_only: bool) -> "ParsedResponse":
        """One for the next answer; with `head_only` it ends with its head, as to a HEAD request."""
        answer = _spare.pop() if _spare else ParsedResponse()
        answer._head_only = head_only
        return answer

    def recycle(self) -> None:
        """Keep the object for another response: this one has been read, and nothing refers to it."""
        if self.keep_alive and not self._head_only and len(_spare) < _MOST_SPARE:
            # After a whole answer the parser waits for the next one. In all other cases it is somewhere in the middle.
            self.body.clear()
            self.raw = b""
            self.status = 0
            self.interim = 0
            self.complete = False
            self.reading_head = True
            _spare.append(self)
        else:
            self.abandon()

    def take_whole(self, raw: bytes, body_at: int, status: int, keep_alive: bool) -> None:
        """Take an answer that is whole in `raw`, whose head has been parsed before."""
        self.raw = raw
        self.status = status
        self.keep_alive = keep_alive
        self.complete = True
        self.reading_head = False
        if body_at < len(raw):
            self.body.append(raw[body_at:])

    def feed(self, piece: bytes) -> None:
        """Raises httptools' errors, Excess, NotHttp and TooMuch among their contexts, and the latter two themselves."""
        if self.reading_head:
            self.raw = self.raw + piece if self.raw else piece
        try:
            self._parser.feed_data(piece)
        except httptools.HttpParserError as error:
            self._mend(error)
        if self.reading_head and len(self.raw) > _MOST_HEAD_BYTES:
            raise TooMuch(_MUCH)

    def _mend(self, refused: httptools.HttpParserError) -> None:
        """Parse heads anew that the parser has refused, when they can be mended. Raises the refusal for others."""
        if not self.reading_head or isinstance(refused, httptools.HttpParserCallbackError):
            raise refused
        if isinstance(refused, httptools.HttpParserInvalidStatusError):
            found = _STATUS_LINE.match(self.raw)
            if found is not None:
                raise NotHttp(_no_status(found[1][:20].decode("latin-1"))) from None
        if not is_mendable(self.raw):
            raise refused
        self._parser = _Refusal(self, refused)
        self._parser.feed_data(b"")

    def parse_anew(self, refused: httptools.HttpParserError) -> None:
        """Parse what has come once more, when all of the heads has. Raises httptools' errors."""
        heads = mend_heads(self.raw)
        if heads is None:
            return
        if heads == self.raw:
            raise refused
        self.interim = 0
        self._parser = self._new_parser()
        self._parser.feed_data(heads)

    def end(self) -> bool:
        """The server closed. False when the answer is cut off by that."""
        if self.complete:
            return True
        if self.reading_head or any(_delimits(name.lower(), value) for name, value in self.head().headers):
            return False
        # A body that has no other end (RFC 9112, 6.3).
        self.complete = True
        self.keep_alive = False
        return True

    def head(self) -> ResponseHead:
        """Reason and headers."""
        return ResponseHead(self.raw, self.interim)

    def begins_otherwise(self) -> bool:
        """Return whether what has come is not the beginning of a response."""
        begin = self.raw.lstrip(b"\r\n")
        return begin[: len(_BEGIN)] != _BEGIN[: len(begin)]

    def announced_bytes(self) -> int:
        """What the head says that the body has, when that is a number of six digits or more; else 0."""
        # Looked for in the raw bytes first, since cutting the head apart costs more than reading a small body.
        if _LARGE_LENGTH(self.raw) is None:
            return 0
        headers = {name.lower(): value for name, value in self.head().headers}
        length = headers.get(b"content-length", b"")
        return int(length) if length.isdigit() and b"transfer-encoding" not in headers else 0

    def abandon(self) -> None:
        """Reading it failed: let go of what came. Exceptions keep the frames that they went through, and so this."""
        self.body.clear()
        self.raw = b""
        # The parser holds our callbacks, and we hold the parser.
        self._parser = None

    # What httptools calls. An interim answer (1xx) is a message of its own before the final one.
    def on_message_begin(self) -> None:
        if self.complete:
            raise Excess

    def on_headers_complete(self) -> None:
        self.status = status = self._parser.get_status_code()
        if status < 200 and status != _SWITCHING_PROTOCOLS:
            if status < 100:
                raise NotHttp(_no_status(f"{status:03d}"))
            self.interim += 1
            if self.interim > _MOST_INTERIM:
                raise TooMuch(f"more than {_MOST_INTERIM} interim answers (1xx)")
            return
        # The parser speaks RTSP and knows of other versions as well.
        if not self.raw.startswith(b"HTTP/1."):
            self._check_version()
        if len(self.raw) > _MOST_HEAD_BYTES and _last_head(self.raw, self.interim)[2] > _MOST_HEAD_BYTES:
            raise TooMuch(_MUCH)
        self.reading_head = False
        if self._head_only:
            self.complete = True
            self.keep_alive = self._is_kept_alive()

    def on_message_complete(self) -> None:
        if not self.reading_head and not self.complete:
            self.complete = True
            # Only now does the parser know; a moment later it has forgotten.
            self.keep_alive = self._parser.should_keep_alive() and self.status != _SWITCHING_PROTOCOLS

    def _check_version(self) -> None:
        begin = self.raw.lstrip(b"\r\n")
        version = self._parser.get_http_version()
        if not begin.startswith(_BEGIN) or not version.startswith("1."):
            line = begin.split(b"\n", 1)[0].strip()[:80].decode("latin-1")
            raise NotHttp(f"the answer begins with {line!r}; HTTP/1.0 and HTTP/1.1 are spoken here")

    def _is_kept_alive(self) -> bool:
        """For an answer without a body: whether it keeps the connection, by its headers alone."""
        tokens = {
            token.strip().lower()
            for name, value in self.head().headers
            if name.lower() == b"connection"
            for token in value.split(b",")
        }
        return b"close" not in tokens and (self._parser.get_http_version() == "1.1" or b"keep-alive" in tokens)


_spare: list[ParsedResponse] = []


class _Refusal:
    """Stands in for a parser that has refused a head, until the end of the head has come."""

    def __init__(self, answer: ParsedResponse, refused: httptools.HttpParserError) -> None:
        self._answer = answer
        self._refused = refused

    def feed_data(self, piece: bytes) -> None:
        self._answer.parse_anew(self._refused)


def is_mendable(head: bytes) -> bool:
    """Return whether a head that the parser refuses may be one that `mend_heads` makes acceptable."""
    return _MENDABLE(head) is not None


def _last_head(raw: bytes, interim: int) -> tuple[int, int, int]:
    """Where the head behind the interim ones begins and ends, and where what follows it begins."""
    position = 0
    for _ in range(interim + 1):
        while raw[position : position + 1] in (b"\r", b"\n"):
            position += 1
        begin = position
        found = _END_OF_HEAD.search(raw, position)
        end, position = found.span() if found is not None else (len(raw), len(raw))
    return begin, end, position


def _no_status(text: str) -> str:
    return f"its status is {text}; there are those from 100 to 999"


def _delimits(name: bytes, value: bytes) -> bool:
    """Whether the header says where the body ends, with `name` in lower case."""
    return name == _LENGTH or (name == _CODING and _is_chunked(value))


def _is_chunked(coding: bytes) -> bool:
    return coding.rpartition(b",")[2].strip().lower() == b"chunked"


def mend_heads(raw: bytes) -> bytes | None:
    """`raw`, the beginning of an answer, with heads that say the same in a way that the parser takes.

    Folded lines become one (RFC 9112, 5.2), and so do Content-Lengths that are equal (RFC 9110, 8.6); beside a chunked
    coding they go, and the connection with them (RFC 9112, 6.3). What differs stays, to be refused. None when the end
    of a head is still to come.
    """
    mended, rest = b"", raw
    while True:
        rest = rest.lstrip(b"\r\n")
        end = _END_OF_HEAD.search(rest)
        if end is None:
            return None
        head, rest = rest[: end.end()], rest[end.end() :]
        mended += _mend_head(head)
        status = _STATUS_LINE.match(head)
        if status is None or status[1] not in _INTERIM:
            return mended + rest


def _mend_head(head: bytes) -> bytes:
    start, _, fields = head.partition(b"\n")
    if fields[:1] in (b" ", b"\t"):
        # Nothing that it could belong to.
        return head
    lines = [line.strip() for line in _FOLD.sub(b" ", fields).split(b"\n") if line.strip()]
    named = [(line.partition(b":")[0].lower(), line) for line in lines]
    lengths = {_plain(part) for name, line in named if name == _LENGTH for part in _value(line).split(b",")}
    codings = [_value(line) for name, line in named if name == _CODING]
    if codings and lengths:
        if _is_chunked(codings[-1]):
            named = [each for each in named if each[0] != _LENGTH]
            named.append((b"connection", b"Connection: close"))
            lengths = set()
        elif all(coding.strip().lower() == b"identity" for coding in codings):
            named = [each for each in named if each[0] != _CODING]
    if len(lengths) == 1:
        named = [each for each in named if each[0] != _LENGTH]
        named.append((_LENGTH, b"Content-Length: " + lengths.pop()))
    return b"\r\n".join([start.rstrip(b"\r"), *[line for _, line in named], b"", b""])


def _plain(length: bytes) -> bytes:
    """A length without leading zeros."""
    length = length.strip()
    return length.lstrip(b"0") or b"0" if length.isdigit() else length


def _value(line: bytes) -> bytes:
    return line.partition(b":")[2]
