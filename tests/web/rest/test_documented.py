"""The examples of docs/rest-api.md are documents of the API."""

import json
from typing import Any

import msgspec
import pytest

from obswarm.web.rest import documents as d
from obswarm.web.rest import requests as r
from obswarm.web.rest.operations import OPERATIONS, PREFIX
from obswarm.web.rest.series import COLUMNS
from tests.support.documentation import Snippet, snippet
from tests.support.programs import ROOT


@pytest.mark.parametrize(
    ("example", "kind"),
    [
        (snippet("docs/rest-api.md", '"boot": "c0ffee12"'), d.Status),
        (snippet("docs/rest-api.md", '"options": {"account"'), r.Start),
        (snippet("docs/rest-api.md", '"description": "Buys things."'), d.LoadTestDocument),
        (snippet("docs/rest-api.md", '"endpoints": ['), d.Endpoints),
        (snippet("docs/rest-api.md", '"requirements": ['), d.Guards),
        (snippet("docs/rest-api.md", '"step_s": 1.0'), d.Series),
        (snippet("docs/rest-api.md", '"metrics": ['), d.Targets),
        (snippet("docs/rest-api.md", '"series": [{"id"'), d.TargetSeries),
        (snippet("docs/rest-api.md", '"has_report": true'), d.StoredRun),
    ],
)
def test_an_example_has_the_fields_of_its_document(example: Snippet, kind: Any) -> None:
    given = json.loads(example.text)
    document = msgspec.convert(given, kind)
    assert given.keys() <= {each.name for each in msgspec.structs.fields(kind)}
    if kind is not r.Start:
        assert given.keys() == {each.name for each in msgspec.structs.fields(kind)}
    if isinstance(document, d.Series):
        assert set(document.columns) == set(COLUMNS)


def test_all_paths_are_described() -> None:
    text = (ROOT / "docs/rest-api.md").read_text()
    for operation in OPERATIONS:
        path = (PREFIX + operation.path).replace("{run_id}", "ID").replace("{table}", "stats")
        assert path in text, path
