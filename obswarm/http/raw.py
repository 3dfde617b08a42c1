"""Parts of both clients' responses: headers, cookies, and `response.raw` with urllib3's interface."""

import re
from collections.abc import Iterable, Iterator, Mapping
from email.message import Message
from itertools import chain
from typing import TypeVar

from obswarm.http.body_buffer import gather
from obswarm.http.codings import decoded
from obswarm.http.errors import DecodingError, HttpError, ReadTimeout
from obswarm.http.response_parser import Header, ResponseHead
from obswarm.http.response_stream import ResponseStream

_PIECE = 65536
_AROUND_LINKS = " '\""


_AnyHeaders = TypeVar("_AnyHeaders")


class RawResponse:
    """`response.raw`: the part of urllib3's response that requests and its users need."""

    def __init__(self, status: int, head: ResponseHead, headers: Mapping[str, str], url: str) -> None:
        self.status = status
        self.url = url
        self.headers = headers
        self.reason = head.reason.decode("latin-1")
        self.version = 11
        self.decode_content = True
        self.body: ResponseStream | None = None
        self.whole: bytes | None = None
        self._rest = b""
        self._source: Iterator[bytes] | None = None
        received = set_cookies(head.headers)
        self._original_response = _ForCookies(received) if received else None

    def geturl(self) -> str:
        """Return the URL of the response."""
        return self.url

    def getheader(self, name: str, default: str | None = None) -> str | None:
        """Return the value of a header, repeated ones joined by commas; `default` without it."""
        return self.headers.get(name, default)

    def stream(self, amt: int | None = _PIECE, decode_content: bool | None = None) -> Iterator[bytes]:
        """Iterate over the body in pieces of at most `amt` bytes. Raises urllib3's exceptions, which requests
        expects."""
        pieces = self._pieces(decode_content)
        yield from pieces if amt is None else regrouped(pieces, amt)

    def read(self, amt: int | None = None, decode_content: bool | None = None) -> bytes:
        """Return the next `amt` bytes of the body, or the rest."""
        if self._source is None:
            self._source = self._pieces(decode_content)
        pieces, size = [self._rest], len(self._rest)
        self._rest = b""
        if amt is None:
            return gather(chain(pieces, self._source))
        while size < amt:
            piece = next(self._source, None)
            if piece is None:
                break
            pieces.append(piece)
            size += len(piece)
        gathered = b"".join(pieces)
        self._rest = gathered[amt:]
        return gathered[:amt]

    def _pieces(self, decode_content: bool | None) -> Iterator[bytes]:
        wanted = self.decode_content if decode_content is None else decode_content
        coding = self.headers.get("content-encoding") if wanted else None
        if self.body is not None:
            pieces = self.body.pieces(coding)
        else:
            # Read already when it was no stream, and then there is nothing more to come.
            whole, self.whole = self.whole, None
            pieces = decoded([whole] if whole else [], coding)
        try:
            yield from pieces
        except HttpError as error:
            raise _as_of_urllib3(error) from None

    @property
    def received(self) -> int:
        """Bytes of a streamed body that have come so far."""
        return self.body.received if self.body is not None else 0

    def drain(self) -> int:
        """Read what is left of the body and throw it away. Gives the bytes of all of it, and raises HttpError."""
        if self.body is None:
            whole, self.whole = self.whole, None
            return len(whole or b"")
        # Somebody else, a hook, may have read it.
        for _ in () if self.body.begun else self.body.pieces():
            pass
        return self.body.received

    def close(self) -> None:
        if self.body is not None:
            self.body.close()

    def release_conn(self) -> None:
        self.close()

    @property
    def closed(self) -> bool:
        return self.body.begun if self.body is not None else self.whole is None


def _as_of_urllib3(error: HttpError) -> Exception:
    # Only here: FastHttpUser does not import urllib3.
    from urllib3 import exceptions

    if isinstance(error, DecodingError):
        return exceptions.DecodeError(error)
    if isinstance(error, ReadTimeout):
        return exceptions.ReadTimeoutError(None, None, str(error))  # type: ignore[arg-type]
    return exceptions.ProtocolError(str(error), error)


class _ForCookies:
    """http.client's response as far as requests looks at it for cookies."""

    def __init__(self, received: tuple[bytes, ...]) -> None:
        self.msg = Message()
        for value in received:
            self.msg.add_header("Set-Cookie", value.decode("latin-1"))

    def isclosed(self) -> bool:
        return True


def join_headers(raw_headers: Iterable[Header], joined: _AnyHeaders) -> _AnyHeaders:
    """Add the values by name, repeated ones joined by commas (RFC 9110, 5.2), to an empty dict of headers."""
    # What its methods do, at a quarter of the time.
    fields: dict[str, tuple[str, str]] = joined._store  # type: ignore[attr-defined]
    for raw_name, raw_value in raw_headers:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        lowered = name.lower()
        before = fields.get(lowered)
        fields[lowered] = (name, value) if before is None else (before[0], f"{before[1]}, {value}")
    return joined


def set_cookies(raw_headers: Iterable[Header]) -> tuple[bytes, ...]:
    """The values of the Set-Cookie headers, the only ones that must not be joined."""
    return tuple([value for name, value in raw_headers if len(name) == 10 and name.lower() == b"set-cookie"])


def parse_links(value: str) -> list[dict[str, str]]:
    """Return the links of a Link header (RFC 8288) as requests does: `url` and the parameters of each, up to the first
    that is no `name=value`."""
    links = []
    value = value.strip(_AROUND_LINKS)
    for part in re.split(", *<", value) if value else ():
        url, _, parameters = part.partition(";")
        link = {"url": url.strip("<>" + _AROUND_LINKS)}
        for parameter in parameters.split(";"):
            if parameter.count("=") != 1:
                break
            name, _, text = parameter.partition("=")
            link[name.strip(_AROUND_LINKS)] = text.strip(_AROUND_LINKS)
        links.append(link)
    return links


def content_coding(raw_headers: Iterable[Header]) -> str | None:
    """The codings of the Content-Encoding headers, None without any."""
    codings = [value for name, value in raw_headers if len(name) == 16 and name.lower() == b"content-encoding"]
    return b", ".join(codings).decode("latin-1") if codings else None


def regrouped(pieces: Iterable[bytes], size: int) -> Iterator[bytes]:
    """The same bytes in pieces of `size`, the last one shorter."""
    gathered = bytearray()
    for piece in pieces:
        gathered += piece
        while len(gathered) >= size:
            yield bytes(gathered[:size])
            del gathered[:size]
    if gathered:
        yield bytes(gathered)
