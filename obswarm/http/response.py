"""Responses of FastHttpUser's client, with the attributes that requests' have."""

import json
from collections.abc import Iterator
from datetime import timedelta
from email.message import Message
from http import HTTPStatus
from typing import Any
from zlib import MAX_WBITS, decompressobj
from zlib import error as ZlibError  # noqa: N812 - zlib's own name says nothing here

from requests.structures import CaseInsensitiveDict

from obswarm.http.errors import ProtocolError
from obswarm.http.outcome import Judged, status_error


class SentRequest:
    """What was sent: method, url, headers, body."""

    __slots__ = ("body", "headers", "method", "url")

    def __init__(self, method: str, url: str, headers: dict[str, str], body: bytes) -> None:
        self.method = method
        self.url = url
        self.headers = headers
        self.body = body


class FastResponse(Judged):
    """An answer, or, with `status_code` 0 and `error` set, the lack of one.

    With `catch_response=True` it is a context manager, and `success()` and `failure(reason)` overrule the status.
    """

    def __init__(
        self,
        request: SentRequest,
        status_code: int,
        reason: str,
        headers: list[tuple[str, str]],
        body: bytes,
        url: str,
        history: list["FastResponse"],
        error: Exception | None = None,
    ) -> None:
        self.request = request
        self.status_code = status_code
        self.reason = reason
        self.raw_headers = headers
        self.raw_body = body
        self.url = url
        self.history = history
        self.error = error
        self.elapsed_s = 0.0
        self._headers: CaseInsensitiveDict[str] | None = None
        self._content: bytes | None = None

    @property
    def headers(self) -> "CaseInsensitiveDict[str]":
        """Header values by name, case-insensitive; repeated ones joined by commas."""
        if self._headers is None:
            joined: CaseInsensitiveDict[str] = CaseInsensitiveDict()
            for name, value in self.raw_headers:
                joined[name] = f"{joined[name]}, {value}" if name in joined else value
            self._headers = joined
        return self._headers

    @property
    def elapsed(self) -> timedelta:
        """From the call to the last byte, redirects included."""
        return timedelta(seconds=self.elapsed_s)

    @property
    def ok(self) -> bool:
        return self.error is None and self.status_code < 400

    @property
    def content(self) -> bytes:
        """The body, decoded from its content coding. Raises ProtocolError when it is damaged."""
        if self._content is None:
            self._content = _decode(self.raw_body, self.headers.get("content-encoding"))
        return self._content

    @property
    def encoding(self) -> str:
        """The character set of the Content-Type header; UTF-8 when it names none."""
        message = Message()
        message["content-type"] = self.headers.get("content-type", "")
        return message.get_content_charset() or "utf-8"

    @property
    def text(self) -> str:
        try:
            return self.content.decode(self.encoding, errors="replace")
        except LookupError:
            return self.content.decode("utf-8", errors="replace")

    def json(self, **kwargs: Any) -> Any:
        """The body as JSON. Raises json.JSONDecodeError (a ValueError) when it is not."""
        return json.loads(self.content, **kwargs)

    def iter_lines(self) -> Iterator[str]:
        yield from self.text.splitlines()

    def raise_for_status(self) -> None:
        """Raises what kept the answer from coming, or ResponseError from status 400 on."""
        if self.error is not None:
            raise self.error
        failure = status_error(self.status_code, self.reason)
        if failure is not None:
            raise failure

    def __bool__(self) -> bool:
        return self.ok

    def __repr__(self) -> str:
        return f"<FastResponse [{self.status_code or self.error!r}]>"


def reason_phrase(status_code: int, sent: str) -> str:
    """What the server said, or the standard's phrase."""
    if sent:
        return sent
    try:
        return HTTPStatus(status_code).phrase
    except ValueError:
        return ""


def _decode(body: bytes, coding: str | None) -> bytes:
    if not coding or not body:
        return body
    for name in reversed([part.strip().lower() for part in coding.split(",")]):
        if name in ("gzip", "x-gzip", "deflate"):
            body = _inflate(body, name)
    return body


def _inflate(body: bytes, coding: str) -> bytes:
    # "deflate" means zlib's wrapper, but servers that send the bare stream are common.
    windows = (MAX_WBITS, -MAX_WBITS) if coding == "deflate" else (MAX_WBITS | 16,)
    for window in windows:
        inflater = decompressobj(window)
        try:
            return inflater.decompress(body) + inflater.flush()
        except ZlibError:
            continue
    raise ProtocolError(f"the body is not {coding}, as its Content-Encoding says")
