"""Packages that only one client of a protocol needs, and that obswarm does not depend on."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

import gevent

from obswarm.api import Environment, ObswarmError, events
from obswarm.greenlets import Supervisor
from obswarm.locust.catching import environment_for


class MissingPackage(ObswarmError, ImportError):
    """A package is not installed that the imported client needs."""


@contextmanager
def needed(package: str, module: str, top_level: str) -> Generator[None, None, None]:
    """Import in the block what `module` (mqtt …) needs of a package, which is imported by the name `top_level`. Raises
    MissingPackage when it is not installed."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != top_level:
            raise
        raise MissingPackage(
            f"locust.contrib.{module} needs the package {package}, which is not installed: pip install {package}"
        ) from None


def environment_of_run(environment: Environment | None) -> Environment:
    """Return the environment that was given, or that of the run that this process takes part in."""
    return environment if environment is not None else environment_for(None, events.request)


def close_apart(name: str, close: Callable[[], Any]) -> None:
    """Close what may have to wait for a thread or a peer. `close` of a user's client is called from the hub, which
    cannot wait."""
    if gevent.getcurrent() is gevent.get_hub():
        Supervisor().spawn(f"The end of a client of {name}", close)
    else:
        close()
