import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obswarm.api import (
    ArrivalRate,
    ObswarmError,
    RateStage,
    arrival_rate_of,
    format_rate_stages,
    parse_arrival_rate,
    parse_rate_query,
    parse_rate_stages,
    rate_stages_of_samples,
    read_rate_curve,
)


@pytest.mark.parametrize(("text", "rate"), [("200/s", 200.0), ("30/m", 0.5), (" 90 / min ", 1.5), ("7200/h", 2.0)])
def test_a_rate_without_stages_has_no_end(text: str, rate: float) -> None:
    assert parse_rate_stages(text) == (RateStage(math.inf, rate),)


def test_stages_are_read_and_written() -> None:
    stages = parse_rate_stages("30s:50/s, 2m:400/s,1m:0/s")
    assert stages == (RateStage(30, 50), RateStage(120, 400), RateStage(60, 0))
    assert format_rate_stages(stages) == "30s:50/s,2m:400/s,1m:0/s"


@given(
    st.lists(st.tuples(st.integers(0, 1000), st.floats(0.001, 1e6)), min_size=1).filter(lambda x: any(s for s, _ in x))
)
def test_what_is_written_is_read_again(stages: list[tuple[int, float]]) -> None:
    for found, (duration_s, rate) in zip(
        parse_rate_stages(format_rate_stages([RateStage(*each) for each in stages])), stages, strict=True
    ):
        assert found == (duration_s, pytest.approx(rate, rel=1e-14))


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("200", "'200' is not a rate; write a number and a unit of time, for example 200/s"),
        ("x/s", "'x' is not a number"),
        ("5/d", "'5/d' is not a rate"),
        ("-1/s", "'-1/s' has to be from 0 to 1,000,000"),
        ("nan/s", "has to be from 0"),
        ("0/s", "no load"),
        ("30s:5/s,10s", "stage 2 .* has no colon"),
        ("30s:5/s,x:5/s", "stage 2"),
        ("30s:5", "stage 1 .* is not a rate"),
        ("0s:5/s", "last 0s"),
        ("10s:0/s", "all rates are 0"),
        ("31d:5/s", "."),
        ("", "is not a rate"),
    ],
)
def test_a_bad_rate_is_named(text: str, part: str) -> None:
    with pytest.raises(ValueError, match=part):
        parse_rate_stages(text)


def test_a_rate_of_a_load_test_file_is_checked_when_it_is_made() -> None:
    assert ArrivalRate([("10s", 5), (20, "30/m")]).stages() == (RateStage(10, 5), RateStage(20, 0.5))
    for values, part in (
        ({"rate": "soon"}, "ArrivalRate: 'soon' is not a rate"),
        ({"rate": [(1, 2, 3)]}, r"stage 1 \(\(1, 2, 3\)\) has to be \(duration, iterations per second\), such as"),
        ({"rate": ["30s:5"]}, r"stage 1 \('30s:5'\) has to be \(duration, iterations per second\)"),
        ({"rate": [5]}, r"stage 1 \(5\) has to be \(duration, iterations per second\)"),
        ({"rate": [("1s", 5), ("2s", None)]}, r"stage 2 \(.*\): None is not a number of iterations per second"),
        ({"rate": [(None, 5)]}, r"stage 1 \(\(None, 5\)\): "),
        ({"rate": 5}, 'ArrivalRate: 5 is not a rate; write a text such as "200/s"'),
        ({"rate": None}, "ArrivalRate: None is not a rate; write a text"),
        ({"rate": "5/s", "arrivals": "even"}, "arrivals is 'even'; it has to be constant or poisson"),
        ({"rate": "5/s", "seed": -1}, "seed is -1"),
        ({"rate": "5/s", "max_users": 0}, "max_users is 0"),
    ):
        with pytest.raises(ObswarmError, match=part):
            ArrivalRate(**values)  # type: ignore[arg-type]


def test_the_rate_of_a_class_may_be_text() -> None:
    assert arrival_rate_of("5/s", "Buyer.arrival_rate") == ArrivalRate("5/s")
    assert arrival_rate_of(None, "x") is None
    with pytest.raises(ObswarmError, match=r"Buyer\.arrival_rate: ArrivalRate: '5' is not a rate"):
        arrival_rate_of("5", "Buyer.arrival_rate")
    with pytest.raises(ObswarmError, match=r"Buyer\.arrival_rate is a float; it has to be"):
        arrival_rate_of(5.0, "Buyer.arrival_rate")


def written(folder: Path, text: str) -> Path:
    file = folder / "day.csv"
    file.write_text(text, encoding="utf-8")
    return file


@pytest.mark.parametrize("heading", ["", "\ufefftime,rate\r\n", "\n"])
def test_a_curve_of_a_file_begins_with_its_first_row(heading: str, tmp_path: Path) -> None:
    file = written(tmp_path, f"{heading}1700000000,5\r\n1700000060, 20\r\n\r\n1700000090,0\r\n")
    stages = (RateStage(0, 10), RateStage(60, 40), RateStage(30, 0))
    assert read_rate_curve(file, 2) == parse_arrival_rate(f"{file}*2") == parse_arrival_rate(f" {file} * 2 ") == stages
    assert ArrivalRate.from_csv(file, 2, arrivals="poisson").stages() == stages
    assert parse_arrival_rate(str(file))[1] == RateStage(60, 20)
    assert parse_arrival_rate("5/s") == parse_rate_stages("5/s")


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("0,5", "has 1 rows with numbers; a curve has from 2 to 20,000"),
        ("0,5\n1,x", r"day.csv, line 2: '1,x' is not a second and a rate"),
        ("0,5\n1,2,3", "line 2: '1,2,3' is not"),
        ("0,5\n1,-2", "line 2: the rate has to be from 0"),
        ("0,5\nnan,2", "line 2: "),
        ("0,5\n2,2\n1,2", "line 3: the second 1 comes before 2"),
        ("0,0\n2,0", "no load"),
        ("0,5\n0,6", "last 0s"),
        ("", "has 0 rows"),
    ],
)
def test_a_curve_that_makes_no_sense_is_named(text: str, part: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=part):
        read_rate_curve(written(tmp_path, text))


def test_a_file_or_a_factor_that_is_none_is_a_sentence(tmp_path: Path) -> None:
    file = written(tmp_path, "0,5\n1,5")
    with pytest.raises(ValueError, match=r"nothing\.csv cannot be read: "):
        parse_arrival_rate(str(tmp_path / "nothing.csv"))
    with pytest.raises(ValueError, match="'much' is not a factor"):
        parse_arrival_rate(f"{file}*much")
    for factor in ("0", "-1", "nan"):
        with pytest.raises(ValueError, match="has to be above 0"):
            parse_arrival_rate(f"{file}*{factor}")
    for factor in ("2", None, True):
        with pytest.raises(ObswarmError, match=r"ArrivalRate\.from_csv: the factor .* has to be a number above 0"):
            ArrivalRate.from_csv(written(tmp_path, "0,5\n1,7"), factor=factor)  # type: ignore[arg-type]
    with pytest.raises(ObswarmError, match=r"ArrivalRate\.from_csv: the path is 5; it has to be the name of a CSV"):
        ArrivalRate.from_csv(5)  # type: ignore[arg-type]
    with pytest.raises(
        ValueError, match=r"the factor behind \* is missing; write a curve as FILE\.csv or FILE\.csv\*2"
    ):
        parse_arrival_rate("day.csv*")
    with pytest.raises(ObswarmError, match=r"ArrivalRate\.from_csv: .*line 2"):
        ArrivalRate.from_csv(written(tmp_path, "0,5\n1,x"))


def test_a_query_with_a_factor_is_read() -> None:
    query = "sum(rate(requests_total[1m]))[2h:15s] offset 1d"
    assert parse_rate_query(f"promql({query})*2.5") == (query, 2.5)
    assert parse_rate_query(f" promql( {query} ) * 0.2 ") == (query, 0.2)
    assert parse_rate_query(f"promql({query})") == (query, 1.0)
    # A factor within the query is the query's.
    assert parse_rate_query("promql((a[1h:1m])*2)") == ("(a[1h:1m])*2", 1.0)
    assert parse_rate_query("5/s") is None
    for text, part in (
        ("promql()", "has no query"),
        ("promql(a", "is not a curve; write it as"),
        ("promql(a)*x", "'x' is not a factor"),
        ("promql(a)*0", "has to be above 0"),
        ("promql(a)*", r"the factor behind \* is missing; write a curve as promql\(QUERY\) or promql\(QUERY\)\*2"),
    ):
        with pytest.raises(ValueError, match=part):
            parse_rate_query(text)


def test_samples_are_points_of_straight_lines() -> None:
    samples = [(100.0, 1.0), (110.0, math.nan), (120.0, 3.0), (121.0, 0.0)]
    assert rate_stages_of_samples(samples, 2) == (RateStage(0, 2), RateStage(20, 6), RateStage(1, 0))
    for wrong, part in (
        ([(0.0, 1.0)], "it has 1 values; a curve has from 2"),
        ([(0.0, 1.0), (1.0, math.inf)], "its value at 1, multiplied by 2, is inf"),
        ([(0.0, 1.0), (1.0, -1.0)], "a rate has to be from 0 to 1,000,000"),
        ([(0.0, 0.0), (1.0, 0.0)], "all rates are 0"),
    ):
        with pytest.raises(ValueError, match=part):
            rate_stages_of_samples(wrong, 2)


def test_curves_of_elsewhere_are_named_in_a_load_test_file() -> None:
    with pytest.raises(ObswarmError, match="is a curve of a Prometheus, which only --arrival-rate can have"):
        ArrivalRate("promql(a[1h:1m])*2")
    with pytest.raises(ObswarmError, match=r"'day\.csv\*2' is the name of a file; write ArrivalRate\.from_csv"):
        ArrivalRate("day.csv*2")
