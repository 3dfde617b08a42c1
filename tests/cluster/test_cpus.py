"""CPUs that a process may use, from control groups of both versions."""

from pathlib import Path

import pytest

from obswarm.cluster.cpus import quota_of, usable_cpus


def group(folder: Path, **files: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name.replace("__", ".")).write_text(content)


def test_version_2(tmp_path: Path) -> None:
    group(tmp_path / "a" / "b", cpu__max="max 100000\n")
    group(tmp_path / "a", cpu__max="150000 100000\n")
    assert quota_of("0::/a/b\n", tmp_path) == 1.5
    assert quota_of("0::/\n", tmp_path) is None


def test_version_1(tmp_path: Path) -> None:
    group(tmp_path / "cpu,cpuacct" / "x", cpu__cfs_quota_us="50000", cpu__cfs_period_us="100000")
    text = "4:memory:/x\n3:cpu,cpuacct:/x\n0::/x\n"
    assert quota_of(text, tmp_path) == 0.5
    group(tmp_path / "cpu,cpuacct" / "x", cpu__cfs_quota_us="-1", cpu__cfs_period_us="100000")
    assert quota_of(text, tmp_path) is None


def test_a_path_of_the_hosts_cgroup_is_read_in_a_container(tmp_path: Path) -> None:
    group(tmp_path, cpu__max="25000 100000\n")
    assert quota_of("0::/docker/0123456789\n", tmp_path) == 0.25


@pytest.mark.parametrize("content", ["", "x y", "max", "0 0"])
def test_what_cannot_be_read_is_no_limit(tmp_path: Path, content: str) -> None:
    group(tmp_path, cpu__max=content)
    assert quota_of("0::/\n", tmp_path) is None


def test_this_machine_has_at_least_a_part_of_a_cpu() -> None:
    assert usable_cpus() > 0
