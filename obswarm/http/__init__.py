"""HTTP: the clients of users (obswarm's own, and requests), and the client for the APIs of other programs."""

from obswarm import gevent_patch  # noqa: F401,I001 - before requests, which imports ssl

from obswarm.http import charsets
from obswarm.on_demand import imported_on_demand

charsets.import_when_used()

with imported_on_demand(__name__):
    from obswarm.http.api_client.access import (
        ApiAccess,
        Naming,
        access_of,
        naming_by_options,
        naming_of_token,
        parse_header,
    )
    from obswarm.http.api_client.failures import ApiTarget, Failure, failure_of, page_of, quoted, refusal_of, trouble_of
    from obswarm.http.api_client.session import AnswerTooLarge, ApiSession, bound_answers
    from obswarm.http.catch_response import CatchResponse
    from obswarm.http.client.response import FastResponse
    from obswarm.http.client.session import FastHttpSession
    from obswarm.http.client.user import FastHttpUser, session_settings
    from obswarm.http.errors import (
        ConnectError,
        ConnectionLost,
        ConnectTimeout,
        DecodingError,
        HttpError,
        InvalidRedirect,
        InvalidRequest,
        MissingHost,
        NoDescriptorLeft,
        ProtocolError,
        ProxyError,
        ReadTimeout,
        ResponseTooLarge,
        StreamConsumed,
        TlsError,
        TooManyRedirects,
        innermost,
        plain_reason,
    )
    from obswarm.http.pool import ConnectionPool
    from obswarm.http.requests.adapter import FastAdapter
    from obswarm.http.requests.response import CountedResponse
    from obswarm.http.requests.session import HttpSession
    from obswarm.http.requests.user import HttpUser
    from obswarm.http.rest import RestCalls
    from obswarm.http.urls import check_host

__all__ = [
    "AnswerTooLarge",
    "ApiAccess",
    "ApiSession",
    "ApiTarget",
    "CatchResponse",
    "ConnectError",
    "ConnectTimeout",
    "ConnectionLost",
    "ConnectionPool",
    "CountedResponse",
    "DecodingError",
    "Failure",
    "FastAdapter",
    "FastHttpSession",
    "FastHttpUser",
    "FastResponse",
    "HttpError",
    "HttpSession",
    "HttpUser",
    "InvalidRedirect",
    "InvalidRequest",
    "MissingHost",
    "Naming",
    "NoDescriptorLeft",
    "ProtocolError",
    "ProxyError",
    "ReadTimeout",
    "ResponseTooLarge",
    "RestCalls",
    "StreamConsumed",
    "TlsError",
    "TooManyRedirects",
    "access_of",
    "bound_answers",
    "check_host",
    "failure_of",
    "innermost",
    "naming_by_options",
    "naming_of_token",
    "page_of",
    "parse_header",
    "plain_reason",
    "quoted",
    "refusal_of",
    "session_settings",
    "trouble_of",
]
