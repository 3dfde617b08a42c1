"""Fixtures that several packages' tests use."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from obswarm.api import Environment, Events
from obswarm.stats import Recorder
from tests.support.programs import CountingServer


@pytest.fixture
def target() -> Iterator[CountingServer]:
    with CountingServer() as server:
        yield server


@pytest.fixture
def environment() -> Environment:
    """An environment with its own events, so that tests don't share listeners."""
    return Environment(events=Events(), recorder=Recorder(), stop_timeout=1)


@pytest.fixture
def loadtest(tmp_path: Path):
    """Write a load-test file: loadtest("...") returns its path."""

    def write(text: str, name: str = "loadtest.py") -> Path:
        path = tmp_path / name
        path.write_text(text)
        return path

    return write
