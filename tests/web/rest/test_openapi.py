"""The OpenAPI document: complete, and true of the answers."""

from typing import Any

import pytest
from jsonschema import Draft202012Validator

from obswarm.web.rest.openapi import openapi_document
from obswarm.web.rest.operations import OPERATIONS, PREFIX
from tests.support.stub_test_service import STORED, StubTestService, client_of
from tests.web.rest.test_api import measured

DOCUMENT = openapi_document()


def test_it_has_all_routes_of_the_api() -> None:
    app = client_of(StubTestService()).application
    routes = {
        (method, rule.rule.replace("<", "{").replace(">", "}"))
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if rule.rule.startswith(PREFIX)
    }
    described = {(method.upper(), path) for path, each in DOCUMENT["paths"].items() for method in each}
    assert routes == described


def test_all_references_are_there_and_ids_are_unique() -> None:
    references: list[str] = []

    def collect(part: Any) -> None:
        if isinstance(part, dict):
            references.extend(value for key, value in part.items() if key == "$ref")
            for value in part.values():
                collect(value)
        elif isinstance(part, list):
            for value in part:
                collect(value)

    collect(DOCUMENT)
    assert {each.rpartition("/")[2] for each in references} <= set(DOCUMENT["components"]["schemas"])
    ids = [each["operationId"] for path in DOCUMENT["paths"].values() for each in path.values()]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("has_run", [False, True])
def test_the_answers_are_as_it_says(has_run: bool) -> None:
    service = StubTestService()
    if has_run:
        measured(service)
    client = client_of(service)
    for operation in OPERATIONS:
        if operation.method != "GET" or operation.returns is str:
            continue
        path = PREFIX + operation.path.format(run_id=STORED.id, table="stats")
        query = f"?before={STORED.id}&after={STORED.id}" if operation.path == "/compare" else ""
        query = "?metric=a" if operation.path == "/targets/series" else query
        described = DOCUMENT["paths"][PREFIX + operation.path]["get"]["responses"]["200"]
        schema = described["content"]["application/json"]["schema"]
        whole = {**schema, "components": DOCUMENT["components"]}
        found = client.get(path + query)
        errors = list(Draft202012Validator(whole).iter_errors(found.json))
        assert errors == [], path
