"""Delay the import of charset_normalizer, which requests imports with itself, to its first use.

It takes 3 MB of each process, and is only needed for the text of a body whose header names no character set.
"""

import sys
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

_NAME = "charset_normalizer"


class _Delayed(ModuleType):
    """Stands for the package until one of its names is used, and has all of them from then on."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name != "__all__":
            # What the import system and inspect look for in every module.
            raise AttributeError(f"module {_NAME!r} has no attribute {name!r}")
        if sys.modules.get(_NAME) is self:
            del sys.modules[_NAME]
        try:
            module = import_module(_NAME)
        except BaseException:
            sys.modules[_NAME] = self
            raise
        vars(self).update(vars(module))
        return getattr(module, name)


def import_when_used() -> None:
    """Put a stand-in in place of charset_normalizer, unless it is imported already or not installed."""
    if _NAME in sys.modules or (spec := find_spec(_NAME)) is None:
        return
    module = _Delayed(_NAME)
    module.__spec__ = spec
    module.__file__ = spec.origin
    module.__path__ = list(spec.submodule_search_locations or ())
    sys.modules[_NAME] = module
    # requests checks it when it is imported.
    vars(module)["__version__"] = import_module(f"{_NAME}.version").__version__
