"""What is looked at before anything is started."""

import subprocess
from types import SimpleNamespace

import pytest

from obswarm.stack import StackError, check_disk
from obswarm.stack.preflight import published


def test_a_disk_that_is_nearly_full(tmp_path) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "obswarm-test", tmp_path], check=True)
    try:
        with pytest.raises(
            StackError, match="has only 1.0 MiB left; the stack needs 2.0 GiB. Free some with: docker system prune"
        ):
            check_disk(SimpleNamespace(info={"DockerRootDir": str(tmp_path)}))
    finally:
        subprocess.run(["umount", tmp_path], check=True)


def test_an_engine_on_another_machine_is_not_looked_into() -> None:
    check_disk(SimpleNamespace(info={"DockerRootDir": "/not/here"}))


def test_published_ports() -> None:
    bindings = {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}], "81/tcp": None, "82/tcp": [{"HostPort": ""}]}
    assert published(SimpleNamespace(attrs={"HostConfig": {"PortBindings": bindings}})) == {8080}
    assert published(SimpleNamespace(attrs={})) == set()
