"""A load test that cannot be imported says what is missing, who wanted it, where it was looked for, and what to do."""

import importlib
import sys
from pathlib import Path

import pytest

from obswarm.api import ObswarmError
from obswarm.engine import load


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_imports: None) -> Path:
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)
    found = tmp_path / "tests"
    found.mkdir()
    monkeypatch.chdir(tmp_path)
    return found


def refusal(folder: Path, text: str, name: str = "loadtest.py", **others: str) -> str:
    for module, content in others.items():
        path = folder.joinpath(*module.split("__")).with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    (folder / name).write_text(text)
    importlib.invalidate_caches()
    with pytest.raises(ObswarmError) as error:
        load([folder / name])
    return str(error.value)


def test_a_package_that_is_not_installed_is_named_with_who_wants_it_and_how_to_install_it(folder: Path) -> None:
    text = refusal(folder, "import first\n", first="# comment\nimport not_there_at_all\n")
    assert f"There is no module not_there_at_all, which line 2 of {folder / 'first.py'} imports.\n" in text
    assert f"Searched: {folder}, and the packages of {sys.executable}.\n" in text
    assert text.endswith(f"install it with: {sys.executable} -m pip install not_there_at_all")


def test_a_module_with_another_name_than_its_package(folder: Path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "dotenv", None)
    assert refusal(folder, "import dotenv\n").endswith("-m pip install python-dotenv")


def test_an_active_virtual_environment_that_is_another_one_is_named(folder: Path, monkeypatch) -> None:
    monkeypatch.setenv("VIRTUAL_ENV", str(folder / "venv"))
    expected = f"The virtual environment {folder / 'venv'} is active, but obswarm runs in {sys.prefix}"
    assert expected in refusal(folder, "import not_there_at_all\n")
    monkeypatch.setenv("VIRTUAL_ENV", sys.prefix)
    assert "virtual environment" not in refusal(folder, "import not_there_at_all\n")


def test_a_module_beside_it_with_nearly_that_name(folder: Path) -> None:
    assert "Did you mean my_helpers (my_helpers.py)?" in refusal(folder, "import my_helper\n", my_helpers="")


@pytest.mark.parametrize("place", ["lib/shared_things.py", "../shared_things.py", "../shared_things/__init__.py"])
def test_a_module_in_a_folder_that_is_not_looked_in(folder: Path, place: str) -> None:
    path = (folder / place).resolve()
    path.parent.mkdir(exist_ok=True)
    path.write_text("")
    found = path.parent if path.name == "__init__.py" else path
    text = refusal(folder, "import shared_things\n")
    expected = f"There is {found}: move it next to the load-test file, or set PYTHONPATH={found.parent}."
    assert text.endswith(expected)


def test_a_module_of_locust_that_is_not_there(folder: Path) -> None:
    text = refusal(folder, "import locust.not_there\n")
    assert "There is no module locust.not_there, which line 1 of" in text
    assert "locust.not_there is not among the modules of Locust that obswarm has; docs/coming-from-locust.md" in text


def test_a_module_that_its_package_does_not_have(folder: Path) -> None:
    text = refusal(folder, "import shop_pages.carts\n", shop_pages____init__="", shop_pages__cart="")
    assert f"The package shop_pages is in {folder / 'shop_pages'}. Did you mean shop_pages.cart (cart.py)?" in text
    text = refusal(folder, "import my_things.more\n", my_things="")
    assert text.endswith(f"my_things is {folder / 'my_things.py'}, a module and not a package.")


def test_a_name_that_a_module_does_not_have(folder: Path) -> None:
    assert refusal(folder, "from obswarm import HtpUser\n").endswith("Did you mean HttpUser?")


@pytest.mark.parametrize("text", ["from my_faker import Faker\n", "import my_faker\nmy_faker.Faker()\n"])
def test_a_load_test_with_the_name_of_what_it_imports(folder: Path, text: str) -> None:
    expected = f"{folder / 'my_faker.py'} has the name of the requested module, and is imported instead of it."
    assert expected in refusal(folder, text, "my_faker.py")


def test_a_module_beside_it_that_hides_an_installed_package(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Tests of TLS in this process may have imported it.
    monkeypatch.delitem(sys.modules, "trustme", raising=False)
    text = refusal(folder, "from trustme import CA\n", trustme="mine = True\n")
    assert f"{folder / 'trustme.py'} is imported instead of the installed package trustme." in text


def test_modules_that_import_each_other(folder: Path) -> None:
    text = refusal(folder, "import one_side\n", one_side="import other_side\n", other_side="from one_side import x\n")
    assert text.endswith(
        "one_side.py and other_side.py import each other, and one_side.py has not defined the name yet. Move common code to a"
        " third file."
    )


def test_a_relative_import(folder: Path) -> None:
    assert refusal(folder, "from .helpers import go\n", helpers="").endswith(
        "A load-test file is not part of a package: write `import helpers` for a helpers.py next to it."
    )


def test_a_syntax_error_is_that_of_the_file_that_has_it(folder: Path) -> None:
    assert refusal(folder, "x = (1\n").startswith(f"{folder / 'loadtest.py'} has a syntax error:\n")
    text = refusal(folder, "import broken_helper\n", broken_helper="def broken(:\n")
    assert text.startswith(f"{folder / 'loadtest.py'} cannot be imported:\n")
    assert f'File "{folder / "broken_helper.py"}", line 1' in text


def test_a_file_that_is_not_utf_8(folder: Path) -> None:
    (folder / "loadtest.py").write_text("x = 1\n", encoding="utf-16-le")
    with pytest.raises(ObswarmError, match="The file is not UTF-8, but probably UTF-16; save it as UTF-8"):
        load([folder / "loadtest.py"])
