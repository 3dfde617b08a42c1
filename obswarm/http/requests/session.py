"""HttpUser's client: a real requests.Session whose every call is counted."""

import os
from collections import OrderedDict
from collections.abc import Generator, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.cookies import RequestsCookieJar, cookiejar_from_dict, merge_cookies
from requests.exceptions import InvalidHeader, InvalidSchema, InvalidURL, MissingSchema, RequestException
from requests.hooks import default_hooks
from requests.models import DEFAULT_REDIRECT_LIMIT
from requests.sessions import merge_hooks, merge_setting
from requests.structures import CaseInsensitiveDict
from requests.utils import default_headers, get_environ_proxies, get_netrc_auth, to_native_string

from obswarm.api import SIGNING_HEADERS, Environment, RequestRecord, RequestSigner, User
from obswarm.api.tracing import HEADER as TRACE_HEADER
from obswarm.api.tracing import traceparent
from obswarm.clock import monotonic
from obswarm.http.catch_response import RenamesRequests, add_context, report_raised, status_error
from obswarm.http.errors import InvalidRequest, innermost, wrong_redirect
from obswarm.http.head import PSEUDO, check_coding, signature_for
from obswarm.http.raw import RawResponse
from obswarm.http.requests.adapter import FastAdapter, read_and_discard, was_sent
from obswarm.http.requests.response import CountedResponse
from obswarm.http.response_stream import count_at_the_end
from obswarm.http.urls import absolute
from obswarm.stats import PhaseTimes

_WRONG_ADDRESSES = (MissingSchema, InvalidSchema, InvalidURL)
_WRONG_CALLS = (*_WRONG_ADDRESSES, InvalidHeader)
_OF_SENDING = "obswarm_of_sending"


class HttpSession(requests.Session, RenamesRequests):
    """requests.Session for one user: paths are below the user's host, `name` and `catch_response` as in Locust.

    A request that gets no answer does not raise; see CountedResponse.error. Hooks, auth classes, cookies, `mount`,
    prepared requests are requests'. What the environment says about proxies, certificates and netrc (`trust_env`) is
    read once for each host, not for each request.
    """

    def __init__(self, environment: Environment, base_url: str | None, user: User | None = None) -> None:
        # In place of requests' own __init__, which makes two adapters with pools that would never be used.
        self.headers: Any = default_headers()
        self.auth = None
        self.proxies = {}
        self.hooks = default_hooks()
        self.params = {}
        self.stream = False
        self.verify = True
        self.cert = None
        self.max_redirects = DEFAULT_REDIRECT_LIMIT
        self.trust_env = True
        self.cookies = RequestsCookieJar()
        self.fast_adapter = adapter = FastAdapter()
        self.adapters = OrderedDict((("https://", adapter), ("http://", adapter)))
        self.environment = environment
        self.base_url = base_url
        self.user = user
        self.request_name: str | None = None
        self.request_signer: RequestSigner | None = None

    def request(  # type: ignore[override]
        self,
        method: str,
        url: str | bytes,
        name: str | None = None,
        catch_response: bool = False,
        context: dict[str, Any] | None = None,
        discard_body: bool = False,
        **kwargs: Any,
    ) -> CountedResponse:
        """As requests.Session.request; raises what requests raises for a call that makes no request (MissingSchema,
        InvalidSchema, InvalidURL, InvalidHeader), and MissingHost. With `discard_body` the body is read to its end,
        counted and timed, and thrown away as it comes."""
        text = url.decode() if isinstance(url, bytes) else url
        asked = absolute(self.base_url, text)
        sampler = self.environment.trace_sampler
        trace_id = sampler.sample(kwargs.get("headers")) if sampler is not None else None
        if trace_id is not None:
            kwargs["headers"] = {TRACE_HEADER: traceparent(trace_id), **(kwargs.get("headers") or {})}
        if discard_body:
            kwargs["stream"] = True
        started = monotonic()
        environment = self.environment
        label = name or self.request_name
        record = RequestRecord(environment.recorder, environment.events.request, method.upper(), label or text, started)
        prepared: requests.PreparedRequest | None = None
        try:
            prepared, send_options = self._prepared(method, asked, **kwargs)
            if not label:
                record.name = prepared.path_url
            record.begin()
            plain = self.send(prepared, **send_options)
            if not isinstance(plain, CountedResponse):
                # From another adapter. The object stays the one that requests made (hooks may have kept it); only its
                # class is extended.
                plain.__class__ = CountedResponse
            response: CountedResponse = plain  # type: ignore[assignment]
            if response.damage is not None:
                raise response.damage
            if discard_body:
                read_and_discard(response)
            record.response_bytes = self._size(response, kwargs.get("stream", False))
            record.end(monotonic() - started)
        except BaseException as error:
            record.end(monotonic() - started)
            is_sent = was_sent(prepared)
            made = error.request if isinstance(error, RequestException) else None
            if not isinstance(made, requests.PreparedRequest):
                made = prepared
            response = CountedResponse.unanswered(error, asked, made, record.duration_s)
            response.connection = self.fast_adapter  # type: ignore[assignment]
            if not isinstance(error, RequestException) or (isinstance(error, _WRONG_CALLS) and not is_sent):
                record.url = asked
                report_raised(record, response, self.user, context, error, is_sent)
                raise
            record.error = innermost(error)
        record.trace_id = response.trace_id = trace_id
        record.status_code = status_code = response.status_code
        if status_code >= 400:
            record.error = status_error(status_code, response.reason)
        record.timings = _timings(response)
        live = response.live
        if live is None and not catch_response and not environment.events.request.listeners:
            record.report()
            return response
        response.record = record
        first = response.history[0] if response.history else response
        sent = getattr(first, "request", None)
        record.url = str(sent.url) if sent is not None else asked
        add_context(record, response, self.user, context)
        if live is not None:
            count_at_the_end(live, record, response, catch_response)
        elif not catch_response:
            record.report(response)
        return response

    def _prepared(
        self,
        method: str,
        url: str,
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
    ) -> tuple[requests.PreparedRequest, dict[str, Any]]:
        """Return the prepared request and the arguments of `send`, as requests.Session.request makes them."""
        request = requests.Request(
            method.upper(), url, headers, files, data or {}, params or {}, auth, cookies, hooks, json
        )
        prepared = self.prepare_request(request)
        settings = self.merge_environment_settings(prepared.url, proxies or {}, stream, verify, cert)
        return prepared, {"timeout": timeout, "allow_redirects": allow_redirects, **settings}

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

    @staticmethod
    def _size(response: CountedResponse, stream: bool) -> int:
        """Bytes of the body, as far as they have come; of a stream of another transport, those that it announces."""
        if response.wire_bytes is not None:
            return response.wire_bytes
        if isinstance(response.raw, RawResponse):
            return response.raw.received
        if stream:
            length = response.headers.get("content-length", "")
            return int(length) if length.isdecimal() else 0
        return len(response.content)

    def prepare_request(self, request: requests.Request) -> requests.PreparedRequest:
        """As requests', step by step; but cookies are only merged when there are any, and netrc is read once."""
        prepared = requests.PreparedRequest()
        prepared.prepare_method("GET" if request.method is None else request.method.upper())
        prepared.prepare_url(request.url, merge_setting(request.params, self.params) if self.params else request.params)
        own = request.headers
        headers = merge_setting(own, self.headers, dict_class=CaseInsensitiveDict) if own else self.headers
        try:
            prepared.prepare_headers(headers)
        except InvalidHeader:
            if PSEUDO.isdisjoint(headers):
                raise
            prepared.prepare_headers({name: value for name, value in headers.items() if name not in PSEUDO})
        coding = prepared.headers.get("Transfer-Encoding")
        if coding is not None:
            # Before requests puts its own in place of it, for a body in chunks.
            try:
                check_coding(to_native_string(coding, "latin-1"))
            except InvalidRequest as error:
                raise InvalidHeader(str(error)) from None
        cookies = request.cookies
        if cookies or len(self.cookies):
            if not hasattr(cookies, "set_cookie"):
                cookies = cookiejar_from_dict(cookies or {})
            merged = merge_cookies(merge_cookies(RequestsCookieJar(), self.cookies), cookies)
            prepared.prepare_cookies(merged)
        else:
            prepared._cookies = RequestsCookieJar()  # type: ignore[attr-defined]
        prepared.prepare_body(request.data, request.files, request.json)
        auth = request.auth
        if self.trust_env and not auth and not self.auth:
            auth = _netrc(urlsplit(request.url).netloc, request.url)
        prepared.prepare_auth(merge_setting(auth, self.auth), request.url)
        # After auth, as in requests: what an auth class adds does not see the session's hooks.
        prepared.prepare_hooks(merge_hooks(request.hooks, self.hooks))
        return prepared

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


@lru_cache(maxsize=1024)
def _netrc(netloc: str, url: str) -> tuple[str, str] | None:
    return get_netrc_auth(url)


def _timings(response: CountedResponse) -> PhaseTimes | None:
    """Return the phases of a request, added up over all hops of a redirected one."""
    times: PhaseTimes | None = response.timings
    for earlier in response.history:
        hop = getattr(earlier, "timings", None)
        if hop is not None and times is not None:
            times = PhaseTimes(
                _plus(times.connect_s, hop.connect_s),
                _plus(times.tls_s, hop.tls_s),
                times.first_byte_s + hop.first_byte_s,
                times.download_s + hop.download_s,
            )
    return times


def _plus(one: float | None, other: float | None) -> float | None:
    return other if one is None else one if other is None else one + other
