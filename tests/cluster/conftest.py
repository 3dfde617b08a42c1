"""Fixtures for masters and workers in one process."""

from collections.abc import Iterator

import pytest

from tests.support.made_up_worker import Letters


@pytest.fixture(scope="module")
def no_network() -> Iterator[None]:
    """What masters of a module send is kept as Letters."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("obswarm.cluster.master.generator.RouterSocket", Letters)
        patch.setattr("obswarm.cluster.master.generator.new_context", lambda: None)
        yield
