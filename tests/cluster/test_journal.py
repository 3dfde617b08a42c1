"""What a master remembers, also when it was killed in the middle of writing."""

from pathlib import Path

import pytest

from obswarm.api import ObswarmError
from obswarm.cluster.journal import Journal, Progress, WorkerMemory, read
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


def worker(acked: int) -> WorkerMemory:
    return WorkerMemory("name", 0, 2, acked, 0.5, None, "ready", 100.0, 2.0, {"A": 3}, ["n1", "n2"])


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
