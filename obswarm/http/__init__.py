"""HTTP clients for users: a fast one of our own, and requests."""

from obswarm import gevent_patch  # noqa: F401,I001 - before requests, which imports ssl

from obswarm.http.adapter import FastAdapter
from obswarm.http.api_access import ApiAccess, Naming, access_of, naming_by_options, naming_of_token, parse_header
from obswarm.http.api_session import AnswerTooLarge, ApiSession, bound_answers
from obswarm.http.api_failures import Asked, Failure, failure_of, page_of, quoted, refusal_of, trouble_of
from obswarm.http.counted import CountedResponse
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
from obswarm.http.requests_session import HttpSession
from obswarm.http.response import FastResponse
from obswarm.http.session import FastHttpSession
from obswarm.http.urls import check_host
from obswarm.http.users import FastHttpUser, HttpUser, keeps_a_connection

__all__ = [
    "AnswerTooLarge",
    "ApiAccess",
    "ApiSession",
    "Asked",
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
    "StreamConsumed",
    "TlsError",
    "TooManyRedirects",
    "access_of",
    "bound_answers",
    "check_host",
    "failure_of",
    "innermost",
    "keeps_a_connection",
    "naming_by_options",
    "naming_of_token",
    "page_of",
    "parse_header",
    "plain_reason",
    "quoted",
    "refusal_of",
    "trouble_of",
]
