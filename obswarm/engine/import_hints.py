"""Hints for a load-test file that cannot be imported, shown below its traceback."""

import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from importlib.machinery import PathFinder
from pathlib import Path
from types import ModuleType

from obswarm.engine.import_alias import is_in_use
from obswarm.nearest import nearest_names

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
    """Return the lines to add to the traceback, each after a line break; empty without a hint.

    `path` is the load-test file, `out_of_reach` are modules next to it with reserved names (see
    obswarm.engine.import_path).
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
        return "\nA load-test file is not part of a package: write `import helpers` for a helpers.py next to it."
    file = _file_of(error, module)
    if file is not None and isinstance(error, ImportError | AttributeError):
        return "".join(f"\n{line}" for line in _of_a_missing_name(error, module, file, path.resolve()))
    if isinstance(error, SyntaxError | ValueError) and "null bytes" in str(error):
        return "\nThe file is not UTF-8, but probably UTF-16; save it as UTF-8."
    return ""


def _wanted(error: Exception) -> tuple[str, ModuleType | None]:
    """Return the name of the module that was to be imported or lacks an attribute, and the module if it was found."""
    if isinstance(error, ImportError):
        name = error.name or ""
        return name, sys.modules.get(name)
    if isinstance(error, AttributeError) and isinstance(error.obj, ModuleType):
        return error.obj.__name__, error.obj
    return "", None


def _file_of(error: Exception, module: ModuleType | None) -> Path | None:
    """Return the file of a module that lacks a name. A module whose own import failed is not in sys.modules."""
    found = error.path if isinstance(error, ImportError) else getattr(module, "__file__", None)
    return Path(found).resolve() if found else None


def _of_a_missing_module(error: ModuleNotFoundError, name: str, folder: Path) -> Iterator[str]:
    top, _, rest = name.partition(".")
    yield f"There is no module {name}, which {_importer_of(error)} imports."
    if top == "locust":
        if is_in_use():
            yield (
                f"{name} is not among the modules of Locust that obswarm has; docs/coming-from-locust.md lists them."
                " With --no-locust-compat the installed package locust is imported."
            )
        else:
            yield "Without --no-locust-compat, obswarm has the modules of Locust itself."
        return
    parent = sys.modules.get(name.rpartition(".")[0]) if rest else None
    if parent is not None:
        places = list(getattr(parent, "__path__", ()))
        if not places:
            yield f"{parent.__name__} is {parent.__file__}, a module and not a package."
        else:
            yield f"The package {parent.__name__} is in {', '.join(places)}.{_nearest(name, places, parent.__name__)}"
        return
    yield f"Searched: {folder}, and the packages of {sys.executable}.{_nearest(top, [str(folder)])}"
    elsewhere = _elsewhere(top, folder)
    if elsewhere is not None:
        yield f"There is {elsewhere}: move it next to the load-test file, or set PYTHONPATH={elsewhere.parent}."
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
        yield f"{path} has the name of the requested module, and is imported instead of it. Give it another name."
        return
    if "partially initialized module" in str(error):
        yield (
            f"{_chain(error)} import each other, and {file.name} has not defined the name yet. Move common code to a"
            " third file."
        )
        return
    wanted = str(error.name) if isinstance(error, ImportError) else file.stem
    if file.parent == path.parent and _is_installed(wanted, file):
        yield (
            f"{file} is imported instead of the installed package {wanted}. Give it another name if you need the"
            " package."
        )
        return
    # Python 3.11 has the name only in the text; for attributes it has hints of its own.
    name = getattr(error, "name_from", None) or (str(error).split("'")[1:2] or [""])[0]
    nearest = nearest_names(name, dir(module), 1)
    if nearest and isinstance(error, ImportError):
        yield f"Did you mean {nearest[0]}?"


def _importer_of(error: Exception) -> str:
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith("<")]
    return f"line {frames[-1].lineno} of {frames[-1].filename}" if frames else "the load test"


def _chain(error: Exception) -> str:
    files = [frame.filename for frame in traceback.extract_tb(error.__traceback__)]
    names = [Path(file).name for file in files if not file.startswith("<") and "obswarm/engine" not in file]
    return " and ".join(dict.fromkeys(names[-2:]))


def _nearest(name: str, places: Sequence[str], package: str = "") -> str:
    """Return a hint to a module with a similar name in one of the places."""
    found = {
        entry.name.partition(".")[0]: entry
        for place in places
        for entry in (Path(place).iterdir() if Path(place).is_dir() else ())
        if entry.suffix == ".py" or (entry / "__init__.py").is_file()
    }
    nearest = nearest_names(name.rpartition(".")[2], found, 1)
    return f" Did you mean {package}{'.' * bool(package)}{nearest[0]} ({found[nearest[0]].name})?" if nearest else ""


def _elsewhere(top: str, folder: Path) -> Path | None:
    """Return a module of that name in the current, the parent or a sub-folder, None if there is none."""
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
