"""What the documentation names can be imported from `obswarm`."""

import ast
import builtins
import importlib
import pkgutil
import re
from pathlib import Path

import pytest
import requests

import obswarm
from obswarm.api import ObswarmError
from obswarm.http import HttpError
from obswarm.syntax import parse

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
NAME = re.compile(r"(?<![\w.])[A-Z][a-z]+[A-Za-z]+(?!\w)")


def exceptions_of_ours() -> set[str]:
    """All exception classes that the package defines, by name; not those that are imported from `locust`."""
    bases: dict[str, set[str]] = {}
    for path in set((ROOT / "obswarm").rglob("*.py")) - set((ROOT / "obswarm" / "locust").rglob("*.py")):
        for node in ast.walk(parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                named = {base.id for base in node.bases if isinstance(base, ast.Name)}
                bases.setdefault(node.name, set()).update(named)
    known = {
        name for name, value in vars(builtins).items() if isinstance(value, type) and issubclass(value, BaseException)
    }
    while found := {name for name, parents in bases.items() if parents & known} - known:
        known |= found
    return known & set(bases)


def named_exceptions() -> list[tuple[str, str]]:
    """(page, name) of every exception that stands in code on a page, and is no one else's."""
    ours = exceptions_of_ours()
    others = set(dir(builtins)) | set(dir(requests.exceptions))
    found = set()
    for page in PAGES:
        for code in re.findall(r"```.*?```|`[^`\n]+`", page.read_text(), re.DOTALL):
            for name in NAME.findall(code):
                if name in ours or (re.fullmatch(r"\w{2,}(Error|Exception|Timeout)", name) and name not in others):
                    found.add((page.name, name))
    return sorted(found)


def test_the_pages_name_the_exceptions_that_a_load_test_meets_and_all_can_be_imported() -> None:
    found = named_exceptions()
    missing = [(page, name) for page, name in found if name not in obswarm.__all__]
    assert missing == []
    assert [(page, name) for page, name in found if not issubclass(getattr(obswarm, name), Exception)] == []
    named = {name for _, name in found}
    expected = {"InvalidRequest", "StopUser", "InterruptTaskSet", "RescheduleTask", "ObswarmError", "ReadTimeout"}
    assert named >= expected
    http = importlib.import_module("obswarm.http")
    of_requests = {
        name for name, value in vars(http).items() if isinstance(value, type) and issubclass(value, HttpError)
    }
    assert of_requests <= named, "docs/http-client.md lists all"


def imported_from_obswarm() -> set[tuple[str, str]]:
    """(page, name) of everything that code on a page imports from the package itself."""
    found = set()
    for page in PAGES:
        for code in re.findall(r"^```python\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE):
            for node in ast.walk(parse(code)):
                if isinstance(node, ast.ImportFrom) and node.module == "obswarm" and not node.level:
                    found |= {(page.name, alias.name) for alias in node.names}
    return found


def test_what_the_pages_import_from_the_package_is_part_of_a_star_import() -> None:
    found = imported_from_obswarm()
    assert {"metrics", "feed", "Scenario", "ArrivalRate"} <= {name for _, name in found}
    # A module with functions of its own, for programs that start gevent themselves.
    assert [
        (page, name) for page, name in sorted(found) if name not in obswarm.__all__ and name != "gevent_patch"
    ] == []
    namespace: dict[str, object] = {}
    exec("from obswarm import *", namespace)
    assert namespace["metrics"].counter is not None  # type: ignore[attr-defined]


PACKAGES = [each.name for each in pkgutil.walk_packages(obswarm.__path__, "obswarm.") if each.ispkg]


@pytest.mark.parametrize("package", PACKAGES)
def test_every_name_that_a_package_lists_is_there(package: str) -> None:
    module = importlib.import_module(package)
    assert [name for name in getattr(module, "__all__", ()) if not hasattr(module, name)] == []


def test_every_public_name_is_there_and_of_one_object() -> None:
    for name in obswarm.__all__:
        assert getattr(obswarm, name) is not None
        assert name in dir(obswarm)
    assert issubclass(obswarm.InvalidRequest, ValueError)
    assert issubclass(obswarm.MissingHost, ObswarmError)
    with pytest.raises(ImportError):
        from obswarm import NothingOfTheKind  # type: ignore[attr-defined]  # noqa: F401
