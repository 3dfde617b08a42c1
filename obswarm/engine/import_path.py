"""Import path of a load test: its own folder first, except for modules of the standard library and of obswarm's
dependencies.

Python searches `sys.path` for every import of a process. So a `random.py` or a `requests.py` next to the load test
would also be imported by modules of the standard library and of obswarm.
"""

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.machinery import BuiltinImporter, FrozenImporter, ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

_PACKAGE = "obswarm"
_DISTRIBUTION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_INSTALLED_IN = ("site-packages", "dist-packages")


def add_folder(folder: Path) -> tuple[str, ...]:
    """Give modules of a folder precedence over installed ones.

    Returns the names of its modules that are not importable, as the standard library or a dependency of obswarm has
    these names.
    """
    place = str(folder.resolve())
    if place not in sys.path:
        sys.path.insert(0, place)
    return _finder().leave_out(place)


def is_reserved(name: str) -> bool:
    """Whether a name is reserved for a top-level module of the standard library, or of a dependency of obswarm."""
    return name == _PACKAGE or name in sys.stdlib_module_names or (_is_installed(name) and _is_needed(name))


class _ReservedNames:
    """A finder that skips the folders of load tests for modules with reserved names."""

    def __init__(self) -> None:
        self._folders: set[str] = set()
        self._reserved: set[str] = set()

    def leave_out(self, folder: str) -> tuple[str, ...]:
        names = list(_modules_in(Path(folder)))
        self._folders.add(folder)
        # First those of the standard library: what tells the others imports some of it.
        self._reserved.update(name for name in names if name in sys.stdlib_module_names)
        found = tuple(sorted(name for name in names if is_reserved(name)))
        self._reserved.update(found)
        return found

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Implement the finder protocol. None passes a name to the next finder.

        Raises ModuleNotFoundError for modules of the standard library that this platform does not have.
        """
        if path is not None or name not in self._reserved:
            return None
        # An empty entry is the current folder.
        places = [place for place in sys.path if str(Path(place).resolve()) not in self._folders]
        spec = PathFinder.find_spec(name, places, target)
        if spec is None and not any(finder.find_spec(name) for finder in (BuiltinImporter, FrozenImporter)):
            # The next finder would find it in a folder of a load test.
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return spec


def _finder() -> _ReservedNames:
    for finder in sys.meta_path:
        if isinstance(finder, _ReservedNames):
            return finder
    made = _ReservedNames()
    sys.meta_path.insert(0, made)
    return made


def _modules_in(folder: Path) -> Iterator[str]:
    """Return the names of modules and packages in a folder."""
    try:
        entries = list(folder.iterdir())
    except OSError:
        return
    for entry in entries:
        name = entry.name.partition(".")[0]
        if name.isidentifier() and (entry.suffix in (".py", ".pyc", ".so") or (entry / "__init__.py").is_file()):
            yield name


def _is_installed(name: str) -> bool:
    """Whether a package of that name is installed; fast, since it is called for every module next to a load test."""
    places = [Path(place) for place in sys.path if Path(place).name in _INSTALLED_IN]
    return any((place / name).is_dir() or (place / f"{name}.py").is_file() for place in places)


def _is_needed(name: str) -> bool:
    owners = _owners().get(name, ())
    return not _needed_packages().isdisjoint(map(_canonical, owners))


@cache
def _owners() -> Mapping[str, list[str]]:
    # Hardly any load test has a module with the name of an installed one.
    from importlib import metadata

    return metadata.packages_distributions()


@cache
def _needed_packages() -> frozenset[str]:
    """Return the names of the distributions that obswarm requires, directly or indirectly."""
    from importlib import metadata

    found: set[str] = set()
    waiting = [_PACKAGE]
    while waiting:
        name = _canonical(waiting.pop())
        if name in found:
            continue
        found.add(name)
        try:
            requirements = metadata.requires(name) or ()
        except metadata.PackageNotFoundError:
            continue
        for requirement in requirements:
            word = _DISTRIBUTION.match(requirement)
            if word is not None and "extra ==" not in requirement:
                waiting.append(word[0])
    return frozenset(found)


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
