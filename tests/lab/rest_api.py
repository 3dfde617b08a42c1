"""`make lab-api`: the REST API against its OpenAPI document.

schemathesis makes thousands of requests, valid and invalid ones (`OBSWARM_LAB_CASES`, 2,000 by default), and checks each
response: no 5xx, status, content type, headers and body as described, wrong input refused.
"""

import os
from typing import Any

import schemathesis
from hypothesis import HealthCheck, settings

from tests.support.stub_test_service import StubTestService, client_of
from tests.web.rest.test_api import measured

CASES = int(os.environ.get("OBSWARM_LAB_CASES", "2000"))
_SERVICE = StubTestService()
measured(_SERVICE)
_SERVICE.is_running = True

# The stream of events has no end.
_SCHEMA = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", client_of(_SERVICE).application).exclude(
    path="/api/v1/events"
)
_OPERATIONS = sum(len(each) for each in _SCHEMA.raw_schema["paths"].values())


@_SCHEMA.parametrize()
@settings(
    max_examples=-(-CASES // _OPERATIONS),
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
def test_each_response_is_as_described(case: Any) -> None:
    case.call_and_validate()
