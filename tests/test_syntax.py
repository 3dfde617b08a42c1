"""Source text is parsed whatever garbage collection does meanwhile."""

import ast
import gc
import traceback

import pytest

from obswarm.syntax import parse

SOURCE = "\n".join(f"x{number} = f({number}) + [1, 2, {number}]" for number in range(3000))


class FormatsATraceback:
    """In a cycle, so that only the garbage collector finalizes it."""

    def __init__(self) -> None:
        self.cycle = self

    def __del__(self) -> None:
        try:
            assert "text" + 1 / 1
        except TypeError as error:
            traceback.format_exception(error)


def test_a_finalizer_that_formats_a_traceback_does_no_harm() -> None:
    for _ in range(50):
        FormatsATraceback()
    tree = parse(SOURCE)
    assert len(tree.body) == 3000
    assert ast.unparse(tree.body[-1]) == "x2999 = f(2999) + [1, 2, 2999]"
    assert gc.isenabled()


def test_what_is_not_python_is_a_syntax_error_and_garbage_is_collected_again() -> None:
    with pytest.raises(SyntaxError, match="was never closed"):
        parse("f(", "loadtest.py")
    assert gc.isenabled()
    gc.disable()
    try:
        parse("f()")
        assert not gc.isenabled()
    finally:
        gc.enable()
