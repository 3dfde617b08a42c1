"""Common parts of the WSGI applications: JSON responses, bodies of limited size, bearer tokens."""

import hmac
from collections.abc import Iterable, Mapping
from typing import Any

from obswarm.json_text import to_json
from obswarm.units import format_bytes
from obswarm.web.connections import trust

_PIECE = 65_536


def json_answer(
    start_response: Any, status: str, document: dict[str, Any], headers: Iterable[tuple[str, str]] = ()
) -> Iterable[bytes]:
    return answer(start_response, status, to_json(document).encode() + b"\n", "application/json", headers)


def answer(
    start_response: Any, status: str, body: bytes, content_type: str, headers: Iterable[tuple[str, str]] = ()
) -> Iterable[bytes]:
    start_response(status, [("Content-Type", content_type), ("Content-Length", str(len(body))), *headers])
    return [body]


def refuse_token(start_response: Any) -> Iterable[bytes]:
    """Respond 401: the token is wrong or missing."""
    challenge = [("WWW-Authenticate", 'Bearer realm="obswarm"')]
    return json_answer(start_response, "401 Unauthorized", {"error": "the bearer token is missing or wrong"}, challenge)


def refuse_size(start_response: Any, largest_bytes: int) -> Iterable[bytes]:
    """Respond 413: the body is too large."""
    text = f"the body may have at most {format_bytes(largest_bytes)}"
    return json_answer(start_response, "413 Content Too Large", {"error": text}, [("Connection", "close")])


def has_token(environ: Mapping[str, Any], token: bytes) -> bool:
    """Whether the request has the token; compared in constant time, so that timing does not reveal its beginning."""
    scheme, _, given = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    fits = hmac.compare_digest(given.strip().encode("utf-8", "surrogateescape"), token)
    if scheme.lower() != "bearer" or not fits:
        return False
    trust(environ)
    return True


def read_body(environ: Mapping[str, Any], largest_bytes: int) -> bytes | None:
    """Return the body, or None if it is too large; never reads more than the limit, whatever Content-Length is."""
    announced = environ.get("CONTENT_LENGTH") or ""
    if announced.isdecimal() and int(announced) > largest_bytes:
        return None
    stream = environ["wsgi.input"]
    pieces, size = [], 0
    while piece := stream.read(_PIECE):
        size += len(piece)
        if size > largest_bytes:
            return None
        pieces.append(piece)
    return b"".join(pieces)
