"""rest() and rest_() of both clients: calls of JSON APIs, judged by assertions. Names and meaning are Locust's."""

import json
import time
import traceback
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gevent import GreenletExit

from obswarm.api.errors import STEERING_EXCEPTIONS

_SHOWN = 250


class RestCalls:
    """`rest()` and `rest_()`, for a session and for a user, who calls those of its session."""

    __slots__ = ()

    def _rest_client(self) -> Any:
        return self

    def _rest_name(self, url: str) -> str:
        """Return the name under which `rest_` counts a request to `url`."""
        return url

    @contextmanager
    def rest(
        self, method: str, url: str, headers: dict[str, str] | None = None, **kwargs: Any
    ) -> Generator[Any, None, None]:
        """Send a request that accepts JSON; `response.js` is the parsed answer, None when there is none.

        An answer that is not JSON is a failure. In the `with` block a failed assertion, or any other exception, is a
        failure with its text and place; it goes no further. A request without an answer fails with what kept it away.
        """
        fields = dict(headers or {})
        present = {name.lower() for name in fields}
        for name in ("Content-Type", "Accept"):
            if name.lower() not in present:
                fields[name] = "application/json"
        with self._rest_client().request(method, url, catch_response=True, headers=fields, **kwargs) as response:
            response.js = None
            is_answered = response.status_code != 0
            if is_answered and response.content:
                try:
                    response.js = response.json()
                except ValueError as error:
                    shown = response.text[:_SHOWN]
                    position = f", line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
                    response.failure(f"the answer (HTTP {response.status_code}) is not JSON{position}: {shown!r}")
            try:
                yield response
            except (*STEERING_EXCEPTIONS, GreenletExit):
                raise
            except Exception as error:
                if not is_answered:
                    # What the block expects of an answer says nothing of a request that got none.
                    return
                if isinstance(error, AssertionError):
                    response.failure(str(error).rstrip(",") or f"assertion failed in {_place(error)}")
                else:
                    response.failure(f"{type(error).__name__}: {error} in {_place(error)}")

    @contextmanager
    def rest_(self, method: str, url: str, name: str | None = None, **kwargs: Any) -> Generator[Any, None, None]:
        """As `rest`, with the time as the query parameter `_`, which gets past caches; counted without it."""
        joined = f"{url}{'&' if '?' in url else '?'}_={int(time.time() * 1000)}"
        with self.rest(method, joined, name=name or self._rest_name(url), **kwargs) as response:
            yield response


def _place(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    # The first frame is this module's own, where the block's exception comes in.
    frame = frames[-1]
    return f"{Path(frame.filename).name}:{frame.lineno}" + (f" ({frame.line})" if frame.line else "")
