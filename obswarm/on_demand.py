"""Exports of packages that are imported when they are first used.

An `__init__.py` that exports the names of forty modules would import them all, with protobuf, ZeroMQ, Jinja2 and
requests, in each process that needs one of them: half a second of CPU time in each worker process.
"""

import builtins
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class _Export:
    """Stands for a name of a module that is not imported yet."""

    def __init__(self, module: str, name: str) -> None:
        self.module = module
        self.name = name


class _Module:
    """Stands for a module in `from module import name`."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> _Export:
        return _Export(self._name, name)


@contextmanager
def imported_on_demand(package: str) -> Iterator[None]:
    """Delay the imports in an `__init__.py`: `with imported_on_demand(__name__): from package.module import name`.

    A module is imported when one of its names is first used, for example by `from package import name`. Type checkers
    and import-linter read the statements as usual. The block may contain only `from … import …` with absolute names.

    Raises ImportError if a name is that of a module of the package, too: importing the module would replace the name,
    so it has to be imported outside of the block.
    """
    namespace = vars(sys.modules[package])
    import_now = builtins.__import__

    def note(name: str, globals: Any = None, locals: Any = None, fromlist: Any = (), level: int = 0) -> Any:  # noqa: A002
        if globals is not namespace:
            # Of another thread.
            return import_now(name, globals, locals, fromlist, level)
        return _Module(name)

    builtins.__import__ = note
    try:
        yield
    finally:
        builtins.__import__ = import_now
    exports = {name: value for name, value in namespace.items() if isinstance(value, _Export)}
    for name, export in exports.items():
        if export.module == f"{package}.{name}":
            raise ImportError(f"{package}: {name} is also a module; import it outside of imported_on_demand().")
        del namespace[name]

    def get(name: str) -> Any:
        if name not in exports:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        export = exports[name]
        # Not import_module(): `python -X importtime` does not show what that imports.
        module = __import__(export.module, fromlist=(export.name,))
        value = namespace[name] = getattr(module, export.name)
        return value

    namespace["__getattr__"] = get
    namespace["__dir__"] = lambda: sorted({*namespace, *exports})
