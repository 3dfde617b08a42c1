"""A fault at every place that writes, one at a time over a short run: nothing else is lost, and what is lost is named.

The places are found in the source. `make lab-faults` tries every error at each of them; here each gets one.
"""

from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

import pytest

from tests.support.faulty import FaultyProgram
from tests.support.write_faults import ERRORS, complaints, is_possible, reason_not_to_try, run_with_fault
from tests.support.writing_places import all_places, instrumented, places_of


@pytest.fixture(scope="module")
def program() -> Iterator[FaultyProgram]:
    with FaultyProgram() as made:
        yield made


@pytest.fixture(scope="module")
def older(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a run without a fault has been made."""
    return tmp_path_factory.mktemp("faults") / "older"


@pytest.fixture(scope="module")
def reached(program: FaultyProgram, older: Path) -> dict[str, Path | None]:
    """The places that runs without a fault come through, by what the run needs to have been before."""
    places: dict[str, Path | None] = {}
    for folder, before in ((older, None), (older.with_name("newer"), older)):
        ended = run_with_fault(program, folder, older=before)
        assert list(complaints(ended, folder)) == []
        assert ended.code == 0, ended.stderr
        for place in ended.reached:
            places.setdefault(place, before)
    return places


def test_every_place_that_writes_is_tried_or_has_a_reason_not_to_be(reached: dict[str, Path | None]) -> None:
    places = {str(place) for place in all_places()}
    assert len(reached) > 30
    assert set(reached) <= places
    forgotten = sorted(place for place in places - set(reached) if reason_not_to_try(place) is None)
    assert forgotten == [], (
        "give the run in tests/support/write_faults.py a reason to come there, or say where it is tested"
    )


def test_a_run_ends_well_whichever_place_fails(
    program: FaultyProgram, reached: dict[str, Path | None], tmp_path: Path
) -> None:
    wrong = []
    errors = cycle(ERRORS)
    for number, place in enumerate(sorted(reached)):
        error = next(name for name in errors if is_possible(place, name))
        folder = tmp_path / str(number)
        ended = run_with_fault(program, folder, place, ERRORS[error], older=reached[place])
        if not ended.failed:
            wrong.append(f"{place} was not reached")
        wrong += [f"{error} at {place}: {each}\n{ended.stderr[-600:]}" for each in complaints(ended, folder)]
    assert wrong == []


def test_a_new_place_is_found_and_can_fail() -> None:
    source = "import os\nclass A:\n    def keep(self, path):\n        path.write_text(f(os.replace('a', 'b')))\n"
    assert [str(place) for place in places_of(source, "new.py")] == [
        "new.py:A.keep:os.replace",
        "new.py:A.keep:path.write_text",
    ]
    tried = []

    def fails(place, function, *arguments):
        tried.append(place)
        if "replace" in place:
            raise OSError("full")

    namespace = {"wrapped": fails, "f": lambda value: value}
    exec(compile(instrumented(source, "new.py", "wrapped"), "new.py", "exec"), namespace)
    with pytest.raises(OSError, match="full"):
        namespace["A"]().keep(Path("/nowhere"))
    assert tried == ["new.py:A.keep:os.replace"]
