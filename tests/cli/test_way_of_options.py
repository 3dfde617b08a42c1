"""The functions that an option passes from the command line to where it acts, as docs/architecture.md lists them."""

import re
import sys
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import click
import pytest

import obswarm
import obswarm.cli.run  # what is imported later would be in the trace
from obswarm.app.session import RunSession
from obswarm.cli.main import main
from obswarm.config import RunConfig
from tests.support.programs import ROOT

OPTIONS = {
    "--spawn-rate": ("17.25", "load", "spawn_rate"),
    "--json": ("the-result.json", "outputs", "json_file"),
    "--stop-when": ("error_ratio > 33% for 7s", "guards", "stop_when"),
}
"""A value that nothing else has, and the field of the RunConfig."""

LOADTEST = """
from obswarm import User, task

class Visitor(User):
    @task
    def visit(self):
        pass
"""

_PACKAGE = Path(obswarm.__file__).parent
_DEEPEST = 2


class Function(NamedTuple):
    """A function of the package, by file and name; a class stands for its constructor."""

    file: str
    name: str


MAIN, RUN = Function("cli/main.py", "main"), Function("cli/run.py", "run")


class Row(NamedTuple):
    functions: tuple[Function, ...]
    cells: tuple[str, ...]


def rows() -> list[Row]:
    """Return the rows of the table."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    section = text.partition("## The way of an option")[2].partition("\n## ")[0]
    (table,) = re.findall(r"(?:^\|.*\n)+", section, re.MULTILINE)
    found = []
    for names, file, *cells in ([cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()[2:]):
        functions = tuple(Function(file.strip("`"), name) for name in re.findall(r"`([^`]+)`", names))
        found.append(Row(functions, tuple(cells)))
    return found


def function_of(frame: FrameType) -> Function | None:
    """Return the function of the package that a frame belongs to, None for one of others."""
    code = frame.f_code
    owner = frame.f_locals.get("self")
    if code.co_filename == "<string>" and type(owner).__module__.startswith("obswarm."):
        # What a dataclass generates.
        return Function(f"{type(owner).__module__.partition('.')[2].replace('.', '/')}.py", type(owner).__name__)
    file = Path(code.co_filename)
    if not file.is_relative_to(_PACKAGE):
        return None
    name = re.sub(r"\.<locals>\.<\w+>$|\.__init__$", "", code.co_qualname)
    return Function(file.relative_to(_PACKAGE).as_posix(), name)


def arguments_of(frame: FrameType) -> dict[str, Any]:
    code = frame.f_code
    count = code.co_argcount + code.co_kwonlyargcount + bool(code.co_flags & 4) + bool(code.co_flags & 8)
    return {name: frame.f_locals[name] for name in code.co_varnames[:count] if name in frame.f_locals}


class Trace:
    """While a `with` block lasts, notes the functions of the package that get an option's value, as text or as what it
    means, by itself or in a list, in click's context or in a RunConfig."""

    def __init__(self, option: str) -> None:
        self._text, self._part, self._field = OPTIONS[option]
        self.calls: list[Function] = []
        self.stacks: dict[Function, list[Function]] = {}
        """By function, the functions of the package that were running when it was called, and itself."""
        self.started = 0
        """The number of calls before that of the command."""

    def __enter__(self) -> "Trace":
        sys.setprofile(self._on_event)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)

    def _on_event(self, frame: FrameType, event: str, _: object) -> None:
        if event != "call" or (function := function_of(frame)) is None:
            return
        arguments = arguments_of(frame)
        if frame.f_code.co_name == "__init__":
            # It has no attributes yet.
            arguments.pop("self", None)
        if any(self._is_in(each) for each in arguments.values()):
            if function == RUN:
                self.started = len(self.calls)
            self.calls.append(function)
            self.stacks[function] = self._stack(frame)

    @staticmethod
    def _stack(frame: FrameType) -> list[Function]:
        found: list[Function] = []
        at: FrameType | None = frame
        while at is not None:
            function = function_of(at)
            if function is not None:
                found.insert(0, function)
            at = at.f_back
        return found

    def _is_in(self, value: Any, depth: int = 0) -> bool:
        if isinstance(value, RunConfig):
            return self._is_in(getattr(getattr(value, self._part), self._field))
        if isinstance(value, click.Context) and self.started:
            # Before, it has what is parsed already while another option is parsed.
            value = [*value.params.values()]
        if isinstance(value, dict):
            value = list(value.values())
        if isinstance(value, list | tuple):
            return depth <= _DEEPEST and any(self._is_in(each, depth + 1) for each in value)
        if isinstance(value, str):
            return self._text in value
        return isinstance(value, float) and str(value) == self._text


@pytest.mark.parametrize("option", OPTIONS)
def test_an_option_passes_the_documented_functions_once_and_no_others(
    option: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "loadtest.py").write_text(LOADTEST)
    monkeypatch.setattr(RunSession, "execute", lambda session: (None, 0))
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    line = ["run", "loadtest.py", "--headless", "--no-store", "--workers", "0", option, OPTIONS[option][0]]
    monkeypatch.setattr(sys, "argv", ["obswarm", *line])
    with Trace(option) as trace, pytest.raises(SystemExit, match=r"^0$"):
        main()

    column = list(OPTIONS).index(option)
    functions = [function for row in rows() if row.cells[column] for function in row.functions]
    assert len(functions) <= 8
    assert len({function.file for function in functions}) <= 5

    assert [trace.calls.count(function) for function in functions] == [1] * len(functions)
    assert sorted(functions, key=trace.calls.index) == functions, "in the order of the table"
    assert set(trace.calls[: trace.started]) <= set(functions), "until click calls the command"
    assert trace.stacks[RUN] == [MAIN, RUN], "click alone is between"
    assert trace.stacks[functions[-1]][0] == MAIN
    assert set(trace.stacks[functions[-1]][1:]) <= set(functions), "from the command to where the option acts"
