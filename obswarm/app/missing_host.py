"""HTTP users that are told nowhere which host to load: known before the run, where the load test cannot know better."""

import ast
from collections.abc import Iterator, Sequence
from pathlib import Path

from obswarm.api import User
from obswarm.cluster import gather
from obswarm.http import FastHttpUser, HttpUser, MissingHost

_SET_LATER = {"host", "base_url"}
"""Attributes by which a load test says it while it runs: of a user, its client, or the environment."""

_URL = "://"


def check_that_hosts_are_known(
    classes: Sequence[type[User]], host: str | None, files: Sequence[Path], opened: Sequence[str]
) -> None:
    """Raises MissingHost when HTTP users have no host, and neither load-test `files`, the modules beside them nor what
    they have `opened` can give them one or hold absolute URLs."""
    without = [cls.__name__ for cls in classes if issubclass(cls, (HttpUser, FastHttpUser)) and not cls.host]
    if host or not without or any(map(_may_say_it, gather(files, opened)[1])):
        return
    raise MissingHost(
        f"No host for {' and '.join(without)}: give one with -H/--host, like -H https://www.example.com, set `host` on"
        " the user class, or put it into obswarm.toml."
    )


def _may_say_it(file: Path) -> bool:
    """Whether a file sets a host while the test runs, or has an absolute URL in it."""
    try:
        content = file.read_bytes()
        if file.suffix != ".py":
            return _URL.encode() in content
        return any(_says_it(node) for node in _nodes(ast.parse(content)))
    except (OSError, SyntaxError, ValueError):
        return True


def _says_it(node: ast.AST) -> bool:
    if isinstance(node, ast.Attribute):
        return node.attr in _SET_LATER and isinstance(node.ctx, ast.Store)
    return (
        isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and (_URL in node.value or node.value in _SET_LATER)
    )


def _nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes but docstrings, in which any URL may stand."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue
        yield node
        yield from _nodes(node)
