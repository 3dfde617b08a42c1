"""The structure of the package, where no tool checks it: sizes of modules, tables of enums' members, the way of an
option."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

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
    return {str(file.relative_to(folder)): ast.parse(file.read_text(encoding="utf-8")) for file in files}


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
    tree = ast.parse(f"class State(StrEnum):\n    ON = 'on'\n    OFF = 'off'\nTABLE = {table}\n")
    assert list(incomplete_tables({"m.py": tree})) == found


def test_the_documented_way_of_an_option_is_short_and_is_there() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8").partition("## The way of an option")[2]
    rows = re.findall(r"^\| (`.*`) \| `(\S+\.py)` \|(.*)\|$", text, re.MULTILINE)
    columns = [cells.split("|") for _, _, cells in rows]
    for option in range(3):
        passed = [row for row, cells in zip(rows, columns, strict=True) if cells[option].strip()]
        functions = [name for names, _, _ in passed for name in re.findall(r"`(\S+)`", names)]
        assert 5 <= len(functions) == len(set(functions)) <= 8
        assert len({file for _, file, _ in passed}) == len(passed) <= 5
        for names, file, _ in passed:
            tree = ast.parse((ROOT / "obswarm" / file).read_text(encoding="utf-8"))
            defined = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)}
            assert set(re.findall(r"(\w+)`", names)) <= defined, file
