"""What to do about a load-test file that cannot be imported, in sentences below its traceback."""

import difflib
import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from importlib.machinery import PathFinder
from pathlib import Path
from types import ModuleType

_DISTRIBUTIONS = {
    "Crypto": "pycryptodome",
    "MySQLdb": "mysqlclient",
    "OpenSSL": "pyopenssl",
    "PIL": "pillow",
    "bs4": "beautifulsoup4",
    "dateutil": "python-dateutil",
    "dotenv": "python-dotenv",
    "grpc": "grpcio",
    "jwt": "pyjwt",
    "kafka": "kafka-python",
    "psycopg2": "psycopg2-binary",
    "socketio": "python-socketio",
    "websocket": "websocket-client",
    "yaml": "pyyaml",
    "zmq": "pyzmq",
}
"""Packages on PyPI whose modules have another name."""


def import_hint(error: Exception, path: Path, out_of_reach: Sequence[str]) -> str:
    """Lines to be put below the traceback, each after a line break; empty when there is nothing to say.

    `path` is the load-test file, `out_of_reach` are modules beside it that are not found there since Python or obswarm
    needs others of these names (see obswarm.engine.import_path).
    """
    folder = path.resolve().parent
    wanted, module = _wanted(error)
    top = wanted.partition(".")[0]
    if isinstance(error, ImportError | AttributeError) and top in out_of_reach:
        return (
            f"\n{folder / top} has the name of a module of Python's standard library, or of a package that obswarm"
            " needs, which is imported instead. Give it another name."
        )
    if isinstance(error, ModuleNotFoundError) and wanted:
        return "".join(f"\n{line}" for line in _of_a_missing_module(error, wanted, folder))
    if isinstance(error, ImportError) and not wanted and "relative import" in str(error):
        return "\nA load-test file is no part of a package: write `import helpers` for a helpers.py beside it."
    file = _file_of(error, module)
    if file is not None and isinstance(error, ImportError | AttributeError):
        return "".join(f"\n{line}" for line in _of_a_missing_name(error, module, file, path.resolve()))
    if isinstance(error, SyntaxError | ValueError) and "null bytes" in str(error):
        return "\nThe file is not UTF-8, but UTF-16 or the like; save it as UTF-8."
    return ""


def _wanted(error: Exception) -> tuple[str, ModuleType | None]:
    """The module that an import or an attribute was wanted of: its name, and itself if it has been found."""
    if isinstance(error, ImportError):
        name = error.name or ""
        return name, sys.modules.get(name)
    if isinstance(error, AttributeError) and isinstance(error.obj, ModuleType):
        return error.obj.__name__, error.obj
    return "", None


def _file_of(error: Exception, module: ModuleType | None) -> Path | None:
    """Where the module is that lacks a name. One whose own import has failed is in no list any more."""
    found = error.path if isinstance(error, ImportError) else getattr(module, "__file__", None)
    return Path(found).resolve() if found else None


def _of_a_missing_module(error: ModuleNotFoundError, name: str, folder: Path) -> Iterator[str]:
    top, _, rest = name.partition(".")
    yield f"There is no module {name}, which {_asked_by(error)} imports."
    if top == "locust":
        yield "Load tests for Locust run with `from obswarm import …` in place of `from locust import …`."
        return
    parent = sys.modules.get(name.rpartition(".")[0]) if rest else None
    if parent is not None:
        places = list(getattr(parent, "__path__", ()))
        if not places:
            yield f"{parent.__name__} is {parent.__file__}, a module and no package."
        else:
            yield f"The package {parent.__name__} is in {', '.join(places)}.{_nearest(name, places, parent.__name__)}"
        return
    yield f"It was looked for in {folder}, and among the packages of {sys.executable}.{_nearest(top, [str(folder)])}"
    elsewhere = _elsewhere(top, folder)
    if elsewhere is not None:
        yield f"There is {elsewhere}: move it beside the load-test file, or set PYTHONPATH={elsewhere.parent}."
        return
    package = _DISTRIBUTIONS.get(top, top)
    yield f"If it is a package of PyPI, install it with: {sys.executable} -m pip install {package}"
    active = os.environ.get("VIRTUAL_ENV")
    if active and Path(active).resolve() != Path(sys.prefix).resolve():
        yield (
            f"The virtual environment {active} is active, but obswarm runs in {sys.prefix}: install obswarm in that"
            " one, too, or the package in this one."
        )


def _of_a_missing_name(
    error: ImportError | AttributeError, module: ModuleType | None, file: Path, path: Path
) -> Iterator[str]:
    if file == path:
        yield f"{path} has the name of the module that is wanted, and is imported in its place. Give it another name."
        return
    if "partially initialized module" in str(error):
        yield (
            f"{_chain(error)} import each other, and {file.name} has not got so far. Move what both need into a third"
            " file."
        )
        return
    wanted = str(error.name) if isinstance(error, ImportError) else file.stem
    if file.parent == path.parent and _is_installed(wanted, file):
        yield (
            f"{file} is imported in place of the installed package {wanted}. Give it another name if that is what is"
            " wanted."
        )
        return
    # Python 3.11 says the name in the text alone; for attributes it has hints of its own.
    name = getattr(error, "name_from", None) or (str(error).split("'")[1:2] or [""])[0]
    nearest = difflib.get_close_matches(name, dir(module), 1)
    if nearest and isinstance(error, ImportError):
        yield f"Did you mean {nearest[0]}?"


def _asked_by(error: Exception) -> str:
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith("<")]
    return f"line {frames[-1].lineno} of {frames[-1].filename}" if frames else "the load test"


def _chain(error: Exception) -> str:
    files = [frame.filename for frame in traceback.extract_tb(error.__traceback__)]
    names = [Path(file).name for file in files if not file.startswith("<") and "obswarm/engine" not in file]
    return " and ".join(dict.fromkeys(names[-2:]))


def _nearest(name: str, places: Sequence[str], package: str = "") -> str:
    """A module in one of the places that may have been meant."""
    found = {
        entry.name.partition(".")[0]: entry
        for place in places
        for entry in (Path(place).iterdir() if Path(place).is_dir() else ())
        if entry.suffix == ".py" or (entry / "__init__.py").is_file()
    }
    nearest = difflib.get_close_matches(name.rpartition(".")[2], found, 1)
    return f" Did you mean {package}{'.' * bool(package)}{nearest[0]} ({found[nearest[0]].name})?" if nearest else ""


def _elsewhere(top: str, folder: Path) -> Path | None:
    """A module of that name in a folder where one would think that it is looked for."""
    for place in (
        Path.cwd(),
        folder.parent,
        *sorted(entry for entry in folder.iterdir() if entry.is_dir() and entry.name[0] not in "._"),
    ):
        for found in (place / f"{top}.py", place / top):
            if found.is_file() or (found / "__init__.py").is_file():
                return found.resolve()
    return None


def _is_installed(name: str, file: Path) -> bool:
    places = [place for place in sys.path if place and Path(place).resolve() != file.parent]
    found = PathFinder.find_spec(name.partition(".")[0], places)
    return found is not None and found.origin is not None
