"""A call of requests.Session, made with plain requests and with HttpUser's session, and all that can be seen of it."""

import copy
import pickle
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from operator import methodcaller
from typing import Any

import requests

from obswarm.api import Environment, Events
from obswarm.http import HttpSession
from obswarm.http.requests.templates import Templates
from obswarm.stats import Recorder
from tests.support.scripted_server import Exchange, Script, ScriptedServer, answer

ROUNDS = 3
"""Times that a call is made on one session: cookies and templates are those of the calls before."""

Seen = dict[str, str]
FINE = answer(b'{"a": "b"}', Content_Type="application/json", X_Own="1")
_ATTRIBUTES = (
    "_content",
    "_content_consumed",
    "_next",
    "connection",
    "cookies",
    "elapsed",
    "encoding",
    "headers",
    "history",
    "raw",
    "reason",
    "request",
    "status_code",
    "url",
)
_PICKLED = ("status_code", "content", "headers", "url", "encoding", "reason", "text", "ok")


@dataclass(frozen=True)
class SessionCall:
    """A call, what is done with its session before, and how the target answers.

    `arguments` are those of `request`; a function makes those that can be used only once. `set_up` gets session, URL of
    the target and number of the round. `answers` are scripts by path; `$URL` in their pieces stands for the target's.
    """

    method: str = "GET"
    path: str | bytes = "/asked"
    arguments: Mapping[str, Any] | Callable[[], Mapping[str, Any]] = field(default_factory=dict)
    set_up: Callable[[Any, str, int], None] | None = None
    answer: Script = tuple(FINE)
    answers: Mapping[str, Script] = field(default_factory=dict)
    differs: tuple[str, ...] = ()
    """What is meant to be something else than with requests. Say why beside it."""

    is_plain: bool = True
    """Whether the last call is sent without the steps of requests."""


class Target(ScriptedServer):
    """Answers by path."""

    def __init__(self, call: SessionCall) -> None:
        super().__init__()
        self._call = call

    def script_for(self, exchange: Exchange) -> Script:
        path = exchange.request_line.split()[1].partition("?")[0]
        script = self._call.answers.get(path, self._call.answer)
        if callable(script):
            return script
        return [piece.replace(b"$URL", self.url.encode()) for piece in script]


def seen_by_requests(*calls: SessionCall) -> list[Seen]:
    """What requests makes of the calls, one after the other on one session; of a single one in ROUNDS."""
    with Target(calls[0]) as target, requests.Session() as session:
        return _rounds(calls, target, session, target.url)


def seen_by_http_session(*calls: SessionCall, at_once: bool) -> tuple[list[Seen], list[bool], list[bytes]]:
    """What HttpSession makes of them, with `at_once` without waiting for a second call of the same kind before it is
    plain; whether each answered call was plain; the heads of all requests."""
    environment = Environment(events=Events(), recorder=Recorder(), stop_timeout=1)
    responses: list[Any] = []
    before, Templates.unseen = Templates.unseen, True if at_once else None
    try:
        with Target(calls[0]) as target, HttpSession(environment, target.url) as session:
            seen = _rounds(calls, target, session, "", responses.append)
            heads = [exchange.head.replace(b":%d" % target.port, b":PORT") for exchange in target.exchanges]
            return seen, [_is_plain(response) for response in responses], heads
    finally:
        Templates.unseen = before


def _is_plain(response: Any) -> bool:
    first = response.history[0] if response.history else response
    return first is not None and first._sent is not None


def _rounds(
    calls: Sequence[SessionCall], target: Target, session: Any, url: str, keep: Callable[[Any], None] = lambda _: None
) -> list[Seen]:
    seen = []
    # A call may take them away from the session, which closes those that it has.
    adapters = list(session.adapters.values())
    for number, call in enumerate(calls * ROUNDS if len(calls) == 1 else calls):
        if call.set_up is not None:
            call.set_up(session, target.url, number)
            adapters += [each for each in session.adapters.values() if each not in adapters]
        arguments = call.arguments() if callable(call.arguments) else call.arguments
        path = call.path.decode() if isinstance(call.path, bytes) else call.path
        path = path.replace("$URL", target.url)
        path = path if path.startswith("http") else url + path
        before = len(target.exchanges)
        observed: Seen = {}
        try:
            response = session.request(
                call.method, path.encode() if isinstance(call.path, bytes) else path, **arguments
            )
            error = getattr(response, "error", None)
        except Exception as raised:
            response, error = None, raised
        if response is not None:
            keep(response)
        if error is not None:
            observed["error"] = type(error).__name__
        elif response is not None:
            observed = _observe(response, number)
        for index, exchange in enumerate(target.exchanges[before:]):
            observed[f"sent {index}"] = f"{exchange.request_line} {sorted(exchange.headers.items())} {exchange.body!r}"
        observed["cookies of the session"] = _cookies(session.cookies)
        seen.append(
            {
                name: re.sub(r" at 0x\w+", "", text.replace(f":{target.port}", ":PORT"))
                for name, text in observed.items()
            }
        )
    for adapter in adapters:
        adapter.close()
    return seen


def _observe(response: Any, number: int) -> Seen:
    """All attributes, in another order in each round, since some are made when they are asked for."""
    names = list(_OBSERVED)
    number %= 4
    names = names[::-1] if number == 1 else names[number * 7 :] + names[: number * 7]
    return {name: _text_of(lambda name=name: _OBSERVED[name](response)) for name in names}


def _text_of(look: Callable[[], Any]) -> str:
    try:
        return repr(look())
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def _cookies(jar: Any) -> str:
    return repr([sorted((key, repr(value)) for key, value in vars(cookie).items()) for cookie in jar])


def _request(request: Any) -> Any:
    return (
        *(request.method, request.url, request.path_url, list(request.headers.items()), request.body, request.hooks),
        _cookies(request._cookies),
    )


def _copied(response: Any, copied: Any) -> Any:
    return [getattr(copied, name) for name in _PICKLED] + [
        *(copied.cookies.get_dict(), len(copied.history), copied.request.url, copied.elapsed == response.elapsed),
        copied.raw,
    ]


def _set(response: Any) -> Any:
    """Attributes that may be written."""
    before = response.encoding, response.reason
    response.encoding, response.reason = "latin-1", "Other"
    seen = response.text, response.reason
    response.encoding, response.reason = before
    return seen


_OBSERVED: dict[str, Callable[[Any], Any]] = {
    "links": lambda response: response.links,
    "text": lambda response: response.text,
    "content": lambda response: response.content,
    "json": lambda response: response.json(),
    "status": lambda response: (response.status_code, response.reason, response.ok, bool(response)),
    "url": lambda response: response.url,
    "encoding": lambda response: response.encoding,
    "apparent encoding": lambda response: response.apparent_encoding,
    "headers": lambda response: list(response.headers.items()),
    "cookies": lambda response: _cookies(response.cookies),
    "history": lambda response: [(each.status_code, each.url, each.content) for each in response.history],
    "requests of the history": lambda response: [_request(each.request) for each in response.history],
    "redirects": lambda response: (response.is_redirect, response.is_permanent_redirect),
    "next": lambda response: response.next and _request(response.next),
    "request": lambda response: _request(response.request),
    "elapsed": lambda response: isinstance(response.elapsed, timedelta) and response.elapsed > timedelta(0),
    "raise_for_status": methodcaller("raise_for_status"),
    "iter_content": lambda response: list(response.iter_content(4)),
    "iter_content, as text": lambda response: list(response.iter_content(4, decode_unicode=True)),
    "iter_lines": lambda response: list(response.iter_lines()),
    "iterated over": list,
    "raw": lambda response: (response.raw.status, response.raw.reason, response.raw.read(), response.raw.version),
    "a name that it does not have": lambda response: hasattr(response, "no_such_name"),
    "missing": lambda response: [name for name in _ATTRIBUTES if name not in vars(response)],
    "pickled": lambda response: _copied(response, pickle.loads(pickle.dumps(response))),
    "copied": lambda response: _copied(response, copy.copy(response)),
    "set": _set,
    "closed": methodcaller("close"),
}
