"""Session for the APIs of other programs (Prometheus, Grafana, a receiver, a master, a metrics page): limits size and
time of responses, after decoding and including redirects."""

import re
from typing import Any

import gevent
import requests
from requests.exceptions import (
    ChunkedEncodingError,
    ContentDecodingError,
    InvalidHeader,
    InvalidURL,
    ReadTimeout,
    RequestException,
    SSLError,
)
from requests.exceptions import ConnectionError as RequestsConnectionError
from urllib3 import exceptions as urllib3_exceptions

from obswarm.http.api_client.access import ApiAccess, ApiAuth
from obswarm.http.codings import decoded
from obswarm.http.errors import DecodingError
from obswarm.http.tls import trusted_certificates
from obswarm.units import format_bytes, format_limit

_PIECE_BYTES = 65_536
_MOST_REDIRECTS = 5
_NO_CREDENTIALS = ApiAccess()
_SENDABLE = re.compile(r"[^\r\n\0\u0100-\U0010ffff]*")


class AnswerTooLarge(RequestException):
    """The response of an API exceeds the size limit."""


def _check_headers(request: requests.PreparedRequest) -> None:
    """Raises InvalidHeader for one that http.client would refuse with an error of its own: a token out of a file may
    have a line break, or a character that looks like another one. The value is not shown."""
    for name, value in request.headers.items():
        if not _SENDABLE.fullmatch(value):
            raise InvalidHeader(f"the header {name} has a character that cannot be sent", request=request)


class ApiSession(requests.Session):
    """A session whose answers have at most `largest_bytes`, and take `longest_s` at most to the last byte of the last
    redirect. Raises requests' exceptions, AnswerTooLarge and ReadTimeout among them.

    `access` has the credentials and certificates, which other hosts are not shown when they are redirected to. With
    `trust_env` proxies (HTTP_PROXY, HTTPS_PROXY, NO_PROXY) and the certificates to trust (REQUESTS_CA_BUNDLE,
    CURL_CA_BUNDLE, SSL_CERT_FILE) are those of the environment where `access` has none; ~/.netrc is not read.
    With `undone` only a body whose Content-Encoding is that is decoded; any other is left as it is.
    """

    def __init__(
        self,
        largest_bytes: int,
        longest_s: float,
        trust_env: bool = True,
        access: ApiAccess = _NO_CREDENTIALS,
        undone: str | None = None,
    ) -> None:
        super().__init__()
        self._longest_s = longest_s
        self._access = access
        self._requested_url = ""
        self.trust_env = trust_env
        self.auth = ApiAuth(access)
        self.headers.update(dict(access.headers))
        self.max_redirects = _MOST_REDIRECTS
        bound_answers(self, largest_bytes, undone)

    def request(self, method: str | bytes, url: str | bytes, *arguments: Any, **options: Any) -> requests.Response:
        self._requested_url = url if isinstance(url, str) else url.decode()
        return super().request(method, url, *arguments, **options)

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        _check_headers(request)
        if self._is_another(request.url or ""):
            options["cert"] = None
        limit = gevent.Timeout(self._longest_s)
        try:
            with limit:
                return super().send(request, **options)
        except gevent.Timeout as passed:
            if passed is not limit:
                raise
            raise ReadTimeout(f"no complete answer within {format_limit(self._longest_s)}", request=request) from None
        except RequestException:
            raise
        except OSError as error:
            # So requests says that a file with certificates is missing.
            raise SSLError(error, request=request) from None
        except ValueError as error:
            # So requests, and what it stands on, say that a redirect leads to what is no URL.
            raise InvalidURL(str(error), request=request) from None

    def merge_environment_settings(self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any) -> Any:
        # Given with the request, or the environment's would count before them.
        access = self._access
        if access.proxy is not None:
            proxies = {"http": access.proxy, "https": access.proxy}
        if verify is None:
            verify = access.ca_file or (trusted_certificates() if self.trust_env else True)
        return super().merge_environment_settings(url, proxies, stream, verify, cert or access.client_certificate)

    def rebuild_auth(self, prepared_request: requests.PreparedRequest, response: requests.Response) -> None:
        """Called for each redirect: remove credentials if it leads to another origin."""
        if self._is_another(prepared_request.url or ""):
            for name in ("Authorization", *(name for name, _ in self._access.headers)):
                prepared_request.headers.pop(name, None)

    def _is_another(self, url: str) -> bool:
        """Return whether a URL is of another origin than the one requested; another port is, and http after https."""
        return bool(self.should_strip_auth(self._requested_url, url))  # type: ignore[no-untyped-call]  # requests' own


def bound_answers(session: requests.Session, largest_bytes: int, undone: str | None = None) -> None:
    """Have the session read no more of an answer that is not streamed, each one that redirects included. `undone` is
    the only content coding that is undone; all that are known unless given."""

    def read(response: requests.Response, *_: Any, stream: bool = False, **__: Any) -> None:
        if not stream:
            _read(response, largest_bytes, undone)

    # Called before requests itself reads the body, of each hop.
    session.hooks["response"].append(read)


def _read(response: requests.Response, largest_bytes: int, undone: str | None) -> None:
    try:
        response._content = b"".join(_pieces(response, largest_bytes, undone))
    except BaseException:
        response.close()
        raise
    response._content_consumed = True  # type: ignore[attr-defined]


def _pieces(response: requests.Response, largest_bytes: int, undone: str | None) -> Any:
    """The body, decoded; both sizes are bounded."""
    size = 0
    coding = response.headers.get("content-encoding")
    if undone is not None and coding != undone:
        coding = None
    try:
        for piece in decoded(_raw(response, largest_bytes), coding):
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
