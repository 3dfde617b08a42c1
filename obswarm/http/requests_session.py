"""HttpUser's client: a real requests.Session whose every call is counted."""

import types
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import requests
from requests.exceptions import InvalidSchema, InvalidURL, MissingSchema, RequestException

from obswarm import clock
from obswarm.api import CatchResponseError, Environment, User
from obswarm.http.outcome import Judged, Outcome, status_error
from obswarm.http.urls import absolute


class CountedResponse(Judged, requests.Response):
    """requests.Response with `success()` and `failure(reason)`, and a context manager for catch_response=True.

    `error` is what kept the answer from coming (`status_code` is 0 then), else None.
    """

    error: Exception | None = None

    def raise_for_status(self) -> None:
        """As in requests; also raises what kept the answer from coming."""
        if self.error is not None:
            raise self.error
        super().raise_for_status()

    def __exit__(  # type: ignore[override]  # requests gives the response away at the end of a block
        self,
        kind: type[BaseException] | None = None,
        raised: BaseException | None = None,
        traceback: types.TracebackType | None = None,
    ) -> bool:
        if isinstance(raised, requests.HTTPError):
            # response.raise_for_status() in the block says no more than that the request failed.
            raised = CatchResponseError(str(raised))
        return super().__exit__(kind, raised, traceback)


class HttpSession(requests.Session):
    """requests.Session for one user: paths are below the user's host, `name` and `catch_response` as in Locust.

    A request that gets no answer does not raise; see CountedResponse.error.
    """

    def __init__(self, environment: Environment, base_url: str | None, user: User | None = None) -> None:
        super().__init__()
        self.environment = environment
        self.base_url = base_url
        self.user = user
        self.request_name: str | None = None

    def request(  # type: ignore[override]
        self,
        method: str,
        url: str | bytes,
        name: str | None = None,
        catch_response: bool = False,
        context: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> CountedResponse:
        """As requests.Session.request; raises requests' MissingSchema, InvalidSchema, InvalidURL, and MissingHost."""
        text = url.decode() if isinstance(url, bytes) else url
        asked = absolute(self.base_url, text)
        started = clock.monotonic()
        try:
            plain = super().request(method, asked, **kwargs)
        except (MissingSchema, InvalidSchema, InvalidURL):
            raise
        except RequestException as error:
            response = CountedResponse()
            response.status_code = 0
            response.error = error
            response.url = asked
            if error.request is not None:
                response.request = error.request  # type: ignore[assignment]
        except BaseException as error:
            if not isinstance(error, Exception):
                self.environment.recorder.record_interrupted()
            raise
        else:
            # The object stays the one that requests made (hooks may have kept it); only its class is extended.
            plain.__class__ = CountedResponse
            response = plain  # type: ignore[assignment]
        duration_s = clock.monotonic() - started
        first = response.history[0] if response.history else response
        sent = getattr(first, "request", None)
        response.outcome = Outcome(
            self.environment,
            method.upper(),
            name or self.request_name or (sent.path_url if sent is not None else text),
            str(sent.url) if sent is not None else asked,
            duration_s,
            response.status_code,
            self._size(response, kwargs.get("stream", False)),
            _without_addresses(response.error) or status_error(response.status_code, response.reason),
            {**(self.user.context() if self.user else {}), **(context or {})},
        )
        if not catch_response:
            response.outcome.report(response)
        return response

    @staticmethod
    def _size(response: CountedResponse, stream: bool) -> int:
        if response.error is not None:
            return 0
        if stream:
            length = response.headers.get("content-length", "")
            return int(length) if length.isdecimal() else 0
        return len(response.content)

    @contextmanager
    def rename_request(self, name: str) -> Generator[None, None, None]:
        """Requests made in the block are counted under this name unless they have their own."""
        before, self.request_name = self.request_name, name
        try:
            yield
        finally:
            self.request_name = before


def _without_addresses(error: Exception | None) -> BaseException | None:
    """The innermost reason: urllib3 wraps it in pools and retries that differ from call to call."""
    if error is None:
        return None
    reason: Any = error
    seen = 0
    while seen < 5:
        inner = getattr(reason, "reason", None)
        if not isinstance(inner, BaseException):
            inner = next((part for part in getattr(reason, "args", ()) if isinstance(part, BaseException)), None)
        if inner is None:
            break
        reason, seen = inner, seen + 1
    return reason if isinstance(reason, BaseException) else error
