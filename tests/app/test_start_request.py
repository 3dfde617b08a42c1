"""A run that a client of the server asks for: its rate of iterations, and the same options in another process, as arguments
of a command line."""

from pathlib import Path
from typing import Any

import pytest

from obswarm.api import ObswarmError, events, parse_custom
from obswarm.app.planning import LoadedTest, load_test
from obswarm.app.start_request import config_of, loaded_for, loaded_with_arguments
from obswarm.config import RunConfig
from obswarm.web.rest.requests import Start

_LOADTEST = """
import argparse
from obswarm import User, events, task

@events.init_command_line_parser.add_listener
def options(parser):
    parser.add_argument("--account", default="demo")
    parser.add_argument("--size", type=int, default=3)
    parser.add_argument("--tag-names", nargs="*", default=[])
    parser.add_argument("--deep", action="store_true")
    parser.add_argument("--plain", action="store_false")
    parser.add_argument("--colour", action=argparse.BooleanOptionalAction, default=True)

class Visitor(User):
    @task
    def nothing(self): pass

class demo(Visitor): pass
"""


QUERY = "promql(sum(rate(a[1m]))[1h:15s])"


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for hook in vars(events).values():
        monkeypatch.setattr(hook, "listeners", list(hook.listeners))
    path = tmp_path / "loadtest.py"
    path.write_text(_LOADTEST)
    return path


def loaded_from(file: Path, *arguments: str) -> LoadedTest:
    return load_test(RunConfig.of({"files": (str(file),), "arguments": arguments}, {}))


@pytest.mark.parametrize(
    ("line", "options"),
    [
        ((), {}),
        ((), {"account": "--odd", "size": 7, "tag_names": ["a", "b"], "deep": True, "plain": False, "colour": False}),
        (("--deep", "--plain", "--no-colour"), {"deep": False, "plain": True, "colour": True}),
        (("--account", "demo", "demo", "--size=5"), {"deep": True}),
        (("Visitor", "--tag-names", "x", "--account=y"), {"account": "z"}),
    ],
)
def test_another_process_gets_the_same_options(file: Path, line: tuple[str, ...], options: dict[str, Any]) -> None:
    loaded, request = loaded_from(file, *line), Start(options=options, user_classes=["Visitor"])
    expected = loaded_for(loaded, request, list(line), {})
    found, arguments = loaded_with_arguments(loaded, request, list(line), {})
    assert vars(found.custom) == vars(expected.custom)
    assert found.names == expected.names == ("Visitor",)
    there, classes = parse_custom(events, "loadtest.py", arguments, {})
    assert classes == []
    assert vars(there) == vars(expected.custom)
    for name, value in options.items():
        assert getattr(there, name) == value


def test_options_that_the_load_test_does_not_have_are_refused(file: Path) -> None:
    loaded = loaded_from(file)
    for request in (Start(options={"speed": 1}), Start(user_classes=["Nobody"]), Start(options={"deep": "yes"})):
        with pytest.raises(ObswarmError):
            loaded_with_arguments(loaded, request, [], {})


@pytest.mark.parametrize("text", ["day.csv*2", QUERY, "promql(a/b)", "fast"])
def test_no_client_has_the_server_read_a_file_or_ask_its_prometheus(text: str) -> None:
    with pytest.raises(ObswarmError, match=r"write it like 200/s, .* A curve of a file or a Prometheus is given as"):
        config_of(RunConfig(), Start(arrival_rate=text))


def test_the_query_of_the_command_line_is_kept_also_if_the_form_sends_it() -> None:
    config = RunConfig().replaced({"arrival_rate": QUERY})
    assert config_of(config, Start()).load.arrival_rate == QUERY
    assert config_of(config, Start(arrival_rate=QUERY)).load.arrival_rate == QUERY
    assert config_of(config, Start(arrival_rate="5/s")).load.arrival_rate == "5/s"
