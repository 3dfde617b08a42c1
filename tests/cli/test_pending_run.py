"""The run that a service was asked for is kept, whatever the disk does."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from obswarm.api import ObswarmError
from obswarm.app.notices import Notices
from obswarm.app.pending_run import MOST_STARTS, PendingRun
from obswarm.cluster import pack
from obswarm.config import RunConfig
from obswarm.web import BadRunRequest, RunRequest
from tests.support.small_disk import SmallDisk


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("OBSWARM_PENDING_RUN", "OBSWARM_NOTICES"):
        monkeypatch.delenv(name, raising=False)
    yield
    for name in ("OBSWARM_PENDING_RUN", "OBSWARM_NOTICES"):
        os.environ.pop(name, None)


@pytest.fixture
def order(tmp_path: Path) -> RunRequest:
    folder = tmp_path / "client"
    folder.mkdir()
    (folder / "a.py").write_text("x = 1\n" * 5000)
    packed = pack(folder, [folder / "a.py"])
    return RunRequest(RunConfig(), ["a.py"], False, packed.digest, packed.content, "one", 1)


def test_a_run_is_there_until_it_is_forgotten_and_its_starts_are_counted(tmp_path: Path, order: RunRequest) -> None:
    pending = PendingRun(tmp_path / "order")
    assert pending.read() == (None, 0)
    pending.save(order)
    for starts in range(MOST_STARTS):
        found, counted = PendingRun(tmp_path / "order").read()
        assert found is not None
        assert (found.id, counted) == ("one", starts)
        pending.begin()
    assert pending.read()[1] == MOST_STARTS
    pending.lasts()
    assert pending.read()[1] == 0
    assert (pending.files / "a.py").read_text().startswith("x = 1")
    pending.forget()
    assert pending.read() == (None, 0)


def test_on_a_full_disk_it_is_kept_among_temporary_files(
    tmp_path: Path, order: RunRequest, caplog: pytest.LogCaptureFixture
) -> None:
    with SmallDisk(tmp_path / "small") as disk:
        disk.fill()
        pending = PendingRun(disk.path / "order")
        pending.save(order)
        assert not (disk.path / "order").exists(), "no half of it"
        after = PendingRun(disk.path / "order")
        found, starts = after.read()
        assert found is not None
        assert (found.id, starts) == ("one", 0)
        assert (after.files / "a.py").exists()
        assert "No space left on device" in caplog.text
        elsewhere = after.folder.parent
        after.forget()
        assert not elsewhere.exists()
        disk.make_room()
        pending.save(order)
        assert (disk.path / "order").exists()


def test_when_it_can_be_kept_nowhere_that_is_said(
    tmp_path: Path, order: RunRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "none"))
    pending = PendingRun(tmp_path / "file" / "order")
    with pytest.raises(ObswarmError, match=r"cannot be stored in .*order \(Not a directory\), nor elsewhere \(No such"):
        pending.save(order)


def test_what_is_no_order_is_refused(tmp_path: Path) -> None:
    (tmp_path / "order" / "order.msgpack").mkdir(parents=True)
    with pytest.raises(BadRunRequest):
        PendingRun(tmp_path / "order").read()


def test_notices_are_told_once_and_survive_a_full_disk(tmp_path: Path) -> None:
    with SmallDisk(tmp_path / "small", "16k") as disk:
        Notices(disk.path / "notices").add("first")
        os.environ.pop("OBSWARM_NOTICES")
        disk.fill()
        notices = Notices(disk.path / "notices")
        notices.add("second" * 2000)
        assert Notices(disk.path / "notices").take() == ["first", "second" * 2000]
        assert Notices(disk.path / "notices").take() == []


@pytest.mark.parametrize("content", [b"\xff", b"{", b"{}", b"[1, null]"])
def test_a_file_that_is_none_of_notices_is_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "notices").write_bytes(content)
    assert Notices(tmp_path / "notices").take() == []
