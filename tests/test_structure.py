"""The structure of the package, where no tool checks it: sizes of modules, tables of enums' members, attributes."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from obswarm.syntax import parse
from tests.support.programs import ROOT

_MOST_LINES = 400
_MOST_LINES_OF_A_COMMAND = 200


def too_long(folder: Path, most_lines: int) -> dict[str, int]:
    """Return the modules below the folder with more lines than that."""
    lines = {file: len(file.read_text(encoding="utf-8").splitlines()) for file in folder.rglob("*.py")}
    return {str(file.relative_to(folder)): number for file, number in lines.items() if number > most_lines}


def test_no_module_has_more_lines_than_a_reader_keeps_in_mind() -> None:
    assert too_long(ROOT / "obswarm", _MOST_LINES) == {}
    assert too_long(ROOT / "obswarm" / "cli", _MOST_LINES_OF_A_COMMAND) == {}


@pytest.mark.parametrize(("lines", "found"), [(3, {}), (4, {"inner/module.py": 4})])
def test_long_modules_are_found(tmp_path: Path, lines: int, found: dict[str, int]) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "module.py").write_text("x = 1\n" * lines)
    assert too_long(tmp_path, 3) == found


def enums(trees: dict[str, ast.Module]) -> dict[str, set[str]]:
    """Return the names of the members of each enum that is defined in the modules."""
    return {
        node.name: {
            target.id
            for each in node.body
            if isinstance(each, ast.Assign)
            for target in each.targets
            if isinstance(target, ast.Name)
        }
        for tree in trees.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and any("Enum" in ast.unparse(base) for base in node.bases)
    }


def incomplete_tables(trees: dict[str, ast.Module]) -> Iterator[str]:
    """Yield, for each dictionary whose keys are members of an enum, the members that it lacks."""
    members = enums(trees)
    for file, tree in trees.items():
        for node in ast.walk(tree):
            if not isinstance(node, ast.Dict):
                continue
            keys = [ast.unparse(key).split(".") for key in node.keys if isinstance(key, ast.Attribute)]
            names = {key[0] for key in keys}
            if len(keys) == len(node.keys) > 0 and len(names) == 1 and (name := names.pop()) in members:
                for missing in sorted(members[name] - {key[-1] for key in keys}):
                    yield f"{file}:{node.lineno} has no {name}.{missing}"


def trees_of(folder: Path) -> dict[str, ast.Module]:
    """Return the syntax tree of each module below the folder."""
    files = sorted(folder.rglob("*.py"))
    return {str(file.relative_to(folder)): parse(file.read_text(encoding="utf-8")) for file in files}


def test_every_table_of_an_enum_has_all_of_its_members() -> None:
    trees = trees_of(ROOT / "obswarm")
    known = enums(trees)
    assert known["GuardState"] == {"OK", "PENDING", "TRIPPED", "NO_DATA"}
    assert {"RunState", "WorkerStatus", "StopKind", "AnnotationKind", "GuardAction", "AlertStatus"} < known.keys()
    assert list(incomplete_tables(trees)) == []


@pytest.mark.parametrize(
    ("table", "found"),
    [
        ("{State.ON: 1, State.OFF: 2}", []),
        ("{State.ON: 1}", ["m.py:4 has no State.OFF"]),
        ("f({State.OFF: {State.ON: 1, State.OFF: 2}})", ["m.py:4 has no State.ON"]),
        ("{State.ON: 1, x: 2}", []),
        ("{Other.ON: 1}", []),
    ],
)
def test_incomplete_tables_are_found(table: str, found: list[str]) -> None:
    tree = parse(f"class State(StrEnum):\n    ON = 'on'\n    OFF = 'off'\nTABLE = {table}\n")
    assert list(incomplete_tables({"m.py": tree})) == found


def value_fields(trees: dict[str, ast.Module]) -> set[str]:
    """Return the names of the fields of the modules' mutable dataclasses."""
    return {
        each.target.id
        for tree in trees.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
        and any("dataclass" in (text := ast.unparse(each)) and "frozen" not in text for each in node.decorator_list)
        for each in node.body
        if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name) and not each.target.id.startswith("_")
    }


def set_from_outside(trees: dict[str, ast.Module]) -> Iterator[tuple[str, str]]:
    """Yield (module, attribute) of each assignment to an attribute of an object other than `self`.

    An object may be completed by the function that has made it, and the fields of mutable dataclasses are public.
    """
    fields = value_fields(trees)
    for file, tree in trees.items():
        for function in ast.walk(tree):
            if not isinstance(function, ast.FunctionDef):
                continue
            made = {
                name.id
                for node in ast.walk(function)
                if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call)
                for target in node.targets
                for name in ast.walk(target)
                if isinstance(name, ast.Name)
            }
            for node in ast.walk(function):
                if not isinstance(node, ast.Attribute) or not isinstance(node.ctx, ast.Store) or node.attr in fields:
                    continue
                owner = ast.unparse(node.value)
                if owner not in ("self", "cls") and owner not in made:
                    yield file, f"{owner}.{node.attr}"


SET_FROM_OUTSIDE = {
    "the state of a user, which its tasks keep; on the path of every task": {
        ("api/tasks.py", "user.rounds_seen"),
        ("api/tasks.py", "user.is_waiting"),
        ("engine/user_pool.py", "user.is_stopping"),
        ("engine/iteration_grants.py", "user.is_waiting"),
        ("engine/iterations.py", "user.is_waiting"),
        ("api/waits.py", "instance._iteration_started"),
        ("api/waits.py", "instance._missed"),
    },
    "names of Locust, which load tests set and read as well": {
        ("api/tasks.py", "owner.tasks"),
        ("cluster/worker/worker.py", "self._runner.last_heartbeat_timestamp"),
        ("engine/health.py", "environment.runner.cpu_warning_emitted"),
        ("engine/health.py", "runner.current_cpu_usage"),
        ("engine/health.py", "runner.current_memory_usage"),
        ("engine/run.py", "environment.runner.final_user_classes_count"),
        ("engine/run.py", "self._environment.reset_stats"),
        ("engine/schedule.py", "shape.runner"),
        ("engine/schedule.py", "shape.start_time"),
        ("locust/env.py", "self.shape_class.runner"),
        ("locust/library.py", "environment.runner"),
        ("locust/library_worker.py", "environment.runner"),
        ("locust/library_worker.py", "environment.stop_timeout"),
        ("locust/util/cache.py", "call.clear_cache"),
    },
    "events that load-test files import, and a program's environment is made later": {
        ("api/events.py", "self.request.recorder"),
    },
    "the record of a call, which is filled as the parts of the call come": {
        ("locust/catching.py", "record.context"),
        ("locust/catching.py", "record.duration_s"),
        ("locust/catching.py", "record.method"),
        ("locust/catching.py", "record.response_bytes"),
        ("locust/catching.py", "record.started_s"),
        ("locust/catching.py", "record.url"),
        ("locust/fast_clients.py", "response.__class__"),
        ("locust/contrib/postgres.py", "request.method"),
    },
    "objects of other libraries, which have no other way": {
        ("web/runs_application.py", "request.max_content_length"),
        ("api/options.py", "action.required"),
        ("cli/places.py", "error.args"),
        ("cli/file_option.py", "ctx.default_map"),
        ("cli/tracebacks.py", "sys.excepthook"),
        ("cli/tracebacks.py", "gevent.get_hub().exception_stream"),
        ("demo/site.py", "self._local.connection"),
        ("engine/import_alias.py", "module.__spec__"),
        ("engine/uncaught.py", "self._hub.handle_error"),
        ("engine/uncaught.py", "signal.signal"),
        ("gevent_patch.py", "value.__class__"),
        ("gevent_patch.py", "module.entry_points"),
        ("gevent_patch.py", "module.notify_and_call_entry_points"),
        ("metrics/native.py", "message.counter.value"),
        ("metrics/native.py", "message.gauge.value"),
        ("metrics/native.py", "message.sample_count"),
        ("metrics/native.py", "message.sample_sum"),
        ("metrics/native.py", "message.zero_threshold"),
        ("metrics/native.py", "message.schema"),
        ("metrics/native.py", "message.seconds"),
        ("metrics/native.py", "message.nanos"),
        ("on_demand.py", "builtins.__import__"),
        ("report/junit.py", "element.text"),
        ("targets/scrape.py", "session.max_redirects"),
    },
    "numbers of a histogram, where a call would cost as much as the addition": {
        ("stats/codec/sparse.py", "stats.duration.sum_ns"),
        ("stats/endpoint.py", "duration.sum_ns"),
    },
    "two classes of one module, of which the other is private or belongs to the first": {
        ("metrics/series.py", "self._times._absent_until_s"),
    },
    "the limit of a table of statistics, which is known when it is handed out": {
        ("stats/codec/summing.py", "whole.max_endpoints"),
    },
}
"""Why an attribute may be set from outside of its object. `http/` is left out: the parts of a call fill its record,
response and deadline as they come, for speed."""


def test_attributes_are_set_by_their_own_objects() -> None:
    allowed = {each for group in SET_FROM_OUTSIDE.values() for each in group}
    found = {each for each in set_from_outside(trees_of(ROOT / "obswarm")) if not each[0].startswith("http/")}
    assert found == allowed


@pytest.mark.parametrize(
    ("line", "is_found"),
    [
        ("self.other.x = 1", True),
        ("other.x += 1", True),
        ("a, other.x = 1, 2", True),
        ("self.x = 1", False),
        ("made = Other(); made.x = 1", False),
        ("other.of_value = 1", False),
        ("other.of_frozen = 1", True),
    ],
)
def test_attributes_that_are_set_from_outside_are_found(line: str, is_found: bool) -> None:
    source = f"""
@dataclass(slots=True)
class Value:
    of_value: int

@dataclass(frozen=True)
class Frozen:
    of_frozen: int

class Setter:
    def set(self, other):
        {line}
"""
    assert bool(list(set_from_outside({"module.py": parse(source)}))) is is_found
