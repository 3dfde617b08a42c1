"""requests for the APIs of others (Prometheus, Grafana, a receiver, a master, a metrics page): what they answer has a
largest size, also once it is decoded, and a longest time, redirects included."""

from typing import Any

import gevent
import requests
from requests.exceptions import ChunkedEncodingError, ContentDecodingError, ReadTimeout, RequestException, SSLError
from requests.exceptions import ConnectionError as RequestsConnectionError
from urllib3 import exceptions as urllib3_exceptions

from obswarm.http.codings import decoded
from obswarm.http.errors import DecodingError
from obswarm.units import format_bytes

_PIECE_BYTES = 65_536
_MOST_REDIRECTS = 5


class AnswerTooLarge(RequestException):
    """An answer of an API has more bytes than are taken of it."""


class ApiSession(requests.Session):
    """A session whose answers have at most `largest_bytes`, and take `longest_s` at most to the last byte of the last
    redirect. Raises requests' exceptions, AnswerTooLarge and ReadTimeout among them."""

    def __init__(self, largest_bytes: int, longest_s: float, trust_env: bool = False) -> None:
        super().__init__()
        self._longest_s = longest_s
        self.trust_env = trust_env
        self.max_redirects = _MOST_REDIRECTS
        bound_answers(self, largest_bytes)

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        limit = gevent.Timeout(self._longest_s)
        try:
            with limit:
                return super().send(request, **options)
        except gevent.Timeout as passed:
            if passed is not limit:
                raise
            raise ReadTimeout(f"no complete answer within {self._longest_s:g} s", request=request) from None


def bound_answers(session: requests.Session, largest_bytes: int) -> None:
    """Have the session read no more of an answer that is not streamed, each one that redirects included."""

    def read(response: requests.Response, *_: Any, stream: bool = False, **__: Any) -> None:
        if not stream:
            _read(response, largest_bytes)

    # Called before requests itself reads the body, of each hop.
    session.hooks["response"].append(read)


def _read(response: requests.Response, largest_bytes: int) -> None:
    try:
        response._content = b"".join(_pieces(response, largest_bytes))
    except BaseException:
        response.close()
        raise
    response._content_consumed = True  # type: ignore[attr-defined]


def _pieces(response: requests.Response, largest_bytes: int) -> Any:
    """The body, decoded; both sizes are bounded."""
    size = 0
    try:
        for piece in decoded(_raw(response, largest_bytes), response.headers.get("content-encoding")):
            size += len(piece)
            _check(response, size, largest_bytes)
            yield piece
    except DecodingError as error:
        raise ContentDecodingError(str(error), request=response.request) from None
    except urllib3_exceptions.ReadTimeoutError as error:
        raise RequestsConnectionError(error, request=response.request) from None
    except urllib3_exceptions.SSLError as error:
        raise SSLError(error, request=response.request) from None
    except urllib3_exceptions.HTTPError as error:
        raise ChunkedEncodingError(error, request=response.request) from None


def _raw(response: requests.Response, largest_bytes: int) -> Any:
    size = 0
    for piece in response.raw.stream(_PIECE_BYTES, decode_content=False):
        size += len(piece)
        _check(response, size, largest_bytes)
        yield piece


def _check(response: requests.Response, size: int, largest_bytes: int) -> None:
    if size > largest_bytes:
        limit = format_bytes(largest_bytes)
        raise AnswerTooLarge(f"the answer is larger than {limit}", request=response.request, response=response)
