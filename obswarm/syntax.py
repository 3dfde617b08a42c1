"""Parse Python source text."""

import ast
import gc


def parse(source: str | bytes, filename: str = "<unknown>") -> ast.Module:
    """Return the syntax tree of a source text, as `ast.parse` does, whose exceptions it raises.

    Garbage collection is paused meanwhile: it may run a finalizer that formats a traceback, for which Python 3.11 and
    later parse lines of source. Such a nested call makes the outer one fail with a SystemError, "AST constructor
    recursion depth mismatch".
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        return ast.parse(source, filename)
    finally:
        if was_enabled:
            gc.enable()
