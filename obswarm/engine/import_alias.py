"""A package that is imported under another name: `locust` is `obswarm.locust` while load-test files are imported."""

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import Any, cast

LOCUST = "locust"
OURS = "obswarm.locust"


# Without the base classes of importlib.abc, which imports importlib.resources.
class _AliasFinder:
    """Finds `name`, and the modules in it, in the package `target`: the same module objects under both names."""

    def __init__(self, name: str, target: str) -> None:
        self._name = name
        self._target = target

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """As the import system asks. None leaves a name to the finders behind this one."""
        top, _, rest = fullname.partition(".")
        if top != self._name:
            return None
        real = f"{self._target}.{rest}" if rest else self._target
        found = find_spec(real)
        if found is None:
            # Nor do the finders behind this one find it: they look where the package is, which is here.
            return None
        loader = cast(Any, _AliasLoader(real))
        return ModuleSpec(fullname, loader, is_package=found.submodule_search_locations is not None)


class _AliasLoader:
    def __init__(self, real: str) -> None:
        self._real = real
        self._spec: ModuleSpec | None = None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Return the module under its own name."""
        module = import_module(self._real)
        self._spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Give back the module's own spec, in place of which the import system has put that of the alias."""
        module.__spec__ = self._spec


def use_locust_names() -> None:
    """Have `import locust`, and its submodules, import obswarm.locust, whether or not the package locust is installed.

    Does nothing when it is so already. A module of that name that was imported before is replaced for later imports.
    """
    if is_in_use():
        return
    _forget()
    sys.meta_path.insert(0, _AliasFinder(LOCUST, OURS))


def stop_using_locust_names() -> None:
    """Undo `use_locust_names`: `import locust` imports what is installed."""
    if not is_in_use():
        return
    sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, _AliasFinder)]
    _forget()


def is_in_use() -> bool:
    """Whether `import locust` imports obswarm.locust."""
    return any(isinstance(finder, _AliasFinder) for finder in sys.meta_path)


def is_imported() -> bool:
    """Whether something has imported obswarm.locust by the name of `locust`."""
    module = sys.modules.get(LOCUST)
    return module is not None and module is sys.modules.get(OURS)


def _forget() -> None:
    for name in [name for name in sys.modules if name == LOCUST or name.startswith(f"{LOCUST}.")]:
        del sys.modules[name]
