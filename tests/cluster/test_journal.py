"""What a master remembers, also when it was killed in the middle of writing, and when the disk is at fault."""

import errno
import math
import os
import struct
import subprocess
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from obswarm import clock
from obswarm.api import ObswarmError
from obswarm.cluster.master import journal as journal_module
from obswarm.cluster.master.journal import Journal, Progress, Recovered, WorkerRecord, read
from obswarm.stats import EndpointKey, Recorder, StatsTable


def table(requests: int) -> StatsTable:
    recorder = Recorder()
    for _ in range(requests):
        recorder.record("GET", "/", 0.01, 1, 200)
    return recorder.take()


def progress(elapsed_s: float) -> Progress:
    return Progress(
        1000.0 + elapsed_s, elapsed_s, elapsed_s, elapsed_s, False, {"A": 3}, [5.0, 2.0], 7, None, [[1.0, "start", "x"]]
    )


def worker(acked: int) -> WorkerRecord:
    return WorkerRecord("name", 0, 2, acked, 0.5, None, "ready", 100.0, 2.0, {"A": 3}, ["n1", "n2"])


def written(path: Path) -> Journal:
    journal = Journal(path, "run-1", "digest", 1000.0)
    assert journal.is_due
    journal.rewrite(table(1), progress(1), {"w": worker(1)})
    journal.append(table(2), progress(2), {"w": worker(2)})
    journal.append(table(4), progress(3), {"w": worker(3), "v": worker(1)})
    return journal


def test_everything_that_was_appended_is_there_again(tmp_path: Path) -> None:
    written(tmp_path / "run")
    found = read(tmp_path / "run", 100)
    assert found is not None
    assert (found.run_id, found.digest, found.started_wall_s) == ("run-1", "digest", 1000.0)
    assert sum(stats.requests for stats in found.table.endpoints.values()) == 7
    assert found.progress == progress(3)
    assert {name: memory.acked for name, memory in found.workers.items()} == {"w": 3, "v": 1}


def test_a_torn_record_counts_as_never_written(tmp_path: Path) -> None:
    path = tmp_path / "run"
    written(path)
    content = path.read_bytes()
    path.write_bytes(content[:-3])
    found = read(path, 100)
    assert found is not None
    assert sum(stats.requests for stats in found.table.endpoints.values()) == 3
    assert found.workers["w"].acked == 2


def test_a_file_that_is_written_anew_has_only_what_it_was_given(tmp_path: Path) -> None:
    journal = written(tmp_path / "run")
    journal.rewrite(table(10), progress(9), {"w": worker(9)})
    found = read(tmp_path / "run", 100)
    assert found is not None
    assert sum(stats.requests for stats in found.table.endpoints.values()) == 10
    journal.append(table(1), progress(10), {"w": worker(10)})
    found = read(tmp_path / "run", 100)
    assert found is not None
    assert sum(stats.requests for stats in found.table.endpoints.values()) == 11


@pytest.mark.parametrize("name", ["rates", "users_ended"])
def test_a_file_of_a_version_that_did_not_write_a_field_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    with monkeypatch.context() as patch:
        fields = journal_module._fields
        patch.setattr(
            journal_module, "_fields", lambda value: {key: each for key, each in fields(value).items() if key != name}
        )
        written(tmp_path / "run")
    assert f"{name}".encode() not in (tmp_path / "run").read_bytes()
    found = read(tmp_path / "run", 100)
    assert found is not None
    assert found.progress == progress(3)


@pytest.mark.parametrize("rates", [{"A": "fast"}, {"A": math.nan}, {"A": math.inf}, {5: 1.0}, [1.0]])
def test_rates_that_are_none_make_a_file_that_is_refused(tmp_path: Path, rates: Any) -> None:
    strange = progress(1)
    strange.rates = rates
    Journal(tmp_path / "run", "run-1", "digest", 1000.0).rewrite(table(1), strange, {})
    with pytest.raises(ObswarmError, match="Move it away"):
        read(tmp_path / "run", 100)


def test_after_a_proper_end_there_is_nothing(tmp_path: Path) -> None:
    journal = written(tmp_path / "run")
    journal.finish()
    assert read(tmp_path / "run", 100) is None


def test_another_file_is_refused_with_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("something else")
    with pytest.raises(ObswarmError, match="Move it away"):
        read(tmp_path / "run", 100)


def test_sums_of_a_run_of_months_are_there_again(tmp_path: Path) -> None:
    large = StatsTable()
    stats = large.endpoint(EndpointKey("GET", "/slow"))
    stats.record(10.0, 5, "2xx", False)
    # 20,000 users that wait for answers for a month, and receive 10 GB a second.
    stats.duration.sum_ns, stats.response_bytes = 20_000 * 30 * 86_400 * 10**9, 30 * 86_400 * 10**10
    journal = Journal(tmp_path / "run", "run-1", "digest", 1000.0)
    journal.rewrite(large, progress(1), {})
    journal.append(large, progress(2), {})
    found = read(tmp_path / "run", 100)
    assert found is not None
    again = found.table.endpoints[EndpointKey("GET", "/slow")]
    assert again.duration.sum_ns == 2 * stats.duration.sum_ns > 2**64
    assert again.response_bytes == 2 * stats.response_bytes


def requests_in(path: Path) -> int | None:
    found = read(path, 100)
    return None if found is None else sum(stats.requests for stats in found.table.endpoints.values())


def read_or_sentence(path: Path) -> Recovered | str | None:
    try:
        return read(path, 100)
    except ObswarmError as error:
        return str(error)


def fill(path: Path) -> None:
    """Until there is no room any more: raises OSError."""
    with open(path, "wb", buffering=0) as filling:
        while True:
            filling.write(b"x" * 256)


class Disk:
    """The calls by which the file is written; from the call with the number `fails_at` on they fail, or only that one
    with `once`. With `short`, `os.write` takes a third of what it is given."""

    CALLS = ("open", "write", "close", "replace", "ftruncate", "unlink", "mkdir")

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[str] = []
        self.fails_at: int | None = None
        self.once = False
        self.short = False
        self.error = errno.ENOSPC
        self._real = {name: getattr(os, name) for name in self.CALLS}
        for name in self.CALLS:
            monkeypatch.setattr(os, name, self._call(name))

    def _call(self, name: str) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            self.calls.append(name)
            number = len(self.calls)
            failing = self.fails_at is not None and (number == self.fails_at if self.once else number >= self.fails_at)
            if name == "write" and (failing or self.short):
                # The beginning gets there, as on a disk that becomes full.
                content = bytes(arguments[1])
                written: int = self._real["write"](arguments[0], content[: len(content) // 3 or 1])
                if not failing:
                    return written
            if failing:
                raise OSError(self.error, os.strerror(self.error))
            return self._real[name](*arguments, **options)

        return call


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    times = [100.0]
    monkeypatch.setattr(clock, "monotonic", lambda: times[0])
    return times


class Master:
    """Writes its journal as a master does: seconds with one request each."""

    def __init__(self, path: Path) -> None:
        self.journal = Journal(path, "run-1", "digest", 1000.0, may_fail=True)
        self.requests = 0

    def second(self) -> None:
        self.requests += 1
        journal = self.journal
        journal.append(table(1), progress(self.requests), {"w": worker(self.requests)})
        if journal.is_due:
            journal.rewrite(table(self.requests), progress(self.requests), {"w": worker(self.requests)})


def seconds(master: Master, now: list[float], number: int, path: Path) -> None:
    """A successor would find everything, unless it was said that it would not; and never half of something."""
    for _ in range(number):
        now[0] += 1
        master.second()
        found = requests_in(path)
        if master.journal.fault is None:
            assert found == master.requests
        else:
            assert found is None or found <= master.requests
            recovered = read(path, 100)
            assert recovered is None or recovered.workers["w"].acked == found, "both of the same moment"


@pytest.mark.parametrize("once", [True, False], ids=["once", "from then on"])
@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO, errno.EMFILE])
@pytest.mark.parametrize("short", [False, True], ids=["whole", "short"])
def test_no_fault_of_the_disk_stops_the_run_and_each_is_mended(
    tmp_path: Path, disk: Disk, now: list[float], caplog: pytest.LogCaptureFixture, error: int, once: bool, short: bool
) -> None:
    caplog.set_level("INFO")
    disk.error, disk.once, disk.short = error, once, short
    at = 0
    while True:
        at += 1
        path = tmp_path / str(at) / "run"
        disk.calls.clear()
        disk.fails_at = at
        caplog.clear()
        master = Master(path)
        # With the one a minute after the first in which the file is written anew.
        seconds(master, now, 4, path)
        now[0] += 61
        seconds(master, now, 2, path)
        reached = len(disk.calls) >= at
        faults = [record for record in caplog.records if "cannot be stored" in record.getMessage()]
        assert len(faults) <= 1, "said once"
        assert bool(faults) or once or not reached or disk.calls[at - 1] == "close"
        disk.fails_at = None
        now[0] += 6
        seconds(master, now, 3, path)
        assert master.journal.fault is None
        assert requests_in(path) == master.requests == 9
        assert len([record for record in caplog.records if "again." in record.getMessage()]) == 2 * len(faults)
        master.journal.finish()
        # What a check has created may stay when it cannot be removed; it is empty.
        is_unlink = reached and disk.calls[at - 1] == "unlink"
        assert [each.stat().st_size for each in path.parent.iterdir()] in ([], [0] if is_unlink else [])
        if not reached:
            assert at > 10
            return


@pytest.mark.parametrize("error", [errno.EROFS, errno.EACCES, errno.EIO])
def test_a_file_that_cannot_be_removed_is_emptied_or_named(
    tmp_path: Path, disk: Disk, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    path = tmp_path / "run"
    journal = written(path)
    disk.error, disk.fails_at = error, len(disk.calls) + 1
    journal.finish()
    assert read(path, 100) is None
    assert caplog.records == []
    disk.fails_at = None
    journal = written(path)

    def refuse(*_: object) -> None:
        raise OSError(error, os.strerror(error))

    disk.fails_at = len(disk.calls) + 1
    monkeypatch.setattr(os, "truncate", refuse)
    journal.finish()
    assert "Remove it before the next run" in caplog.text


def test_a_disk_that_becomes_full_and_has_room_again(
    tmp_path: Path, now: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(small)], check=True)
    try:
        path = small / "state" / "run"
        master = Master(path)
        seconds(master, now, 3, path)
        assert master.journal.fault is None
        with pytest.raises(OSError, match="No space left"):
            fill(small / "filling")
        seconds(master, now, 40, path)
        assert master.journal.fault == "No space left on device"
        stored = requests_in(path)
        assert stored is not None
        assert 3 <= stored < 43, "what was written before is still there"
        (small / "filling").unlink()
        now[0] += 6
        seconds(master, now, 3, path)
        assert master.journal.fault is None
        assert requests_in(path) == master.requests
        assert caplog.text.count("cannot be stored") == 1
        assert caplog.text.count("is stored in") == 1
        master.journal.finish()
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_a_folder_that_cannot_be_made_is_said_before_the_run_or_borne(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    path = tmp_path / "file" / "run"
    with pytest.raises(ObswarmError, match="cannot be written: Not a directory"):
        Journal(path, "run-1", "digest", 1000.0)
    master = Master(path)
    master.second()
    assert master.journal.fault == "Not a directory"
    master.journal.finish()
    assert caplog.text.count("cannot be stored") == 1


def test_statistics_that_begin_anew_begin_anew_in_the_file(tmp_path: Path) -> None:
    journal = written(tmp_path / "run")
    journal.append(table(0), progress(4), {"w": worker(4)}, reset=True)
    journal.append(table(1), progress(5), {"w": worker(5)})
    assert requests_in(tmp_path / "run") == 1


def record(body: bytes) -> bytes:
    return struct.pack("<II", len(body), zlib.crc32(body)) + body


MAGIC = b"obswarm run 2\n"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xc1",
        b"\x81",
        b"\x91" * 5000 + b"\xc0",
        b"\xdd\xff\xff\xff\xff",
        msgpack.packb(7),
        msgpack.packb([1, 2]),
        msgpack.packb({"reset": False}),
        msgpack.packb({"reset": False, "delta": 5, "progress": {}, "workers": {}}),
    ],
)
def test_what_is_no_record_is_refused_with_a_sentence(tmp_path: Path, body: bytes) -> None:
    (tmp_path / "run").write_bytes(MAGIC + record(body))
    with pytest.raises(ObswarmError, match="Move it away"):
        read(tmp_path / "run", 100)


def test_what_is_no_file_is_refused_with_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "folder", Path("/dev/zero"), tmp_path):
        with pytest.raises(ObswarmError, match="Move it away"):
            read(path, 100)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=200)
@given(data=st.data(), value=VALUES)
def test_whatever_one_field_is_it_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, value: Any
) -> None:
    path = tmp_path_factory.getbasetemp() / "fields"
    journal = Journal(path, "run-1", "digest", 1000.0)
    journal.rewrite(table(1), progress(1), {"w": worker(1)})
    journal.close()
    body = msgpack.unpackb(path.read_bytes()[len(MAGIC) + 8 :])
    where = data.draw(st.sampled_from([body, body["progress"], body["workers"], body["workers"]["w"]]))
    where[data.draw(st.sampled_from(sorted(where)))] = value
    path.write_bytes(MAGIC + record(msgpack.packb(body)))
    found = read_or_sentence(path)
    assert isinstance(found, Recovered) or "Move it away" in found


@settings(max_examples=200)
@given(cut=st.integers(0, 5000), flipped=st.integers(0, 5000), bit=st.integers(0, 7))
def test_a_damaged_file_gives_what_was_before_the_damage_or_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, cut: int, flipped: int, bit: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged"
    written(path).close()
    content = bytearray(path.read_bytes())
    content[flipped % len(content)] ^= 1 << bit
    path.write_bytes(content[: len(content) - cut % len(content)])
    found = read_or_sentence(path)
    assert "Move it away" in found if isinstance(found, str) else found is None or requests_in(path) in (1, 3, 7)
