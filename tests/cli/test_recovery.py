"""What a master does with the state of a run that it finds."""

import socket
from pathlib import Path

import pytest

from obswarm.api import ObswarmError
from obswarm.app.unfinished import recover_run
from obswarm.config import RunConfig


@pytest.mark.parametrize("fresh", [True, False])
@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0"])
def test_the_state_of_a_master_that_runs_is_not_touched(tmp_path: Path, fresh: bool, address: str) -> None:
    state = tmp_path / "master.run"
    state.write_bytes(b"what another master writes")
    with socket.create_server(("127.0.0.1", 0)) as other:
        config = RunConfig.of({"bind": (address, other.getsockname()[1]), "fresh": fresh, "state_file": str(state)}, {})
        with pytest.raises(ObswarmError, match="is another master running"):
            recover_run(config, "digest")
    assert [path.name for path in tmp_path.iterdir()] == ["master.run"]
    assert recover_run(config.replaced({"fresh": True}), "digest") is None
    assert not state.exists(), "it is put aside when nobody listens"
