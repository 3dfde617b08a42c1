"""FastHttpUser's client: requests over kept-alive connections, cookies, redirects, and one record for each call."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Self

from obswarm.api import Environment, RequestRecord, RequestSigner, User
from obswarm.api.tracing import HEADER as TRACE_HEADER
from obswarm.api.tracing import traceparent
from obswarm.clock import monotonic
from obswarm.http.body import StreamedBody, accepting_json, encode_body
from obswarm.http.call import LARGE_BODY, Call
from obswarm.http.catch_response import CountedSession, add_context, report_raised
from obswarm.http.client.redirects import REDIRECTS, next_request
from obswarm.http.client.response import FastResponse
from obswarm.http.client.settings import Settings, parse_timeout
from obswarm.http.client.single_requests import SingleRequests
from obswarm.http.deadlines import NEVER
from obswarm.http.errors import (
    SHOWN_LENGTH,
    HttpError,
    InvalidHeaders,
    InvalidRequest,
    TooManyRedirects,
)
from obswarm.http.head import Prepared, basic_auth, check_fields, check_method
from obswarm.http.pool import ConnectionPool
from obswarm.http.response_stream import count_at_the_end
from obswarm.http.rest import RestCalls
from obswarm.http.urls import absolute, parse_url, with_params
from obswarm.redact import redact_url
from obswarm.sanitize import clean_text


class FastHttpSession(SingleRequests, RestCalls, CountedSession):
    """Makes requests like requests.Session, for one user.

    A request that gets no answer does not raise: it returns a response with `status_code` 0 and `error` set, and is
    counted as failed. What is wrong with the call itself raises InvalidRequest or MissingHost.
    """

    __slots__ = (
        "__dict__",
        "__weakref__",
        "_own_pool",
        "request_name",
        "user",
    )
    names_are_urls: ClassVar[bool] = False
    """Whether a request without a name is counted by its URL as given, in place of the target that is sent."""
    accepts_json: ClassVar[bool] = False
    """Whether a request with `json` says that it accepts JSON."""

    def __init__(
        self,
        environment: Environment,
        base_url: str | None,
        user: User | None = None,
        settings: Settings | None = None,
        pool: ConnectionPool | None = None,
    ) -> None:
        super().__init__(base_url, settings if settings is not None else Settings())
        self.environment = environment
        self.user = user
        self.request_name: str | None = None
        self.request_signer: RequestSigner | None = None
        self._own_pool = pool is None
        self.pool = pool if pool is not None else ConnectionPool(self.settings.concurrency, self.settings.dns_ttl_s)

    def request(
        self,
        method: str,
        url: str,
        name: str | None = None,
        params: Any = None,
        data: Any = None,
        json: Any = None,
        files: Any = None,
        headers: Mapping[str, str | None] | None = None,
        cookies: Any = None,
        auth: tuple[str, str] | None = None,
        catch_response: bool = False,
        allow_redirects: bool = True,
        timeout: float | tuple[float | None, float | None] | None = None,
        total_timeout: float | None = None,
        stream: bool = False,
        discard_body: bool = False,
        context: dict[str, Any] | None = None,
        **others: Any,
    ) -> FastResponse:
        """Send a request and return its response.

        `url` is a path below the user's host or an absolute URL; `name` groups requests in the statistics. `data` is
        bytes, text, a form (dict or pairs), a file or an iterator; `json` anything that serialises; `files` as in
        requests. `timeout` is in seconds, for connecting and for every wait for bytes, or a pair of both;
        `total_timeout` bounds the whole call, redirects included. With `stream` the body is read as it is iterated
        over, and the request is counted when it has been read or closed; its duration is that to the end of the head.
        With `discard_body` it is read to its end, counted and timed, and thrown away as it comes.

        Raises InvalidRequest or MissingHost for a call that makes no request, TypeError for `others`.
        """
        if others:
            params, data = self._take_others(others, method, params, data)
        settings = self.settings
        started = monotonic()
        environment = self.environment
        recorder, hook = environment.recorder, environment.events.request
        pending = recorder.pending
        sampler = environment.trace_sampler
        trace_id = sampler.sample(headers) if sampler is not None else None
        response: FastResponse | None = None
        failure: BaseException | None = None
        is_repeat = False
        call_headers: Mapping[str, str | None] | None = None
        if json is not None and self.accepts_json:
            headers = accepting_json(headers)
        if headers is None and auth is None and params is None and trace_id is None:
            prepared = (self._template or self.current_template()).prepared(method, url)
        else:
            prepared, call_headers = self._prepare(method, url, params, headers, auth, trace_id)
        label = name or self.request_name or (self._name_of(url) if self.names_are_urls else prepared.target)
        body: bytes | StreamedBody = b""
        content_type: str | None = None
        is_simple = (
            timeout is None
            and total_timeout is None
            and settings.total_timeout_s is None
            and cookies is None
            and trace_id is None
            and self.request_signer is None
            and not stream
            and not discard_body
            and prepared.method != "HEAD"
        )
        if data is not None or json is not None or files is not None:
            body, content_type = self._encode_body(data, json, files)
            is_simple = is_simple and isinstance(body, bytes) and len(body) <= LARGE_BODY
        if is_simple:
            jar = self._cookies
            cookie = jar.header_for(prepared.url) if jar is not None else None
            head = prepared.bare
            if cookie is not None or body != b"" or content_type is not None:
                head = prepared.head(cookie, None, content_type, body)
            connection = self.pool.take_idle(prepared.route, started)
            if connection is not None:
                # As RequestRecord's `begin` and `end`: a request like nearly all needs no record of its own.
                pending[connection] = (prepared.method, label, started, False)
                is_plain = False
                try:
                    response, is_plain = self._send_over_idle(connection, prepared, head, body, started)  # type: ignore[arg-type]  # bytes
                except BaseException as error:
                    failure = error
                del pending[connection]
                is_repeat = response is None
                if is_plain and response is not None and not catch_response and not hook.listeners:
                    recorder.record_response(
                        prepared.method, label, response.elapsed_s, len(response.body or b""), response.status_code
                    )
                    return response
        if timeout is None and total_timeout is None:
            connect_s, read_s = settings.connect_timeout_s, settings.read_timeout_s
            deadline = NEVER if settings.total_timeout_s is None else started + settings.total_timeout_s
        else:
            connect_s, read_s, deadline = parse_timeout(timeout, total_timeout, settings, started)
        call = Call(prepared, connect_s, read_s, deadline, settings.max_response_bytes)
        call.is_repeat = is_repeat
        if call_headers is not None:
            call.headers = call_headers
        if body != b"" or content_type is not None or stream or discard_body:
            call.carry(body, content_type, stream or discard_body)
        if cookies is not None:
            call.extra_cookies = cookies
            call.cookie = self.cookies.header_with(cookies, prepared.url)
        elif self._cookies is not None:
            call.cookie = self._cookies.header_for(prepared.url)
        record = RequestRecord(recorder, hook, prepared.method, label, started)
        # Its `begin`, and below its `end`, without the calls: this runs for every request.
        pending[record] = (prepared.method, label, started, False)
        try:
            if failure is not None:
                call.sent_at = started
                raise failure
            if response is None:
                response = self._send(call, started)
            status_code = response.status_code
            if status_code in REDIRECTS and allow_redirects:
                response = self._follow(call, response, started, discard_body)
                status_code = response.status_code
            if discard_body:
                response.discard()
                response.elapsed_s = monotonic() - started
            elif response.coding is not None and not stream:
                response.check_codings()
            del pending[record]
            record.duration_s = response.elapsed_s
            record.status_code = status_code
            if status_code >= 400:
                record.error = self.failure_of(response, record)
        except BaseException as error:
            failure = None
            record.end(monotonic() - started)
            response = self.response_class(call.prepared, prepared.bare, call.body, 0, b"", 0, b"")
            response.error = error
            response.elapsed_s = record.duration_s
            # Part of a wrong one has been sent when its body turned out to be none on the way.
            if not isinstance(error, HttpError) or isinstance(error, InvalidRequest):
                record.url = str(prepared.url)
                report_raised(record, response, self.user, context, error, call.sent_at > 0)
                raise
            record.error = error
            record.status_code = 0
        if trace_id is not None:
            record.trace_id = response.trace_id = trace_id
        content = response.body
        record.response_bytes = response.discarded_bytes if content is None else len(content)
        # A plain tuple in place of PhaseTimes: making one of those costs as much as looking up the endpoint.
        record.timings = (response.connect_s, response.tls_s, response.first_byte_s, response.download_s)
        if content is None or catch_response or hook.listeners:
            self._add_to(record, prepared, response, catch_response, context)
        else:
            record.report()
        return response

    _encode_body = staticmethod(encode_body)

    def _take_others(self, others: dict[str, Any], method: str, params: Any, data: Any) -> tuple[Any, Any]:
        """Return params and data of a call with arguments that `request` does not have. Raises TypeError."""
        raise TypeError(f"request() got an unexpected keyword argument {next(iter(others))!r}")

    @staticmethod
    def _name_of(url: str) -> str:
        """Return by what name a request without one is counted where `names_are_urls`."""
        return url if url[:1] == "/" else redact_url(url)

    def _add_to(
        self,
        record: RequestRecord,
        asked: Prepared,
        response: FastResponse,
        catch_response: bool,
        context: dict[str, Any] | None,
    ) -> None:
        """Complete the record for listeners and `catch_response`; count the request unless its result is still open."""
        response.record = record
        record.url = str(asked.url)
        add_context(record, response, self.user, context)
        if response.live is not None:
            count_at_the_end(response.live, record, response, catch_response)
        elif not catch_response:
            record.report(response)

    def _prepare(
        self, method: str, url: str, params: Any, headers: Any, auth: Any, trace_id: str | None
    ) -> tuple[Prepared, Mapping[str, str | None]]:
        current = self.current_template()
        key = None
        if auth is None and params is None and trace_id is None:
            # The same headers again and again, such as a user's token.
            try:
                key = (method, url, tuple(headers.items()))
                return current.with_headers[key]
            except KeyError:
                pass
            except (TypeError, AttributeError):
                # Something in it has no hash, or is no dict at all.
                key = None
        fields: dict[str, str | None] = {}
        if headers:
            try:
                given = headers.items()
            except AttributeError:
                raise InvalidHeaders(f"headers={headers!r}: give a dict") from None
            present = {name: value for name, value in given if value is not None}
            fields.update(check_fields(present))
            fields.update((name, None) for name, value in headers.items() if value is None)
        if auth is not None:
            fields["Authorization"] = basic_auth(auth)
        if trace_id is not None:
            fields[TRACE_HEADER] = traceparent(trace_id)
        if not fields and params is None:
            return current.prepared(method, url), fields
        asked = with_params(absolute(current.base_url, url), params)
        prepared = current.prepare(check_method(method), parse_url(asked), fields)
        if key is not None:
            current.keep(key, prepared, fields)
        return prepared, fields

    def _follow(self, call: Call, response: FastResponse, started: float, discard_bodies: bool) -> FastResponse:
        """Follow redirects until an answer is none, and return that one; its `history` has the others. Raises
        TooManyRedirects, InvalidRedirect, and what `_send` raises."""
        most = self.settings.max_redirects
        history: list[FastResponse] = []
        # Without a Location it is an answer like any other, as in requests.
        while response.status_code in REDIRECTS and (location := response.headers.get("location")):
            if len(history) >= most:
                shown = clean_text(location, SHOWN_LENGTH)
                raise TooManyRedirects(f"more than {most} redirects, the last one to {shown!r}")
            # The connection is wanted again.
            if discard_bodies:
                response.discard()
            else:
                _ = response.raw_body
            history.append(response)
            status_code = response.status_code
            following = next_request(call.prepared, call.headers, status_code, location, self.current_template())
            call.redirect(following.prepared, following.headers, following.keeps_body)
            url = following.prepared.url
            if call.extra_cookies is not None and following.same_origin:
                call.cookie = self.cookies.header_with(call.extra_cookies, url)
            else:
                call.extra_cookies = None
                call.cookie = self.cookies.header_for(url)
            response = self._send(call, monotonic())
            response.add_timings(history[-1])
        response.history = history
        response.elapsed_s = monotonic() - started
        return response

    def get(self, url: str, **kwargs: Any) -> FastResponse:
        return self.request("GET", url, **kwargs) if kwargs else self.request("GET", url)

    def post(self, url: str, data: Any = None, json: Any = None, **kwargs: Any) -> FastResponse:
        return self.request("POST", url, data=data, json=json, **kwargs)

    def put(self, url: str, data: Any = None, **kwargs: Any) -> FastResponse:
        return self.request("PUT", url, data=data, **kwargs)

    def patch(self, url: str, data: Any = None, **kwargs: Any) -> FastResponse:
        return self.request("PATCH", url, data=data, **kwargs)

    def delete(self, url: str, **kwargs: Any) -> FastResponse:
        return self.request("DELETE", url, **kwargs)

    def options(self, url: str, **kwargs: Any) -> FastResponse:
        return self.request("OPTIONS", url, **kwargs)

    def head(self, url: str, **kwargs: Any) -> FastResponse:
        """Redirects are not followed unless asked for, as in requests."""
        kwargs.setdefault("allow_redirects", False)
        return self.request("HEAD", url, **kwargs)

    def iter_lines(self, url: str, method: str = "GET", **kwargs: Any) -> Iterator[str]:
        """Send a request and go through the lines of its answer as they come, as text: for server-sent events."""
        with self.request(method, url, stream=True, **kwargs) as response:
            yield from response.iter_lines(decode_unicode=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all idle connections, unless the pool is shared."""
        if self._own_pool:
            self.pool.close()
