"""Exports of packages that are imported at their first use."""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

LAZY = """
from obswarm.on_demand import imported_on_demand

with imported_on_demand(__name__):
    from {package}.first import one, two
    from {package}.second import three as third

EAGER = 1
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_imports: None) -> Iterator[str]:
    """The name of a package that exports `one`, `two` and `third`."""
    name = f"lazy_{tmp_path.name.replace('-', '_')}"
    folder = tmp_path / name
    folder.mkdir()
    (folder / "__init__.py").write_text(LAZY.format(package=name))
    (folder / "first.py").write_text("one, two = [], 'two'")
    (folder / "second.py").write_text("three = 3")
    monkeypatch.syspath_prepend(str(tmp_path))
    return name


def imported(package: str) -> set[str]:
    return {name.rpartition(".")[2] for name in sys.modules if name.startswith(f"{package}.")}


def test_a_module_is_imported_when_one_of_its_names_is_used(package: str) -> None:
    module = importlib.import_module(package)
    assert module.EAGER == 1
    assert imported(package) == set()
    assert module.two == "two"
    assert imported(package) == {"first"}
    assert module.third == 3
    assert imported(package) == {"first", "second"}


def test_from_import_gives_the_same_object_each_time(package: str) -> None:
    names: dict[str, object] = {}
    exec(f"from {package} import one\nfrom {package}.first import one as same", names)
    assert names["one"] is names["same"] is importlib.import_module(package).one


def test_exports_are_listed_before_they_are_imported(package: str) -> None:
    assert {"one", "two", "third", "EAGER"} <= set(dir(importlib.import_module(package)))
    assert imported(package) == set()


def test_a_name_that_is_not_exported_is_an_error(package: str) -> None:
    with pytest.raises(AttributeError, match="has no attribute 'four'"):
        importlib.import_module(package).four  # noqa: B018
    with pytest.raises(ImportError, match="cannot import name 'four'"):
        exec(f"from {package} import four", {})


def test_an_export_that_its_module_does_not_have_is_an_error_at_its_use(package: str, tmp_path: Path) -> None:
    (tmp_path / package / "second.py").write_text("")
    module = importlib.import_module(package)
    with pytest.raises(AttributeError, match="three"):
        module.third  # noqa: B018


def test_a_name_that_is_also_a_module_is_refused(package: str, tmp_path: Path) -> None:
    (tmp_path / package / "first.py").rename(tmp_path / package / "one.py")
    text = LAZY.format(package=package).replace(".first", ".one")
    (tmp_path / package / "__init__.py").write_text(text)
    with pytest.raises(ImportError, match=f"{package}: one is also a module"):
        importlib.import_module(package)


def test_imports_are_as_before_after_the_block_and_after_an_error_in_it(package: str, tmp_path: Path) -> None:
    before = __import__
    importlib.import_module(package)
    assert __import__ is before
    broken = tmp_path / package / "broken.py"
    broken.write_text(LAZY.format(package=package).replace("EAGER", "    1 / 0\nEAGER"))
    with pytest.raises(ZeroDivisionError):
        importlib.import_module(f"{package}.broken")
    assert __import__ is before
