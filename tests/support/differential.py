"""One call through plain requests, HttpUser's client and FastHttpUser's, and what each saw of it, in the same words."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, Self

import requests
from requests.exceptions import ConnectTimeout as RequestsConnectTimeout
from requests.exceptions import ContentDecodingError
from requests.exceptions import ReadTimeout as RequestsReadTimeout
from requests.exceptions import TooManyRedirects as RequestsTooManyRedirects
from requests.utils import requote_uri

from obswarm import http
from obswarm.api import Environment, Events
from obswarm.stats import Recorder
from tests.support.scripted_server import Exchange, Script, ScriptedServer, answer

ASKED = "/asked"
NEXT = "/next"
"""ApiTarget for after each call, on the same session: an innocent request."""

NOT_COMPARED = {"connection", "user-agent", "accept-encoding"}
"""Request headers: the first is implied by HTTP/1.1, and all clients name themselves and what they can decode."""

_KINDS: tuple[tuple[str, tuple[type[BaseException], ...]], ...] = (
    ("connect timeout", (RequestsConnectTimeout, http.ConnectTimeout)),
    ("timeout", (RequestsReadTimeout, http.ReadTimeout)),
    ("redirects", (RequestsTooManyRedirects, http.TooManyRedirects)),
    ("decoding", (ContentDecodingError, http.DecodingError)),
    ("invalid", (ValueError, http.InvalidRedirect)),
    ("connection", (requests.RequestException, http.HttpError)),
)


@dataclass(frozen=True)
class Case:
    """A call, and how the target answers it."""

    scripts: tuple[Script, ...]
    """One for each request, as for ScriptedServer; `$URL` in their pieces stands for the target's URL, `$PEER` for its
    host and port."""

    method: str = "GET"
    arguments: Mapping[str, Any] | Callable[[], Mapping[str, Any]] = field(default_factory=dict)
    """Of the call; a function makes those that can be used only once."""

    plain: Mapping[str, Any] | Callable[[], Mapping[str, Any]] | None = None
    """The arguments for plain requests, where those of the call make it send what no server can read."""

    close: bool = False
    """Whether the target closes the connection after an answer."""

    refuses: bool = False
    """Whether nothing listens there."""

    differs: Mapping[str, Any] = field(default_factory=dict)
    """Where both of our clients are meant to see something else than requests: fields of Seen. Say why beside it."""

    fast: Mapping[str, Any] = field(default_factory=dict)
    http: Mapping[str, Any] = field(default_factory=dict)
    """Where only one of them is."""


class Sent(NamedTuple):
    """A request as it arrived."""

    line: str
    headers: Mapping[str, str]
    body: bytes


@dataclass
class Seen:
    """What came of a call, for whoever made it and for the target."""

    raised: str | None = None
    """The kind of an exception that the call raised since it is wrong: nothing was sent."""

    error: str | None = None
    """The kind of what kept the answer from coming, or from being read."""

    status: int = 0
    reason: str = ""
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    url: str = ""
    history: tuple[tuple[int, str], ...] = ()
    sent: tuple[Sent, ...] = ()
    next: tuple[Any, ...] = ()
    """Status, body and request of the innocent one that follows."""

    def expected_of(self, case: Case, client: str) -> "Seen":
        """What one of our clients ("fast", "http") has to see where requests saw this."""
        return replace(self, **{**case.differs, **getattr(case, client)})


class Target(ScriptedServer):
    """Serves a case; the innocent request gets its own answer whatever has been before."""

    def __init__(self, case: Case) -> None:
        super().__init__(*case.scripts, close=case.close)
        self._refuses = case.refuses

    def __enter__(self) -> Self:
        super().__enter__()
        url = self.url.encode()
        peer = url.removeprefix(b"http://")
        self.scripts = [
            script if callable(script) else [piece.replace(b"$URL", url).replace(b"$PEER", peer) for piece in script]
            for script in self.scripts
        ]
        if self._refuses:
            self._server.stop()
        return self

    def script_for(self, exchange: Exchange) -> Script:
        if exchange.request_line.split()[1:2] == [NEXT]:
            return answer(b"innocent")
        return super().script_for(exchange)


def seen_by_requests(case: Case) -> Seen:
    """What plain requests makes of the case."""
    if case.plain is not None:
        case = replace(case, arguments=case.plain)
    answers: list[requests.Response] = []
    with Target(case) as target, requests.Session() as session:
        session.trust_env = False
        # Where requests raises something that it does not expect itself, it leaves them open.
        session.hooks["response"].append(lambda response, **_: answers.append(response))
        seen = _observe(case, target, lambda method, path, **more: session.request(method, target.url + path, **more))
    for each in answers:
        each.close()
    return seen


def seen_by(client: str, case: Case) -> tuple[Seen, dict[tuple[str, str], tuple[int, int]], list[str]]:
    """What one of our clients ("fast", "http") makes of it; (requests, failures) by (method, endpoint) without the
    innocent one; the texts of the errors that were counted."""
    environment = Environment(events=Events(), recorder=Recorder(), stop_timeout=1)
    kind = {"fast": http.FastHttpSession, "http": http.HttpSession}[client]
    with Target(case) as target, kind(environment, target.url) as session:
        seen = _observe(case, target, session.request)
    table = environment.recorder.take()
    counted = {(key.method, key.name): (stats.requests, stats.failures) for key, stats in table.endpoints.items()}
    innocent = {} if case.refuses else {("GET", NEXT): (1, 0)}
    assert counted.items() >= innocent.items()
    texts = [key.message for key in table.errors if key.name != NEXT]
    return seen, {key: value for key, value in counted.items() if key[1] != NEXT}, texts


def expected_count(client: str, case: Case, seen: Seen) -> dict[tuple[str, str], tuple[int, int]]:
    """One request under what was asked for, failed or not; none where the call was wrong."""
    if seen.raised:
        return {}
    failed = seen.status >= 400 or seen.error is not None
    return {(case.method.upper(), ASKED): (1, int(failed))}


def _observe(case: Case, target: Target, request: Callable[..., Any]) -> Seen:
    seen = Seen()
    arguments = case.arguments() if callable(case.arguments) else case.arguments
    response = None
    try:
        response = request(case.method, ASKED, **arguments)
        error = getattr(response, "error", None)
        if error is None:
            seen.body = response.content
    except Exception as raised:
        error = raised
    if error is not None:
        kind = kind_of(error)
        if target.exchanges or kind != "invalid":
            seen.error = kind
        else:
            seen.raised = kind
    elif response is not None:
        seen.status = response.status_code
        seen.reason = response.reason
        seen.headers = {name.lower(): _unfolded(value) for name, value in response.headers.items()}
        seen.url = _place(response.url, target)
        seen.history = tuple((each.status_code, _place(each.url, target)) for each in response.history)
    seen.sent = tuple(_sent(exchange, target) for exchange in target.exchanges)
    asked = len(target.exchanges)
    if not case.refuses:
        following = request("GET", NEXT)
        seen.next = (
            following.status_code,
            following.content,
            *[each.request_line for each in target.exchanges[asked:]],
        )
    return seen


def kind_of(error: BaseException) -> str:
    """One word for the exceptions of all three. Raises the error when it is none that a client should raise."""
    for kind, classes in _KINDS:
        if isinstance(error, classes):
            return kind
    raise error


def _unfolded(value: str) -> str:
    """http.client leaves the line breaks of a folded value in it."""
    return re.sub(r"\r?\n[ \t]+", " ", value).strip()


def _place(url: str, target: Target) -> str:
    """Below the target, as it is sent; requests keeps fragments, and more characters as they are."""
    return requote_uri(url.replace(target.url, "").partition("#")[0]).replace("[", "%5B")


def _sent(exchange: Exchange, target: Target) -> Sent:
    headers = {name: value for name, value in exchange.headers.items() if name not in NOT_COMPARED}
    headers = {name: value.replace(f":{target.port}", ":PORT") for name, value in headers.items()}
    return Sent(exchange.request_line, headers, exchange.body)
