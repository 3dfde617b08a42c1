"""HTTP clients for users: a fast one of our own, and requests."""

from obswarm import gevent_patch  # noqa: F401,I001 - before requests, which imports ssl

from obswarm.http.adapter import FastAdapter
from obswarm.http.api_session import AnswerTooLarge, ApiSession, bound_answers
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
    "ApiSession",
    "ConnectError",
    "ConnectTimeout",
    "ConnectionLost",
    "ConnectionPool",
    "CountedResponse",
    "DecodingError",
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
    "NoDescriptorLeft",
    "ProtocolError",
    "ProxyError",
    "ReadTimeout",
    "ResponseTooLarge",
    "StreamConsumed",
    "TlsError",
    "TooManyRedirects",
    "bound_answers",
    "check_host",
    "innermost",
    "keeps_a_connection",
    "plain_reason",
]
