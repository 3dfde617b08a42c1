import signal
from collections.abc import Iterator

import pytest

from obswarm.ending_signals import ending_signals


@pytest.fixture(autouse=True)
def hangup() -> Iterator[None]:
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


def test_a_hangup_ends_a_process_as_a_request_to_terminate_does() -> None:
    assert set(ending_signals()) == {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}


@pytest.mark.parametrize("handler", [signal.SIG_IGN, lambda number, frame: None], ids=["nohup", "of a load test"])
def test_a_hangup_that_means_something_else_is_left_alone(handler) -> None:
    signal.signal(signal.SIGHUP, handler)
    assert set(ending_signals()) == {signal.SIGINT, signal.SIGTERM}
