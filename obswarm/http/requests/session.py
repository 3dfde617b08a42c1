"""HttpUser's client: a real requests.Session whose every call is counted."""

import os
from collections import OrderedDict
from collections.abc import Generator, Mapping
from functools import cached_property, lru_cache
from operator import attrgetter
from typing import Any, ClassVar
from urllib.parse import urlsplit

import requests
from requests.cookies import RequestsCookieJar
from requests.exceptions import InvalidHeader, InvalidSchema, InvalidURL, MissingSchema, RequestException
from requests.hooks import default_hooks
from requests.models import DEFAULT_REDIRECT_LIMIT
from requests.sessions import merge_setting
from requests.utils import default_headers, get_environ_proxies

from obswarm.api import SIGNING_HEADERS, Environment, RequestRecord, RequestSigner, User
from obswarm.api.tracing import HEADER as TRACE_HEADER
from obswarm.api.tracing import traceparent
from obswarm.clock import monotonic
from obswarm.http.catch_response import CountedSession, add_context, report_raised
from obswarm.http.errors import innermost, wrong_redirect
from obswarm.http.head import signature_for
from obswarm.http.requests import preparation
from obswarm.http.requests.adapter import FastAdapter
from obswarm.http.requests.full_call import FullCall
from obswarm.http.requests.plain_call import PlainCall, PlainCalls
from obswarm.http.requests.response import CountedResponse
from obswarm.http.response_stream import count_at_the_end

_WRONG_ADDRESSES = (MissingSchema, InvalidSchema, InvalidURL)
_WRONG_CALLS = (*_WRONG_ADDRESSES, InvalidHeader)
_OF_SENDING = "obswarm_of_sending"
_NO_HOOKS = default_hooks()
_STEPS = (
    "send",
    "get_adapter",
    "prepare_request",
    "merge_environment_settings",
    "resolve_redirects",
    "get_redirect_target",
)
_MADE_WHEN_USED = ("headers", "cookies", "adapters", "hooks", "proxies", "params")
"""Attributes of a session, 2.5 kB together, that few load tests look at or change. What is not in the session's
`__dict__` is as requests makes it."""

_steps_of = attrgetter(*_STEPS)
_made_when_used_of = attrgetter(*_MADE_WHEN_USED)


class HttpSession(requests.Session, CountedSession):
    """requests.Session for one user: paths are below the user's host, `name` and `catch_response` as in Locust.

    A request that gets no answer does not raise; see CountedResponse.error. Hooks, auth classes, cookies, `mount`,
    prepared requests are requests'. What the environment says about proxies, certificates and netrc (`trust_env`) is
    read once for each host, not for each request.
    """

    response_class: ClassVar[type[CountedResponse]] = CountedResponse

    def __init__(self, environment: Environment, base_url: str | None, user: User | None = None) -> None:
        # In place of requests' own __init__, which makes two adapters with pools that would never be used, and all of
        # _MADE_WHEN_USED.
        self.auth = None
        self.stream = False
        self.verify = True
        self.cert = None
        self.max_redirects = DEFAULT_REDIRECT_LIMIT
        self.trust_env = True
        self.fast_adapter = FastAdapter()
        self.environment = environment
        self.base_url = base_url
        self.user = user
        self.request_name: str | None = None
        self.request_signer: RequestSigner | None = None
        self.plain_calls = PlainCalls()
        if _made_when_used_of(type(self)) != _OWN_PROPERTIES:
            # Of the session counts before what a subclass has, as in requests.
            self.__dict__.update({each.attrname: each.func(self) for each in _OWN_PROPERTIES})

    @cached_property
    def headers(self) -> Any:  # type: ignore[override]
        return default_headers()

    @cached_property
    def cookies(self) -> RequestsCookieJar:  # type: ignore[override]
        return RequestsCookieJar()

    @cached_property
    def adapters(self) -> "OrderedDict[str, Any]":  # type: ignore[override]
        return OrderedDict((("https://", self.fast_adapter), ("http://", self.fast_adapter)))

    @cached_property
    def hooks(self) -> Any:  # type: ignore[override]
        return default_hooks()

    @cached_property
    def proxies(self) -> Any:  # type: ignore[override]
        return {}

    @cached_property
    def params(self) -> Any:  # type: ignore[override]
        return {}

    def request(  # type: ignore[override]
        self,
        method: str,
        url: str | bytes,
        name: str | None = None,
        catch_response: bool = False,
        context: dict[str, Any] | None = None,
        discard_body: bool = False,
        *,
        params: Any = None,
        data: Any = None,
        headers: Any = None,
        cookies: Any = None,
        files: Any = None,
        auth: Any = None,
        timeout: Any = None,
        allow_redirects: bool = True,
        proxies: Any = None,
        hooks: Any = None,
        stream: bool | None = None,
        verify: Any = None,
        cert: Any = None,
        json: Any = None,
    ) -> CountedResponse:
        """As requests.Session.request; raises what requests raises for a call that makes no request (MissingSchema,
        InvalidSchema, InvalidURL, InvalidHeader), and MissingHost. With `discard_body` the body is read to its end,
        counted and timed, and thrown away as it comes."""
        started = monotonic()
        environment = self.environment
        sampler = environment.trace_sampler
        trace_id = sampler.sample(headers) if sampler is not None else None
        call: PlainCall | FullCall | None = None
        if trace_id is not None:
            headers = {TRACE_HEADER: traceparent(trace_id), **(headers or {})}
        elif not (files or proxies or hooks or stream or discard_body or cert is not None) and self._is_plain():
            call = self.plain_calls.prepare(
                self, method, url, params, data, json, headers, cookies, auth, verify, timeout, allow_redirects
            )
        if call is None:
            call = FullCall(
                self.base_url,
                method,
                url,
                discard_body,
                {
                    "params": params,
                    "data": data,
                    "headers": headers,
                    "cookies": cookies,
                    "files": files,
                    "auth": auth,
                    "timeout": timeout,
                    "allow_redirects": allow_redirects,
                    "proxies": proxies,
                    "hooks": hooks,
                    "stream": stream,
                    "verify": verify,
                    "cert": cert,
                    "json": json,
                },
            )
        label = name or self.request_name
        hook = environment.events.request
        record = RequestRecord(environment.recorder, hook, call.method, label or call.path_url, started)
        try:
            call.begin(self)
            if not label:
                record.name = call.path_url
            record.begin()
            response = call.send(self, started)
            if not isinstance(response, self.response_class):
                # The object stays the one that was made (hooks may have kept it); only its class is extended.
                response.__class__ = self.response_class
            record.response_bytes = call.size_of(response)
            record.end(monotonic() - started)
            record.timings = call.times_of(response)
        except BaseException as error:
            record.end(monotonic() - started)
            made = error.request if isinstance(error, RequestException) else None
            if not isinstance(made, requests.PreparedRequest):
                made = call.prepared()
            response = self.response_class.unanswered(error, call.url, made, record.duration_s)
            response.connection = self.fast_adapter  # type: ignore[assignment]
            if not isinstance(error, RequestException) or (isinstance(error, _WRONG_CALLS) and not call.is_sent):
                record.url = call.url
                report_raised(record, response, self.user, context, error, call.is_sent)
                raise
            record.error = self.reason_of(error)
        if trace_id is not None:
            record.trace_id = response.trace_id = trace_id
        record.status_code = status_code = response.status_code
        if status_code >= 400:
            record.error = self.failure_of(response, record)
        response.record = record
        live = response.live if type(call) is FullCall else None
        if live is None and not catch_response and not hook.listeners:
            record.report()
            return response
        first: Any = response.history[0] if response.history else response
        sent = first if first._sent is not None else getattr(first, "request", None)
        record.url = str(sent.url) if sent is not None else call.url
        add_context(record, response, self.user, context)
        if live is not None:
            count_at_the_end(live, record, response, catch_response)
        elif not catch_response:
            record.report(response)
        return response

    def reason_of(self, error: RequestException) -> BaseException:
        """Return what a request fails with that got no answer, since `error` was raised."""
        return innermost(error)

    def _is_plain(self) -> bool:
        """Return whether the session sends as the class does, and has nothing that only requests can deal with."""
        kind, own, adapter = type(self), self.__dict__, self.fast_adapter
        return (
            own.get("hooks", _NO_HOOKS) == _NO_HOOKS
            and not (self.stream or self.cert or self.request_signer)
            and not (own.get("proxies") or own.get("params"))
            and ("adapters" not in own or _are_only(own["adapters"], adapter))
            and type(adapter) is FastAdapter
            and own.keys().isdisjoint(_STEPS)
            and "send" not in adapter.__dict__
            and _steps_of(kind) == _OWN_STEPS
            and (requests.Session.send, FastAdapter.send) == _SENDS
        )

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        """As requests'; called for each hop of a redirected request."""
        if self.request_signer is not None:
            # A redirected request comes with those of the hop before.
            for name in SIGNING_HEADERS:
                request.headers.pop(name, None)
            run_id = self.environment.run_id
            request.headers.update(signature_for(self.request_signer, self.base_url, request.url or "", run_id))
        try:
            return super().send(request, **kwargs)
        except ValueError as error:
            setattr(error, _OF_SENDING, True)
            raise

    def resolve_redirects(  # type: ignore[override]  # requests itself names what it hands over
        self, resp: requests.Response, req: requests.PreparedRequest, *, yield_requests: bool = False, **kwargs: Any
    ) -> Generator[Any, None, None]:
        """As requests', but a target that redirects to what is no address is a failed request, and no exception.

        Raises the RequestException that requests has for it (InvalidSchema, InvalidURL), and InvalidURL for what it has
        none for. With `yield_requests` (redirects are not followed) there is no next request then.
        """
        here = resp
        try:
            for each in super().resolve_redirects(resp, req, yield_requests=yield_requests, **kwargs):
                if not yield_requests:
                    here = each
                yield each
        except ValueError as error:
            wrong_address = isinstance(error, _WRONG_ADDRESSES)
            # Of everything else, what a hook or an auth class raised while the next request was made is the load
            # test's own.
            if not wrong_address and (isinstance(error, RequestException) or hasattr(error, _OF_SENDING)):
                raise
            if yield_requests:
                return
            kind: type[Any] = type(error) if wrong_address else InvalidURL
            peer = urlsplit(here.url).netloc.rpartition("@")[2]
            reason = wrong_redirect(peer, here.headers.get("location", ""), innermost(error))
            raise kind(reason, request=here.request, response=here) from None

    def prepare_request(self, request: requests.Request) -> requests.PreparedRequest:
        """As requests', step by step; but cookies are only merged when there are any, and netrc is read once."""
        return preparation.prepare(self, request)

    def merge_environment_settings(  # type: ignore[override]  # typeshed has a private type for the same
        self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any
    ) -> dict[str, Any]:
        """As requests', with what the environment says read once."""
        if self.trust_env:
            parts = urlsplit(url)
            no_proxy = proxies.get("no_proxy") if proxies else None
            found = _environment_proxies(parts.scheme, parts.netloc, no_proxy)
            if found:
                proxies = {**found, **(proxies or {})}
            if verify is True or verify is None:
                verify = _environment_bundle() or verify
        if self.proxies:
            proxies = merge_setting(proxies, self.proxies)
        return {
            "proxies": proxies or {},
            "stream": self.stream if stream is None else stream,
            "verify": self.verify if verify is None else verify,
            "cert": self.cert if cert is None else cert,
        }


@lru_cache(maxsize=1024)
def _environment_proxies(scheme: str, netloc: str, no_proxy: str | None) -> Mapping[str, str]:
    return get_environ_proxies(f"{scheme}://{netloc}/", no_proxy=no_proxy)


@lru_cache(maxsize=1)
def _environment_bundle() -> str | None:
    return os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE")


def _are_only(adapters: Any, adapter: FastAdapter) -> bool:
    return len(adapters) == 2 and adapters.get("http://") is adapter and adapters.get("https://") is adapter


_OWN_STEPS = _steps_of(HttpSession)
_OWN_PROPERTIES: tuple[Any, ...] = _made_when_used_of(HttpSession)
_SENDS = (requests.Session.send, FastAdapter.send)
"""What plain calls go without: a class that overrides one of these, or a library that patches it, gets all calls."""
