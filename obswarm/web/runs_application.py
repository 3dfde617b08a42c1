"""The Flask application of a master service's API (obswarm.web.runs); its requests need the bearer token."""

import json
from collections.abc import Iterable
from typing import Any

from flask import Flask, Response, request
from werkzeug.exceptions import (
    BadRequest,
    Conflict,
    HTTPException,
    NotFound,
    RequestEntityTooLarge,
    Unauthorized,
)

from obswarm.api import ObswarmError
from obswarm.engine import RunControl, StopReason
from obswarm.json_text import to_json
from obswarm.record import StopKind
from obswarm.web.answers import has_token
from obswarm.web.run_request import BadRunRequest, RunRequest
from obswarm.web.runs import LARGEST_REQUEST_BYTES, MESSAGEPACK, RUNS_PATH, SERVICE_PATH, RunService, ServiceBusy
from obswarm.web.wire import pack_message

_LARGEST_COMMAND_BYTES = 10_000
_NO_SUCH_RUN = "this master has no such run."
_WAIT_S = 5.0


class RunsApp:
    """A WSGI application with the API. It has no state of a run: the application of the page, to which a load test may
    add routes, is another one."""

    def __init__(self, service: RunService, token: str) -> None:
        self._service = service
        self._token = token.encode()
        self._app = app = Flask(__name__, static_folder=None, template_folder=None)
        app.config["MAX_CONTENT_LENGTH"] = _LARGEST_COMMAND_BYTES
        app.before_request(self._check)
        app.register_error_handler(HTTPException, _described)
        app.add_url_rule(SERVICE_PATH, "status", self._status, methods=["GET"])
        app.add_url_rule(RUNS_PATH, "submit", self._submit, methods=["POST"])
        app.add_url_rule(f"{RUNS_PATH}/<number>/news", "events", self._events, methods=["GET"])
        app.add_url_rule(f"{RUNS_PATH}/<number>/stop", "stop", self._stop, methods=["POST"])

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        return self._app(environ, start_response)

    def serves(self, method: str, path: str) -> bool:
        """Whether the API has this method of this path; the page's API has others below the same paths."""
        return bool(self._app.url_map.bind("").test(path, method))

    def _check(self) -> None:
        if not has_token(request.environ, self._token):
            refusal = _json({"error": "the bearer token is missing or wrong"}, 401)
            refusal.headers["WWW-Authenticate"] = 'Bearer realm="obswarm"'
            raise Unauthorized(response=refusal)
        if request.endpoint == "submit":
            # Only now, for a client with the token.
            request.max_content_length = LARGEST_REQUEST_BYTES

    def _status(self) -> Response:
        return _json(dict(self._service.status()))

    def _submit(self) -> Response:
        try:
            accepted = self._service.submit(RunRequest.unpack(_body()))
        except ServiceBusy as error:
            raise Conflict(str(error)) from None
        except (BadRunRequest, ObswarmError) as error:
            raise BadRequest(str(error)) from None
        return _json({"id": accepted.id, "workers": accepted.workers, "run_id": accepted.run_id}, 201)

    def _events(self, number: str) -> Response:
        events = self._service.events_of(number)
        if events is None:
            raise NotFound(_NO_SUCH_RUN)
        after = request.args.get("after", default=0, type=int) if request.args.get("boot") == events.boot else 0
        packed = pack_message([events.boot, events.since(after, _WAIT_S)])
        return Response(packed, content_type=MESSAGEPACK)

    def _stop(self, number: str) -> Response:
        control = self._service.control_of(number)
        if control is None:
            raise NotFound(_NO_SUCH_RUN)
        _stop_as_requested(control)
        return _json({})


def _stop_as_requested(control: RunControl) -> None:
    content = _body()
    try:
        command = json.loads(content)
        kind, detail, abort = StopKind(command["kind"]), command["detail"], command["abort"]
        if type(detail) is not str or type(abort) is not bool:
            raise ValueError("wrong values")
    except (ValueError, KeyError, TypeError):
        raise BadRequest("kind, detail and abort are required.") from None
    (control.abort if abort else control.stop)(StopReason(kind, detail))


def _body() -> bytes:
    """Return the request's body. Raises 413."""
    content = request.get_data(cache=False)
    # Of a body whose length was not announced, Werkzeug reads so much and no more.
    if len(content) >= (request.max_content_length or 0):
        raise RequestEntityTooLarge
    return content


def _json(document: dict[str, Any], status: int = 200) -> Response:
    return Response(to_json(document) + "\n", status, content_type="application/json")


def _described(error: HTTPException) -> Any:
    """Return the response to an error, as JSON."""
    response = error.get_response()
    if error.response is not None:
        return response
    text = error.description or error.name
    if error.code == 413:
        text = f"the body has to have less than {request.max_content_length} bytes"
    described = _json({"error": text}, error.code or 500)
    for name, value in response.headers:
        if name not in ("Content-Type", "Content-Length"):
            described.headers[name] = value
    return described
