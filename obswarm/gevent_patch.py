"""The one place where gevent patches the standard library.

Users are greenlets, and load-test files call blocking code (requests, time.sleep, database drivers), so sockets,
locks and sleeps have to be cooperative. A module that was imported earlier keeps the blocking originals; therefore
`obswarm.cli.main`, `obswarm.api` and `obswarm.http` import this module before anything else, and nothing else patches.
A process that wants real threads (the demo's target) imports none of them.

`python loadtest.py` (run_single_user) may have imported requests before obswarm. Modules that have imported ssl's
classes by then get gevent's instead, since with the originals each new context raises RecursionError
(https://github.com/gevent/gevent/issues/1016).
"""

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from gevent import config, events, monkey

# By default a greenlet stores the stack of its spawner, which costs memory per user and is not needed.
config.track_greenlet_tree = False
# For messages of gevent itself; the default is a function of pprint, which nothing else imports.
config.format_context = ("builtins.repr",)


def _replace_early_imports() -> None:
    """Replace ssl's classes, and existing contexts, in modules that imported them before patching."""
    import ssl

    names = ("SSLContext", "SSLSocket")
    new = {id(old): getattr(ssl, name) for name, old in zip(names, monkey.get_original("ssl", names), strict=True)}
    for module in list(sys.modules.values()):
        package = getattr(module, "__name__", "").partition(".")[0]
        if package in ("ssl", "gevent"):
            continue
        for name, value in list(getattr(module, "__dict__", {}).items()):
            if id(value) in new:
                setattr(module, name, new[id(value)])
            elif id(type(value)) in new:
                value.__class__ = new[id(type(value))]


def _may_have_plugins() -> bool:
    """Return whether another distribution may have plugins for gevent, by a text search in the places where installers
    write entry points. importlib.metadata, which knows all places, takes 1.4 MB in each process.

    gevent's own plugin warns of a patched `signal` with the original `os`, which patch_all() does not leave.
    """
    for folder in sys.path:
        try:
            with os.scandir(folder or ".") as entries:
                names = [entry.name for entry in entries]
        except FileNotFoundError:
            continue
        except OSError:
            # Such as an archive.
            return True
        for name in names:
            if name.endswith((".egg", ".egg-link")):
                return True
            if name.endswith((".dist-info", ".egg-info")) and not name.startswith("gevent-"):
                try:
                    with open(os.path.join(folder, name, "entry_points.txt"), "rb") as file:
                        if b"gevent.plugins." in file.read():
                            return True
                except OSError:
                    continue
    # Besides the finders of Python itself there may be others, with distributions of their own.
    return any(
        hasattr(finder, "find_distributions") and getattr(finder, "__module__", "") != "_frozen_importlib_external"
        for finder in sys.meta_path
    )


@contextmanager
def _plugins_found_once() -> Iterator[None]:
    """Look for plugins of gevent once. gevent does it 25 times while it patches, and reads all distributions each time:
    60 ms of CPU time where there are 70."""
    if not _may_have_plugins():
        module: Any = events
        notify = events.notify_and_call_entry_points
        module.notify_and_call_entry_points = events.notify
        try:
            yield
        finally:
            module.notify_and_call_entry_points = notify
        return
    from importlib import metadata

    module = metadata
    read = metadata.entry_points
    module.entry_points = read().select
    try:
        yield
    finally:
        module.entry_points = read


_ssl_was_there = "ssl" in sys.modules
with warnings.catch_warnings(), _plugins_found_once():
    # _replace_early_imports() fixes what this warns of.
    warnings.filterwarnings("ignore", "Monkey-patching ssl after ssl", monkey.MonkeyPatchWarning)
    monkey.patch_all()
if _ssl_was_there:
    _replace_early_imports()
