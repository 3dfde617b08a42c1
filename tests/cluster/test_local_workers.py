"""Worker processes of this machine that cannot be started."""

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from obswarm.api import ObswarmError
from obswarm.cluster import processes
from obswarm.cluster.master.local_workers import LocalProcesses, LocalWorkers


@dataclass
class Full:
    """Starts as many as there is room for."""

    room: int
    started: list[Any] = field(default_factory=list)

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        if len(self.started) == self.room:
            raise OSError(24, "Too many open files")
        process = SimpleNamespace(stdout=(), stderr=(), wait=lambda: 0, kill=lambda: None)
        self.started.append(process)
        return process


BUSY = SimpleNamespace(load=SimpleNamespace(cpu_ratio=0.95))


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> Full:
    made = Full(0)
    monkeypatch.setattr(processes.subprocess, "Popen", made)
    monkeypatch.setattr("obswarm.cluster.master.local_workers.usable_cpus", lambda: 4.0)
    return made


def test_a_run_whose_first_process_cannot_be_started_says_why(full: Full) -> None:
    local = LocalProcesses(LocalWorkers(["w"], None), lambda incarnation, code: None)
    with pytest.raises(ObswarmError, match="A worker process cannot be started: Too many open files."):
        local.start(1)
    local.end(0)


def test_a_run_goes_on_with_the_processes_that_it_has(full: Full, caplog: pytest.LogCaptureFixture) -> None:
    full.room = 1
    local = LocalProcesses(LocalWorkers(["w"], None), lambda incarnation, code: None)
    local.start(1)
    # It is among those that are ready, and busy.
    local._processes._running.clear()
    for _ in range(10):
        local.start_another_when_needed([BUSY], 100)  # type: ignore[list-item]
    assert caplog.text.count("Too many open files. The run continues with the existing processes.") == 1
    local.end(0)
