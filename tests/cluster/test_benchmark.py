"""CPUs that a process may use, from control groups of both versions."""

from pathlib import Path

import pytest

from obswarm.api import User
from obswarm.cluster.worker.benchmark import client_shares, combined, quota_of, requests_per_cpu_second, usable_cpus
from obswarm.http import FastHttpUser, HttpUser


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


def test_in_a_container_the_path_is_the_hosts(tmp_path: Path) -> None:
    group(tmp_path, cpu__max="25000 100000\n")
    assert quota_of("0::/docker/0123456789\n", tmp_path) == 0.25


@pytest.mark.parametrize("content", ["", "x y", "max", "0 0"])
def test_what_cannot_be_read_is_no_limit(tmp_path: Path, content: str) -> None:
    group(tmp_path, cpu__max=content)
    assert quota_of("0::/\n", tmp_path) is None


class Fast(FastHttpUser):
    weight = 3


class Plain(HttpUser):
    pass


class Database(User):
    fixed_count = 250


class NoUsers(HttpUser):
    weight = 0


@pytest.mark.parametrize(
    ("classes", "shares"),
    [
        ([Fast], {FastHttpUser: 1}),
        ([Fast, Plain], {FastHttpUser: 0.75, HttpUser: 0.25}),
        ([Fast, Plain, Database], {FastHttpUser: 0.5625, HttpUser: 0.1875, User: 0.25}),
        ([Fast, NoUsers], {FastHttpUser: 1}),
        ([NoUsers], {User: 1}),
    ],
)
def test_the_share_of_each_client(classes: list[type[User]], shares: dict[type[User], float]) -> None:
    assert client_shares(classes) == pytest.approx(shares, abs=0.001)


def test_a_slow_client_slows_down_by_its_share() -> None:
    assert combined({FastHttpUser: 1000, HttpUser: 100}, {FastHttpUser: 0.5, HttpUser: 0.5}) == pytest.approx(
        181.8, 0.01
    )


@pytest.mark.parametrize("classes", [[Fast], [Plain], [Database], [Fast, Plain, Database]])
def test_this_machine_can_do_something(classes: list[type[User]]) -> None:
    assert usable_cpus() > 0
    assert requests_per_cpu_second(classes) > 300
