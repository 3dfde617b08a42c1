"""Whatever a Prometheus answers, or who stands in its place, what comes of it is values or a SourceError: the greenlets
that ask go on."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from obswarm.targets import PrometheusSource, Sample, SourceError

ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.floats()
    | st.sampled_from(["", "1", "NaN", "+Inf", "mysql", "0"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["metric", "value", "values", "histogram", "kind", "job"]), inner, max_size=3)
    ),
    max_leaves=6,
)
LABELS = st.dictionaries(st.sampled_from(["job", "kind", "instance", "obswarm_number"]), ANYTHING, max_size=4)
VALUES = st.tuples(st.floats(0, 2e9), st.sampled_from(["1", "0", "NaN", "+Inf", "-Inf", "x"])).map(list) | ANYTHING
SERIES = st.fixed_dictionaries({}, optional={"metric": LABELS | ANYTHING, "value": VALUES, "histogram": ANYTHING})
DATA = st.fixed_dictionaries(
    {},
    optional={
        "resultType": st.sampled_from(["vector", "scalar", "matrix", "string"]) | ANYTHING,
        "result": st.lists(SERIES | ANYTHING, max_size=3) | VALUES,
    },
)
DOCUMENTS = st.fixed_dictionaries({"status": st.just("success")}, optional={"data": DATA | ANYTHING}) | ANYTHING


class Anybody:
    """Answers every request with `document`."""

    document: Any = None

    def request(self, method: str, url: str, **_: Any) -> requests.Response:
        answer = requests.Response()
        answer.status_code = 200
        answer.url = url
        answer.headers["Content-Type"] = "application/json"
        answer._content = json.dumps(self.document).encode()
        answer.request = requests.Request(method, url).prepare()
        return answer


@pytest.fixture(scope="module")
def anybody() -> Iterator[Anybody]:
    made = Anybody()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("requests.Session.request", lambda session, *arguments, **options: made.request(*arguments))
        yield made


@pytest.fixture(scope="module")
def source(anybody: Anybody) -> Iterator[PrometheusSource]:
    made = PrometheusSource("http://127.0.0.1:1")
    yield made
    made.close()


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
@given(DOCUMENTS)
def test_an_answer_of_any_shape_gives_values_or_a_source_error(
    anybody: Anybody, source: PrometheusSource, document: Any
) -> None:
    anybody.document = document
    for ask in (
        lambda: source.query("up"),
        lambda: source.metric_values(["up", "down"]),
        source.targets,
        source.targets_by_metrics,
        lambda: source._reasons._reason("max(mysql_up)"),
    ):
        try:
            found = ask()
        except SourceError:
            continue
        assert all(isinstance(each.value, float) for each in found if isinstance(each, Sample))
    assert all(isinstance(each.detail, str) for each in source.health())


def test_a_job_without_a_kind_is_not_a_target(anybody: Anybody, source: PrometheusSource) -> None:
    labels: list[dict[str, str]] = [
        {"__name__": "up", "job": "federated"},
        {"__name__": "up", "job": "db", "kind": "mysql", "instance": "db:9104"},
        {"__name__": "up", "kind": "redis"},
        {},
    ]
    series = [{"metric": each, "value": [1.0, "1"]} for each in labels]
    anybody.document = {"status": "success", "data": {"resultType": "vector", "result": series}}
    assert [(target.name, target.kind) for target in source.targets()] == [("db", "mysql"), ("", "redis")]


class Raw(Anybody):
    """Answers with `body`."""

    body = b""

    def request(self, method: str, url: str, **options: Any) -> requests.Response:
        answer = super().request(method, url, **options)
        answer._content = self.body
        return answer


@pytest.fixture
def raw(monkeypatch: pytest.MonkeyPatch) -> Raw:
    made = Raw()
    monkeypatch.setattr("requests.Session.request", lambda session, *arguments, **options: made.request(*arguments))
    return made


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (
            b'{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[%s,"1"]}]}}'
            % (b"9" * 6000),
            "returned JSON that cannot be parsed, a number has too many digits (HTTP 200): ",
        ),
        (b"[" * 100_000, "returned JSON that cannot be parsed, nesting is too deep (HTTP 200): "),
        (b"null", "returned JSON that is not a Prometheus response (HTTP 200): null"),
        (b'{"status":"succ', "returned truncated JSON, 15 bytes (HTTP 200)"),
        (b"nothing", "returned something other than JSON (HTTP 200): nothing"),
        (b'{"status":"success","data":null}', "without a query result: check that it is a Prometheus"),
        (
            b'{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1e400,[]]}]}}',
            "without a query result: check that it is a Prometheus",
        ),
    ],
)
def test_responses_that_cannot_be_parsed_have_specific_messages(raw: Raw, body: bytes, sentence: str) -> None:
    raw.body = body
    with pytest.raises(SourceError) as raised:
        PrometheusSource("http://prometheus").query("up")
    assert sentence in str(raised.value)


def test_a_warning_that_differs_only_in_numbers_is_logged_once(raw: Raw, caplog: pytest.LogCaptureFixture) -> None:
    source = PrometheusSource("http://prometheus")
    for number in range(5):
        notes = [f"shard {number} took {number}.5s", "another"]
        document = {"status": "success", "warnings": notes, "data": {"resultType": "vector", "result": []}}
        raw.body = json.dumps(document).encode()
        source.query("up")
    assert [record.getMessage().rpartition(": ")[2] for record in caplog.records] == ["shard 0 took 0.5s", "another"]
