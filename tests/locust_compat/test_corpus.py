"""Each locustfile of the corpus does with obswarm what it did with Locust, but for the differences that are intended."""

from pathlib import Path

import pytest

from tests.locust_compat import recorded
from tests.locust_compat.comparison import differences
from tests.locust_compat.corpus import Case, all_cases
from tests.locust_compat.intended import not_found, of_case, unexplained
from tests.locust_compat.runs import OBSWARM, observe


@pytest.mark.parametrize("case", all_cases(), ids=lambda case: case.name)
def test_a_locustfile_does_what_it_does_with_locust(case: Case, tmp_path: Path) -> None:
    found = differences(case, recorded.read(case), observe(case, OBSWARM, tmp_path))
    left, expected = unexplained(case.name, found), of_case(case.name)
    shown = "\n".join(
        f"{title} {where}\n  Locust:  {locust}\n  obswarm: {obswarm}"
        for title, some, others in (("", left, expected), ("no longer:", expected, left))
        for where, locust, obswarm in some
        if (where, locust, obswarm) not in others
    )
    said = (tmp_path / "stderr.txt").read_text()[-2000:]
    assert left == expected, f"{case.file.name} {' '.join(case.arguments)}\n{shown}\n{said}"
    assert not_found(case.name, found) == [], "these differences are gone; take them out of intended.py"
