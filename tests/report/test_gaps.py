"""When a report says that there was nothing of a target."""

import math

import pytest

from obswarm.report.page.data import gaps_of, gaps_text

NAN = math.nan


@pytest.mark.parametrize(
    ("figures", "gaps"),
    [
        ([[(100.0, 1.0)]], []),
        ([[(102.0, 1.0)]], []),
        ([[(106.0, 1.0)]], [(0.0, 6.0)]),
        ([[(100.0, 1.0), (110.0, NAN), (120.0, 2.0)]], [(10.0, 20.0)]),
        ([[(100.0, 1.0), (110.0, NAN)]], [(10.0, 60.0)]),
        ([[(100.0, 1.0), (110.0, NAN), (110.2, 1.0)]], []),
        ([[(100.0, 1.0), (110.0, NAN), (120.0, 2.0)], [(100.0, 1.0)]], []),
        ([[(100.0, 1.0), (110.0, NAN), (120.0, 2.0)], [(100.0, 1.0), (112.0, NAN), (125.0, 2.0)]], [(12.0, 20.0)]),
        ([[(100.0, 1.0), (110.0, NAN), (170.0, 2.0)]], [(10.0, 60.0)]),
        ([[(95.0, 1.0), (97.0, NAN), (110.0, 1.0)]], [(0.0, 10.0)]),
        ([], [(0.0, 60.0)]),
    ],
)
def test_a_gap_is_where_no_metric_has_a_value(
    figures: list[list[tuple[float, float]]], gaps: list[tuple[float, float]]
) -> None:
    assert gaps_of(figures, 100.0, 160.0) == gaps


def test_the_sentence_on_gaps() -> None:
    assert gaps_text([]) == ""
    assert gaps_text([(10.2, 70.4)]) == "No data for 1m: 0:10 to 1:10."
    many = [(60.0 * number, 60.0 * number + 2) for number in range(1, 8)]
    assert gaps_text(many) == (
        "No data for 14s: 1:00 to 1:02, 2:00 to 2:02, 3:00 to 3:02, 4:00 to 4:02 and 3 more gaps."
    )
    assert gaps_text([(3600.0, 3725.0)]) == "No data for 2m05s: 1:00:00 to 1:02:05."
