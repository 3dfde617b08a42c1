"""How the processes of `pytest -n auto` share the tests.

Two processes for each processor take tests, whichever is free the next ones, since tests of programs wait for much of
their time. The last of them, when the others have ended, runs the tests with the marker `alone`, which measure time
and need a quiet machine. Tests that use a fixture of their module or package, or have the same `xdist_group`, run in
one process, so that it is made once. Nothing is listed: a new test needs at most the marker.

This is a plugin (see addopts in pyproject.toml) because gevent has to patch the standard library before other plugins
import ssl or threading.
"""

import _thread
import functools
import json
import math
import os
import sys
import tempfile
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

ALONE = "alone"
_START_PROGRAMS = ("tests/e2e/", "tests/integration/", "tests/locust_compat/")
_IDLE_S = 0.01
_ENOUGH_PENDING = 2
"""Tests that a process is to have at hand: it starts the last of them only when it knows the next."""

_GROUPS = "obswarm_groups"
"""Where a process writes the groups of tests, which xdist does not send. (Its own --dist loadgroup appends them to the
names of tests, which has no effect with pytest 9.2.)"""

BYTECODE = "obswarm_bytecode"
"""Under which key a process finds the folder in which all of them keep the bytecode of programs that tests start."""

_USAGE_ERROR = "obswarm_usage_error"
"""Under which key a process sends the lines of a UsageError, such as a file on the command line that does not exist."""


class _ThreadEvent:
    """The event at which a process of xdist waits for tests.

    A thread of the system reads them and sets the event. Gevent's own event would end such a wait with LoopExit, since
    there may be no greenlet that could set it.
    """

    def __init__(self) -> None:
        self._set = False

    def is_set(self) -> bool:
        return self._set

    def set(self) -> None:
        self._set = True

    def clear(self) -> None:
        self._set = False

    def wait(self, timeout: float | None = None) -> bool:
        import gevent

        until_s = math.inf if timeout is None else time.monotonic() + timeout
        while not self._set and time.monotonic() < until_s:
            gevent.sleep(_IDLE_S)
        return self._set


if "PYTEST_XDIST_WORKER" in os.environ and "execnet.gateway_base" in sys.modules:
    _execution: Any = sys.modules["execnet.gateway_base"].ThreadExecModel
    _execution.Event = staticmethod(_ThreadEvent)
    _execution.RLock = staticmethod(_thread.RLock)

import obswarm.gevent_patch  # noqa: E402, F401

# isort: split
# After the patch, since it imports threading.
from xdist.scheduler import LoadScopeScheduling  # noqa: E402


@pytest.hookimpl(tryfirst=True)
def pytest_xdist_auto_num_workers() -> int:
    return 2 * len(os.sched_getaffinity(0))


def pytest_configure_node(node: Any) -> None:
    shared = _shared_folder(node.config)
    node.workerinput[_GROUPS] = str(shared / node.workerinput["workerid"])
    node.workerinput[BYTECODE] = str(shared / "bytecode")


@functools.cache
def _shared_folder(config: pytest.Config) -> Path:
    folder = tempfile.TemporaryDirectory(prefix="obswarm-tests-")
    config.add_cleanup(folder.cleanup)
    return Path(folder.name)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """In a process of xdist, begin with the tests that take long, and tell the scheduler their groups."""
    if _GROUPS not in getattr(config, "workerinput", {}):
        return
    groups = {item.nodeid: _group(item) for item in items}
    items.sort(key=lambda item: _turn(item.nodeid, groups[item.nodeid]))
    Path(config.workerinput[_GROUPS]).write_text(json.dumps(groups))


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    """In a process of xdist, take down what is wrong with the command line: xdist alone would say that no tests ran."""
    try:
        return (yield)
    except pytest.UsageError as error:
        if hasattr(session.config, "workeroutput"):
            session.config.workeroutput[_USAGE_ERROR] = [str(line) for line in error.args]
        raise


def pytest_testnodedown(node: Any) -> None:
    lines = getattr(node, "workeroutput", {}).get(_USAGE_ERROR)
    if lines is not None:
        raise pytest.UsageError(*lines)


def _group(item: pytest.Item) -> str:
    if item.get_closest_marker(ALONE) is not None:
        return ALONE
    named = item.get_closest_marker("xdist_group")
    if named is not None:
        return str(named.args[0])
    definitions = getattr(item, "_fixtureinfo").name2fixturedefs.values()  # noqa: B009
    scopes = {definition[-1].scope: definition[-1].baseid for definition in definitions}
    if "package" in scopes:
        return str(scopes["package"])
    return item.nodeid.partition("::")[0] if "module" in scopes else item.nodeid


def _turn(nodeid: str, group: str) -> tuple[bool, bool]:
    """Programs take long to start, and a group cannot be shared by processes at the end."""
    return not nodeid.startswith(_START_PROGRAMS), nodeid == group


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    return AloneLast(config, log)


class AloneLast(LoadScopeScheduling):
    """Distribute groups, but for ALONE: the last process gets that, when all others have ended."""

    def __init__(self, config: pytest.Config, log: Any) -> None:
        super().__init__(config, log)
        self._groups: dict[str, str] = {}

    def schedule(self) -> None:
        if self.collection is None:
            if not self._check_nodes_have_same_collection():
                return
            first, self.collection = next(iter(self.registered_collections.items()))
            if not self.collection:
                return
            self._groups = json.loads(Path(first.workerinput[_GROUPS]).read_text())
            for nodeid in self.collection:
                self.workqueue.setdefault(self._split_scope(nodeid), {})[nodeid] = False
            self._put_alone_last()
        self._reschedule_all()

    def _split_scope(self, nodeid: str) -> str:
        return self._groups[nodeid]

    def _put_alone_last(self) -> None:
        if ALONE in self.workqueue:
            self.workqueue.move_to_end(ALONE)

    def mark_test_complete(self, node: Any, item_index: int, duration: float = 0) -> None:
        nodeid = self.registered_collections[node][item_index]
        groups = self.assigned_work[node]
        group = self._split_scope(nodeid)
        groups[group][nodeid] = True
        if all(groups[group].values()):
            del groups[group]
        self._reschedule_all()

    def remove_node(self, node: Any) -> str | None:
        """Return the test in which the process crashed, if it did; its other tests are given to others."""
        groups = self.assigned_work.pop(node)
        left = [nodeid for group in groups.values() for nodeid, done in group.items() if not done]
        for name, group in groups.items():
            others = {nodeid: done for nodeid, done in group.items() if nodeid not in left[:1]}
            if others:
                self.workqueue[name] = others
        self._put_alone_last()
        self._reschedule_all()
        return left[0] if left else None

    def _reschedule_all(self) -> None:
        for node in self.nodes:
            self._reschedule(node)

    def _reschedule(self, node: Any) -> None:
        if node.shutting_down or node not in self.registered_collections:
            return
        others = [each for each in self.nodes if each is not node]
        while self._pending_of(self.assigned_work[node]) < _ENOUGH_PENDING and self._has_work(is_last=not others):
            self._assign_work_unit(node)
        is_kept_for_alone = ALONE in self.workqueue and all(each.shutting_down for each in others)
        if not self._has_work(is_last=not others) and not is_kept_for_alone:
            node.shutdown()

    def _has_work(self, *, is_last: bool) -> bool:
        return bool(self.workqueue) and (is_last or next(iter(self.workqueue)) != ALONE)
