import pytest

from obswarm.api import ObswarmError, Stage, Stages, format_stages, parse_stages, users_at


def test_stages_are_read_and_written() -> None:
    stages = parse_stages("30s:100, 2m:500,30s:0")
    assert stages == (Stage(30, 100), Stage(120, 500), Stage(30, 0))
    assert parse_stages(format_stages(stages)) == stages


@pytest.mark.parametrize(
    ("text", "part"),
    [("30s", "stage 1"), ("30s:100,x:5", "stage 2"), ("30s:-5", "'-5'"), ("30s:", "not a number"), ("", "stage 1"), ("0s:10", "0s")],
)  # fmt: skip
def test_a_bad_stage_is_named(text: str, part: str) -> None:
    with pytest.raises(ValueError, match=part):
        parse_stages(text)


@pytest.mark.parametrize(
    ("at", "expected"),
    [(0, (0, 10)), (5, (50, 10)), (10, (100, 0)), (15, (100, 0)), (20, (100, 20)), (22.5, (50, 20)), (25, None)],
)
def test_the_load_moves_on_field_functions(at, expected) -> None:
    assert users_at((Stage(10, 100), Stage(10, 100), Stage(5, 0)), at) == expected


def test_a_stage_of_no_duration_is_a_jump() -> None:
    assert users_at((Stage(0, 50), Stage(10, 50)), 0) == (50, 0)


def test_stages_of_a_load_test_file_that_make_no_sense_name_the_class() -> None:
    class Wrong(Stages):
        stages = "soon:10"

    with pytest.raises(ObswarmError, match=r"Wrong\.stages: stage 1"):
        Wrong().parsed()
