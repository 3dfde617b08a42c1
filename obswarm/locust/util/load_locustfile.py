"""`locust.util.load_locustfile`: for programs that import load-test files themselves."""

import inspect
from pathlib import Path

from obswarm.api import LoadTestShape, User
from obswarm.engine import import_file

__all__ = ["is_shape_class", "is_user_class", "load_locustfile"]


def is_user_class(item: object) -> bool:
    """Whether it is a user class that is not abstract."""
    return inspect.isclass(item) and issubclass(item, User) and not item.abstract


def is_shape_class(item: object) -> bool:
    """Whether it is a shape that is not abstract."""
    return inspect.isclass(item) and issubclass(item, LoadTestShape) and not item.abstract


def load_locustfile(path: str) -> tuple[dict[str, type[User]], list[LoadTestShape]]:
    """Import a load-test file. Returns its user classes by name, and an instance of each of its shapes.

    Raises ObswarmError if the file is missing or cannot be imported.
    """
    values = vars(import_file(Path(path)))
    classes = {name: value for name, value in values.items() if is_user_class(value)}
    return classes, [value() for value in values.values() if is_shape_class(value)]
