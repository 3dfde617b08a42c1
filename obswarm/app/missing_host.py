"""Check before the run that HTTP users have a host, unless the load test may set one at run time."""

import ast
from collections.abc import Iterator, Sequence
from pathlib import Path

from obswarm.api import User
from obswarm.cluster import gather
from obswarm.http import FastHttpUser, HttpUser, MissingHost
from obswarm.syntax import parse

_SET_LATER = {"host", "base_url"}
"""Attributes of a user, its client, or the environment by which a load test can set the host at run time."""

_URL = "://"


def check_that_hosts_are_known(
    classes: Sequence[type[User]], host: str | None, files: Sequence[Path], opened: Sequence[str]
) -> None:
    """Raise MissingHost if HTTP users have no host, and neither the load-test `files`, the modules next to them, nor
    the files that they `opened` can set one or contain absolute URLs."""
    without = [cls.__name__ for cls in classes if issubclass(cls, (HttpUser, FastHttpUser)) and not cls.host]
    if host or not without or any(map(_may_set_host, gather(files, opened)[1])):
        return
    raise MissingHost(
        f"No host for {' and '.join(without)}: use -H/--host, e.g. -H https://www.example.com, or set `host` of the"
        " user class or in obswarm.toml."
    )


def _may_set_host(file: Path) -> bool:
    """Whether a file may set a host at run time, or contains an absolute URL."""
    try:
        content = file.read_bytes()
        if file.suffix != ".py":
            return _URL.encode() in content
        return any(_sets_host(node) for node in _nodes(parse(content)))
    except (OSError, SyntaxError, ValueError):
        return True


def _sets_host(node: ast.AST) -> bool:
    if isinstance(node, ast.Attribute):
        return node.attr in _SET_LATER and isinstance(node.ctx, ast.Store)
    return (
        isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and (_URL in node.value or node.value in _SET_LATER)
    )


def _nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """Return all nodes except docstrings, which may contain any URL."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue
        yield node
        yield from _nodes(node)
