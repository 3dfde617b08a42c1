"""The structure of the package, where no tool checks it: sizes of modules."""

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
