"""The OpenAPI 3.1 document of the REST API, made from its operations and documents."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from obswarm import __version__
from obswarm.web.access import COOKIE
from obswarm.web.rest.documents import Problem, Session, Status
from obswarm.web.rest.events import CONTENT_TYPE
from obswarm.web.rest.operations import HTML, JSON, OPERATIONS, PREFIX, Operation
from obswarm.web.rest.requests import Login

PROBLEM = "application/problem+json"
_TEMPLATE = "#/components/schemas/{name}"
_IN_PATH = re.compile(r"\{(\w+)\}")
_ID = {"type": "string", "minLength": 1, "maxLength": 200, "pattern": r"^[^/?#\\]+$"}
_ALWAYS = (400, 401, 403, 405, 421, 429)
"""Statuses of errors of every operation."""
_WITH_BODY = (413, 415)

_TITLES = {
    304: "Not modified",
    400: "The request is wrong",
    401: "Not logged in",
    403: "Another origin, or no CSRF token",
    404: "There is no such thing",
    405: "Wrong method",
    409: "Not possible in the present state",
    413: "Too large",
    415: "Not JSON",
    421: "The host name is not allowed",
    429: "Too many wrong logins",
    503: "Not possible now: too many listeners, or no result in time",
}


def openapi_document() -> dict[str, Any]:
    """Return the document."""
    types = [each for operation in OPERATIONS for each in (operation.body, operation.returns) if each is not None]
    parameters = [parameter.type for operation in OPERATIONS for parameter in operation.query]
    further = [Problem, Session, Login, Status]
    schemas, components = msgspec.json.schema_components([*types, *parameters, *further], ref_template=_TEMPLATE)
    found = dict(zip([*map(repr, types), *map(repr, parameters), *map(repr, further)], schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        paths.setdefault(PREFIX + operation.path, {})[operation.method.lower()] = _operation(operation, found)
    paths[f"{PREFIX}/events"] = {"get": _events(found)}
    paths[f"{PREFIX}/openapi.json"] = {
        "get": _described("get_openapi", "This document", {"200": _content("OK", {"type": "object"})}, (304, *_ALWAYS))
    }
    paths[f"{PREFIX}/session"] = _session(found)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "obswarm",
            "version": __version__,
            "description": "State, commands and measurements of a load test.",
        },
        "servers": [{"url": "/"}],
        "security": [{"token": []}, {"password": []}, {"session": []}, {}],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "password": {"type": "http", "scheme": "basic"},
                "session": {"type": "apiKey", "in": "cookie", "name": COOKIE},
            },
        },
    }


def _operation(operation: Operation, schemas: dict[str, Any]) -> dict[str, Any]:
    schema = {"type": "string"} if operation.returns is str else schemas[repr(operation.returns)]
    responses = {str(operation.status): _content("OK", schema, operation.content_type)}
    body = () if operation.body is None else _WITH_BODY
    cached = (304,) if operation.method == "GET" else ()
    described = _described(
        operation.name, operation.summary, responses, (*cached, *_ALWAYS, *body, *operation.problems)
    )
    parameters = [*_of_path(operation), *_of_query(operation, schemas)]
    if parameters:
        described["parameters"] = parameters
    if operation.body is not None:
        described["requestBody"] = _body(schemas[repr(operation.body)])
    return described


def _of_path(operation: Operation) -> Iterator[dict[str, Any]]:
    for name in _IN_PATH.findall(operation.path):
        choices = operation.choices.get(name)
        schema = _ID if choices is None else {"type": "string", "enum": list(choices)}
        yield {"name": name, "in": "path", "required": True, "schema": schema}


def _of_query(operation: Operation, schemas: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for each in operation.query:
        schema = dict(schemas[repr(each.type)])
        if each.default is not None:
            schema["default"] = each.default
        yield {
            "name": each.name,
            "in": "query",
            "required": each.default is None,
            "description": each.description,
            "schema": schema,
        }


def _events(schemas: dict[str, Any]) -> dict[str, Any]:
    responses = {
        "200": _content("A stream of events; docs/rest-api.md describes them.", {"type": "string"}, CONTENT_TYPE)
    }
    return _described("get_events", "Server-sent events", responses, (*_ALWAYS, 503))


def _session(schemas: dict[str, Any]) -> dict[str, Any]:
    session = schemas[repr(Session)]
    opened = _described(
        "post_session", "Log in", {"200": _content("Logged in", session)}, (400, 401, 403, 405, 413, 415, 421, 429)
    )
    opened["requestBody"] = _body(schemas[repr(Login)])
    described = {
        "get": _described(
            "get_session", "The session", {"200": _content("OK", session)}, (304, 400, 403, 405, 421, 429)
        ),
        "post": opened,
        "delete": _described("delete_session", "Log out", {"204": {"description": "Logged out"}}, (403, 405, 421, 429)),
    }
    for operation in described.values():
        operation["security"] = [{}]
    return described


def _described(name: str, summary: str, responses: dict[str, Any], problems: Sequence[int]) -> dict[str, Any]:
    problem = {"$ref": _TEMPLATE.format(name="Problem")}
    for status in sorted(set(problems)):
        # Of these, one has no body, and the other comes from the server that all applications share.
        responses[str(status)] = (
            {"description": _TITLES[status]} if status in (304, 421) else _content(_TITLES[status], problem, PROBLEM)
        )
    return {"operationId": name, "summary": summary, "responses": responses}


def _content(description: str, schema: dict[str, Any], content_type: str = JSON) -> dict[str, Any]:
    return {"description": description, "content": {content_type: {"schema": schema}}}


def _body(schema: dict[str, Any]) -> dict[str, Any]:
    return {"required": True, "content": {JSON: {"schema": schema}}}


__all__ = ["HTML", "PROBLEM", "openapi_document"]
