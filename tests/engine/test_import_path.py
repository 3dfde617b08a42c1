"""Modules beside a load test are found, unless they have a name of Python's or of what obswarm is made of."""

import importlib
import sys
from pathlib import Path

import pytest

from obswarm.api import ObswarmError
from obswarm.engine import add_folder, load
from obswarm.engine.import_path import is_reserved


@pytest.fixture
def folder(tmp_path: Path, own_imports: None) -> Path:
    return tmp_path


@pytest.mark.parametrize("name", ["json", "random", "antigravity", "requests", "gevent", "urllib3", "obswarm"])
def test_names_that_others_rely_on_are_reserved(name: str) -> None:
    assert is_reserved(name)


@pytest.mark.parametrize("name", ["helpers", "common", "pytest", "hypothesis", "locustfile", "conf"])
def test_names_of_a_load_tests_own_and_of_other_packages_are_free(name: str) -> None:
    assert not is_reserved(name)


def test_a_module_with_a_name_of_the_standard_library_is_not_found_by_it(folder: Path) -> None:
    (folder / "antigravity.py").write_text("raise RuntimeError")
    (folder / "this.py").write_text("raise RuntimeError")
    (folder / "graphlib.py").write_text("raise RuntimeError")
    (folder / "my_accounts.py").write_text("NAMES = ['a']")
    sys.modules.pop("graphlib", None)
    assert add_folder(folder) == ("antigravity", "graphlib", "this")
    importlib.invalidate_caches()
    assert importlib.import_module("my_accounts").NAMES == ["a"]
    assert importlib.import_module("graphlib").TopologicalSorter


def test_a_package_beside_the_load_test_comes_before_an_installed_one_that_obswarm_does_not_need(folder: Path) -> None:
    (folder / "hypothesis_of_mine").mkdir()
    (folder / "hypothesis_of_mine" / "__init__.py").write_text("MINE = True")
    assert add_folder(folder) == ()
    importlib.invalidate_caches()
    assert importlib.import_module("hypothesis_of_mine").MINE


def test_a_load_test_may_have_the_name_of_a_module_without_taking_its_place(folder: Path) -> None:
    path = folder / "graphlib.py"
    path.write_text("from obswarm import User, task\nclass A(User):\n    @task\n    def a(self): pass\n")
    sys.modules.pop("graphlib", None)
    assert [cls.__name__ for cls in load([path]).user_classes] == ["A"]
    assert importlib.import_module("graphlib").TopologicalSorter


def test_a_module_with_a_reserved_name_is_refused_with_advice_to_rename_it(folder: Path) -> None:
    (folder / "random.py").write_text("def my_choice(): pass\n")
    path = folder / "loadtest.py"
    path.write_text("from random import my_choice\n")
    with pytest.raises(ObswarmError, match="has the name of a module of Python's standard library.*another name"):
        load([path])
    path.write_text("import random\nrandom.my_choice()\n")
    with pytest.raises(ObswarmError, match="has the name of a module of Python's standard library.*another name"):
        load([path])
