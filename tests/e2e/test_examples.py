"""Each example runs as its docstring says."""

import pytest

from tests.support.forked import forked_obswarm
from tests.support.programs import CountingServer


def run(*arguments: object) -> dict:
    done = forked_obswarm("run", *arguments, "--headless", "--json", "-")
    assert done.code == 0, done.stderr
    result = done.result
    assert result["totals"]["requests"] > 0
    assert result["exceptions"] == []
    return result


def names(result: dict) -> set[str]:
    return {endpoint["name"] for endpoint in result["endpoints"]}


def test_basic(target: CountingServer) -> None:
    result = run("examples/basic.py", "-H", target.url, "-u", 10, "-r", 10, "-t", "4s")
    assert names(result) == {"/", "/products/{id}"}


def test_tasksets(target: CountingServer) -> None:
    result = run("examples/tasksets.py", "-H", target.url, "-u", 20, "-r", 20, "-t", "5s")
    assert {"/login", "/forum", "/basket", "/pay"} <= names(result)


def test_tasksets_by_tag(target: CountingServer) -> None:
    result = run("examples/tasksets.py", "-H", target.url, "-u", 10, "-r", 20, "-t", "3s", "--tags", "read")
    assert names(result) == {"/login", "/forum", "/forum/threads/{id}"}


def test_shape(target: CountingServer) -> None:
    result = run("examples/shape.py", "-H", target.url)
    assert result["users_max"] == 20
    assert result["duration_s"] == pytest.approx(6, abs=1.5)
    assert result["stop_reason"]["kind"] == "time"


def test_scenarios(target: CountingServer) -> None:
    result = run("examples/scenarios.py", "-H", target.url)
    by_name = {each["scenario"]: each["requests"] for each in result["scenarios"]}
    assert set(by_name) == {"browse", "checkout", "import"}
    assert by_name["import"] == 100
    assert by_name["checkout"] == pytest.approx(15, abs=2)
    assert [each["met"] for each in result["requirements"]] == [True, True]


def test_custom_protocol(tmp_path) -> None:
    done = forked_obswarm(
        "run", "examples/custom_protocol.py", "-u", 5, "-r", 10, "-t", "3s",
        "--database", tmp_path / "load.sqlite", "--headless", "--json", "-",
    )  # fmt: skip
    assert done.code == 1, done.stderr
    result = done.result
    assert {"create", "insert", "ranking", "mistake"} == names(result)
    assert {error["name"] for error in result["errors"]} == {"mistake"}
    assert "no such table: nowhere" in result["errors"][0]["error"]
    assert {endpoint["method"] for endpoint in result["endpoints"]} == {"SQL"}


def test_guards(target: CountingServer) -> None:
    result = run("examples/guards.py", "-H", target.url, "-u", 5, "-r", 10, "-t", "3s")
    assert [(guard["name"], guard["trips"]) for guard in result["guards"]] == [
        ("error_ratio > 20% for 3s", 0),
        ("slow shop", 0),
        ("worker_cpu > 80% for 5s", 0),
    ]
