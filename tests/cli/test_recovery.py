"""What a master does with the state of a run that it finds."""

import socket
from pathlib import Path

import pytest

from obswarm.api import ObswarmError
from obswarm.cli.master import recover_run


@pytest.mark.parametrize("fresh", [True, False])
@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0"])
def test_the_state_of_a_master_that_runs_is_not_touched(tmp_path: Path, fresh: bool, address: str) -> None:
    state = tmp_path / "master.run"
    state.write_bytes(b"what another master writes")
    with socket.create_server(("127.0.0.1", 0)) as other:
        options = {"bind": (address, other.getsockname()[1]), "fresh": fresh, "max_endpoints": 10}
        with pytest.raises(ObswarmError, match="is another master running"):
            recover_run(state, "digest", options)
    assert [path.name for path in tmp_path.iterdir()] == ["master.run"]
    options["fresh"] = True
    assert recover_run(state, "digest", options) is None
    assert not state.exists(), "it is put aside when nobody listens"
