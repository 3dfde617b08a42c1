"""The Flask application of the page: the REST API, access control, the page's files. Load tests may add routes."""

import hashlib
import logging
import re
import secrets
from collections.abc import Callable
from typing import Any

import msgspec
from flask import Blueprint, Flask, Response, request
from werkzeug.exceptions import (
    BadRequest,
    Conflict,
    Forbidden,
    HTTPException,
    InternalServerError,
    NotFound,
    RequestEntityTooLarge,
    ServiceUnavailable,
    TooManyRequests,
    Unauthorized,
    UnsupportedMediaType,
)

from obswarm.api import ObswarmError
from obswarm.units import format_duration
from obswarm.web.access import COOKIE, CSRF_HEADER, SAFE_METHODS, SESSION_S, Access, TooManyAttempts, is_own_origin
from obswarm.web.connections import keep_streaming, trust
from obswarm.web.page import page_file
from obswarm.web.rest import service as services
from obswarm.web.rest.documents import Problem, Session
from obswarm.web.rest.encoding import encode
from obswarm.web.rest.events import CONTENT_TYPE, EventStreams, TooManyListeners
from obswarm.web.rest.live import LiveRun
from obswarm.web.rest.openapi import PROBLEM, openapi_document
from obswarm.web.rest.operations import HTML, JSON, OPERATIONS, PREFIX, Call, Operation
from obswarm.web.rest.requests import Login
from obswarm.web.rest.service import TestService

logger = logging.getLogger(__name__)

LARGEST_BODY_BYTES = 1024 * 1024
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self';"
    " connect-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
REPORT_POLICY = (
    "sandbox allow-scripts allow-popups allow-downloads; default-src 'none'; script-src 'unsafe-inline'; style-src"
    " 'unsafe-inline'; img-src data:; font-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
"""A report is one file with its scripts in it; in a sandbox, they have no access to the API."""

_SESSION_PATH = f"{PREFIX}/session"
_OPEN_PATHS = ("/", _SESSION_PATH)
_STATIC = "/static/"
_EXACT_UP_TO = 2.0**53
_UNSAFE_IN_FILE_NAMES = re.compile(r"[^\w.-]+")


def make_application(service: TestService, live: LiveRun, streams: EventStreams, access: Access) -> Flask:
    """Return the application."""
    app = Flask("obswarm", static_folder=None, template_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = LARGEST_BODY_BYTES
    app.config["MAX_FORM_MEMORY_SIZE"] = LARGEST_BODY_BYTES
    app.secret_key = secrets.token_bytes(32)
    guard = _AccessCheck(access)
    app.before_request(guard.check)
    app.after_request(_with_headers)
    app.register_error_handler(HTTPException, _problem)
    app.register_error_handler(Exception, _failure)
    app.register_blueprint(_rest(service, live))
    app.register_blueprint(_sessions(access, guard))
    app.register_blueprint(_events(streams))
    app.register_blueprint(_files())
    return app


class _AccessCheck:
    """Checks each request before it is answered: its origin, who makes it, and the CSRF token of a session."""

    def __init__(self, access: Access) -> None:
        self._access = access

    def check(self) -> None:
        if not is_own_origin(request.environ):
            raise Forbidden("The request is one of a page of another origin.")
        if request.path in _OPEN_PATHS and request.path != _SESSION_PATH:
            return
        if request.path.startswith(_STATIC):
            return
        session = self._access.session(request.cookies.get(COOKIE))
        if session is not None:
            self._check_csrf(session.csrf_token)
            trust(request.environ)
        elif request.path != _SESSION_PATH and not self._allows():
            challenge = 'Basic realm="obswarm"' if "password" in self._access.methods else 'Bearer realm="obswarm"'
            # Browsers would show a dialog of their own instead of the page's form.
            own = request.headers.get("Sec-Fetch-Mode") in ("cors", "same-origin")
            response = problem_response(401, "Unauthorized", "Log in, or send the token.")
            if not own:
                response.headers["WWW-Authenticate"] = challenge
            raise Unauthorized(response=response)

    def _check_csrf(self, token: str) -> None:
        given = request.headers.get(CSRF_HEADER, "")
        if request.method not in SAFE_METHODS and not secrets.compare_digest(given.encode(), token.encode()):
            raise Forbidden(f"The header {CSRF_HEADER} is missing or wrong; GET {_SESSION_PATH} has its value.")

    def _allows(self) -> bool:
        allowed = self.attempt(lambda address: self._access.allows(address, request.headers.get("Authorization")))
        if allowed and self._access.required:
            trust(request.environ)
        return bool(allowed)

    @staticmethod
    def attempt(login: Callable[[str], Any]) -> Any:
        """Call `login` with the address of the client. Raises 429 after too many wrong logins."""
        try:
            return login(request.remote_addr or "")
        except TooManyAttempts as error:
            wait = format_duration(error.retry_after_s)
            text = f"Too many wrong logins; try again in {wait}."
            raise TooManyRequests(text, retry_after=error.retry_after_s) from None


def problem_response(status: int, title: str, detail: str) -> Response:
    """Return a response as of RFC 9457."""
    return Response(encode(Problem(title, status, detail)), status, content_type=PROBLEM)


def _problem(error: HTTPException) -> Any:
    response = error.get_response()
    if error.response is not None or (error.code or 500) < 400:
        return response
    described = problem_response(error.code or 500, error.name, error.description or error.name)
    for name, value in response.headers:
        if name not in ("Content-Type", "Content-Length"):
            described.headers[name] = value
    return described


def _failure(error: Exception) -> Any:
    logger.error("%s %s failed.", request.method, request.path, exc_info=error)
    return _problem(InternalServerError("The server could not answer; its log says why."))


def _with_headers(response: Response) -> Response:
    headers = response.headers
    headers.setdefault("Content-Security-Policy", PAGE_POLICY)
    headers.setdefault("X-Content-Type-Options", "nosniff")
    headers.setdefault("Referrer-Policy", "no-referrer")
    headers.setdefault("Cross-Origin-Opener-Policy", "same-origin")
    headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
    headers.setdefault("Cache-Control", "no-cache")
    return response


def conditional(body: bytes, content_type: str) -> Response:
    """Return a response with an ETag, 304 without a body if the client has it."""
    response = Response(body, content_type=content_type)
    response.set_etag(hashlib.blake2b(body, digest_size=12).hexdigest())
    response.make_conditional(request)
    return response


# The REST API.
def _rest(service: TestService, live: LiveRun) -> Blueprint:
    blueprint = Blueprint("rest", __name__, url_prefix=PREFIX)
    for operation in OPERATIONS:
        rule = operation.path.replace("{", "<").replace("}", ">")
        view = _view(operation, service, live)
        blueprint.add_url_rule(rule, operation.name, view, methods=[operation.method])
    document = b""

    def openapi() -> Response:
        nonlocal document
        document = document or encode(openapi_document())
        return conditional(document, JSON)

    blueprint.add_url_rule("/openapi.json", "openapi", openapi)
    return blueprint


def _view(operation: Operation, service: TestService, live: LiveRun) -> Callable[..., Response]:
    def view(**path: str) -> Response:
        values = {**path, **_query_of(operation)}
        for name, choices in operation.choices.items():
            if values[name] not in choices:
                raise NotFound(f"There is no {values[name]!r}; there are {', '.join(choices)}.")
        body = None if operation.body is None else body_of(operation.body)
        found = _called(lambda: operation.call(Call(service, live, body, values)))
        if operation.method != "GET":
            return Response(encode(found), operation.status, content_type=operation.content_type)
        content = found.encode("utf-8", "backslashreplace") if operation.returns is str else encode(found)
        kind = operation.content_type if operation.content_type == JSON else f"{operation.content_type}; charset=utf-8"
        response = conditional(content, kind)
        if operation.content_type == HTML:
            response.headers["Content-Security-Policy"] = REPORT_POLICY
        if values.get("download"):
            name = _UNSAFE_IN_FILE_NAMES.sub("_", operation.file_name.format_map(path))
            response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
        return response

    return view


def _called(call: Callable[[], Any]) -> Any:
    """Call a service; its errors become those of HTTP."""
    try:
        return call()
    except services.NotPossible as error:
        raise Conflict(str(error)) from None
    except services.NotFound as error:
        raise NotFound(str(error)) from None
    except services.Unavailable as error:
        raise ServiceUnavailable(str(error)) from None
    except ObswarmError as error:
        raise BadRequest(str(error)) from None


def _query_of(operation: Operation) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for each in operation.query:
        texts = request.args.getlist(each.name)
        if not texts:
            if each.default is None:
                raise BadRequest(f"The parameter {each.name} is missing.")
            values[each.name] = each.default
            continue
        is_list = isinstance(each.default, list)
        try:
            values[each.name] = msgspec.convert(texts if is_list else texts[-1], each.type, strict=False)
        except msgspec.ValidationError as error:
            raise BadRequest(f"The parameter {each.name} is wrong: {error}.") from None
    return values


def body_of(kind: Any) -> Any:
    """Return the request's JSON body as a document. Raises 400 and 415."""
    if request.mimetype != JSON:
        raise UnsupportedMediaType(f"The body has to be {JSON}; send the header Content-Type.")
    content = request.get_data()
    # Of a body whose length was not announced, Werkzeug reads so much and no more.
    if len(content) >= LARGEST_BODY_BYTES:
        raise RequestEntityTooLarge
    try:
        return msgspec.convert(_with_integers(msgspec.json.decode(content)), kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(f"The body is wrong: {error}.") from None


def _with_integers(value: Any) -> Any:
    """Return decoded JSON with integers in place of numbers such as 5.0: JSON has no difference between them."""
    if isinstance(value, dict):
        return {key: _with_integers(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_with_integers(each) for each in value]
    is_whole = isinstance(value, float) and value.is_integer() and abs(value) < _EXACT_UP_TO
    return int(value) if is_whole else value


# Sessions.
def _sessions(access: Access, guard: _AccessCheck) -> Blueprint:
    blueprint = Blueprint("sessions", __name__, url_prefix=_SESSION_PATH)

    def describe() -> Response:
        found = access.session(request.cookies.get(COOKIE))
        user, token = (None, None) if found is None else (found.user, found.csrf_token)
        return conditional(encode(Session(access.required, access.methods, user, token)), JSON)

    def log_in() -> Response:
        wanted = body_of(Login)
        if not access.required:
            return Response(encode(Session(False, [], None, None)), content_type=JSON)
        try:
            cookie, session = guard.attempt(
                lambda address: access.login(address, wanted.user, wanted.password, wanted.token)
            )
        except PermissionError:
            return problem_response(401, "Unauthorized", "User, password or token are wrong.")
        document = Session(True, access.methods, session.user, session.csrf_token)
        response = Response(encode(document), content_type=JSON)
        response.set_cookie(
            COOKIE, cookie, max_age=int(SESSION_S), httponly=True, samesite="Strict", secure=request.is_secure
        )
        return response

    def log_out() -> Response:
        access.logout(request.cookies.get(COOKIE, ""))
        response = Response(status=204)
        response.delete_cookie(COOKIE, httponly=True, samesite="Strict", secure=request.is_secure)
        return response

    blueprint.add_url_rule("", "describe", describe, methods=["GET"])
    blueprint.add_url_rule("", "log_in", log_in, methods=["POST"])
    blueprint.add_url_rule("", "log_out", log_out, methods=["DELETE"])
    return blueprint


# Server-sent events.
def _events(streams: EventStreams) -> Blueprint:
    blueprint = Blueprint("events", __name__)

    def events() -> Response:
        if request.method == "HEAD":
            return Response(content_type=CONTENT_TYPE)
        try:
            stream = streams.open()
        except TooManyListeners:
            raise ServiceUnavailable("Too many pages are open; close one.", retry_after=10) from None
        response = Response(keep_streaming(request.environ, stream), content_type=CONTENT_TYPE)
        response.headers["Cache-Control"] = "no-store"
        response.headers["X-Accel-Buffering"] = "no"
        return response

    blueprint.add_url_rule(f"{PREFIX}/events", "events", events)
    return blueprint


# The page's files.
def _files() -> Blueprint:
    blueprint = Blueprint("files", __name__)

    def index() -> Response:
        return _file("index.html")

    def static(name: str) -> Response:
        return _file("" if name == "index.html" else name)

    blueprint.add_url_rule("/", "index", index)
    blueprint.add_url_rule(f"{_STATIC}<name>", "static", static)
    return blueprint


def _file(name: str) -> Response:
    found = page_file(name)
    if found is None:
        raise NotFound("The page has no such file.")
    response = Response(found.content, content_type=found.content_type)
    response.headers["ETag"] = found.etag
    response.make_conditional(request)
    return response


__all__ = ["LARGEST_BODY_BYTES", "PAGE_POLICY", "REPORT_POLICY", "body_of", "conditional", "make_application"]
