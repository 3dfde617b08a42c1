"""HTTP clients for users: a fast one of our own, and requests."""

from obswarm.http.errors import (
    ConnectError,
    ConnectionLost,
    ConnectTimeout,
    HttpError,
    InvalidRequest,
    MissingHost,
    ProtocolError,
    ReadTimeout,
    TooManyRedirects,
)
from obswarm.http.requests_session import CountedResponse, HttpSession
from obswarm.http.response import FastResponse
from obswarm.http.session import FastHttpSession
from obswarm.http.urls import check_host
from obswarm.http.users import FastHttpUser, HttpUser

__all__ = [
    "ConnectError",
    "ConnectTimeout",
    "ConnectionLost",
    "CountedResponse",
    "FastHttpSession",
    "FastHttpUser",
    "FastResponse",
    "HttpError",
    "HttpSession",
    "HttpUser",
    "InvalidRequest",
    "MissingHost",
    "ProtocolError",
    "ReadTimeout",
    "TooManyRedirects",
    "check_host",
]
