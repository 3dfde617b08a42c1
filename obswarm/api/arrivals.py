"""ArrivalRate: the load of the open model, in which iterations start on a schedule, however slow the target is."""

import math
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

from obswarm.api.errors import ObswarmError
from obswarm.errors import reason_of
from obswarm.units import format_limit, parse_duration

ARRIVALS = ("constant", "poisson")
HIGHEST_ARRIVAL_RATE = 1_000_000.0
MOST_SEED = 2**53
_LONGEST_S = 30 * 86400.0
_PER_S = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
_EXAMPLE = "for example 200/s, 30/m or 500/h"
_MOST_POINTS = 20_000
"""Of a curve, whose stages are a setting that is sent to workers."""
_CURVE = re.compile(r"(.+\.csv)\s*(?:\*\s*([^*\s]*))?", re.IGNORECASE)
_QUERY = re.compile(r"promql\((.*)\)\s*(?:\*\s*([^*()\s]*))?", re.DOTALL)


class RateStage(NamedTuple):
    """A straight line from wherever the rate is to `rate` iterations per second, in `duration_s` seconds."""

    duration_s: float
    rate: float


class RateQuery(NamedTuple):
    """A curve that a Prometheus has: a query for its values over a time range, to be multiplied by `factor`."""

    query: str
    factor: float


def parse_rate(text: str) -> float:
    """Parse a rate such as `200/s`, `30/m` or `500/h` to iterations per second. Raises ValueError with a sentence
    without its full stop."""
    number, slash, unit = text.strip().partition("/")
    unit = unit.strip().lower()
    if not slash or unit not in _PER_S:
        raise ValueError(f"{text.strip()!r} is not a rate; write a number and a unit of time, {_EXAMPLE}")
    try:
        rate = float(number) / _PER_S[unit]
    except ValueError:
        raise ValueError(f"{number.strip()!r} is not a number; write a rate as NUMBER/UNIT, {_EXAMPLE}") from None
    if not (math.isfinite(rate) and 0 <= rate <= HIGHEST_ARRIVAL_RATE):
        raise ValueError(f"{text.strip()!r} has to be from 0 to {HIGHEST_ARRIVAL_RATE:,.0f} iterations per second")
    return rate


def parse_rate_stages(text: str) -> tuple[RateStage, ...]:
    """Parse a rate such as `200/s`, or stages of one such as `30s:50/s,2m:400/s,1m:0/s`.

    A rate without stages is one stage without an end: its duration is infinite. Raises ValueError with a sentence,
    without its full stop, that names the faulty part.
    """
    if parse_rate_query(text) is not None:
        raise ValueError(f"{text.strip()!r} is a curve of a Prometheus, which only --arrival-rate can have")
    if _CURVE.fullmatch(text.strip()):
        raise ValueError(
            f"{text.strip()!r} is the name of a file; write ArrivalRate.from_csv(FILE, factor) in a load-test file"
        )
    if ":" not in text and "," not in text:
        rate = parse_rate(text)
        if rate == 0:
            raise ValueError(f"{text.strip()!r} is no load; the rate has to be above 0")
        return (RateStage(math.inf, rate),)
    stages = []
    for number, part in enumerate(text.split(","), start=1):
        duration, colon, rate_text = part.strip().partition(":")
        where = f"stage {number} ({part.strip()!r})"
        if not colon:
            raise ValueError(f"{where} has no colon; write stages as DURATION:RATE, for example 30s:50/s,2m:400/s")
        try:
            stages.append(RateStage(parse_duration(duration), parse_rate(rate_text)))
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from None
    _check_stages(stages)
    return tuple(stages)


def _check_stages(stages: Sequence[RateStage]) -> None:
    total_s = sum(stage.duration_s for stage in stages)
    if not total_s > 0:
        raise ValueError("the stages last 0s altogether; give at least one of them a duration")
    if total_s > _LONGEST_S:
        raise ValueError("the stages are longer than 30 days altogether")
    if not any(stage.rate for stage in stages):
        raise ValueError("all rates are 0, which is no load")


def read_rate_curve(path: str | Path, factor: float = 1.0) -> tuple[RateStage, ...]:
    """Return the stages of a curve in a CSV file, multiplied by a factor: rows of a second and a rate in iterations per
    second, between which the rate follows straight lines. Seconds count from the first row, so they may be times of
    day or since 1970. A first row that is no numbers is a heading.

    Raises ValueError with a sentence, without its full stop, that names the file and the line.
    """
    # Only here: few load tests have such a file.
    import csv

    _check_factor(factor)
    try:
        with Path(path).open(encoding="utf-8-sig", newline="") as file:
            rows = [(number, row) for number, row in enumerate(csv.reader(file), start=1) if any(map(str.strip, row))]
    except (OSError, ValueError, csv.Error) as error:
        raise ValueError(f"{path} cannot be read: {reason_of(error)}") from None
    points: list[tuple[float, float]] = []
    for number, row in rows:
        try:
            second, rate = map(float, row)
        except ValueError:
            if number == rows[0][0] and len(row) == 2:
                continue
            raise ValueError(
                f"{path}, line {number}: {','.join(row)!r} is not a second and a rate, like 60,12.5"
            ) from None
        if not (math.isfinite(second) and 0 <= rate * factor <= HIGHEST_ARRIVAL_RATE):
            raise ValueError(
                f"{path}, line {number}: the rate has to be from 0 to {HIGHEST_ARRIVAL_RATE:,.0f} iterations per second"
            )
        if points and second < points[-1][0]:
            raise ValueError(f"{path}, line {number}: the second {second:.15g} comes before {points[-1][0]:.15g}")
        points.append((second, rate * factor))
    if not 2 <= len(points) <= _MOST_POINTS:
        raise ValueError(f"{path} has {len(points):,} rows with numbers; a curve has from 2 to {_MOST_POINTS:,}")
    return _stages_of_points(points)


def _check_factor(factor: Any) -> None:
    if isinstance(factor, bool) or not isinstance(factor, int | float):
        raise ValueError(f"the factor {factor!r} of the curve has to be a number above 0, such as 2 or 0.5")
    if not (math.isfinite(factor) and factor > 0):
        raise ValueError(f"the factor {factor:g} of the curve has to be above 0")


def _stages_of_points(points: Sequence[tuple[float, float]]) -> tuple[RateStage, ...]:
    times = [points[0][0], *(second for second, _ in points)]
    stages = [RateStage(second - before, rate) for before, (second, rate) in zip(times, points, strict=False)]
    _check_stages(stages)
    return tuple(stages)


def rate_stages_of_samples(samples: Sequence[tuple[float, float]], factor: float) -> tuple[RateStage, ...]:
    """Return the stages of a curve of samples, multiplied by a factor: ascending times in seconds and iterations per
    second, between which the rate follows straight lines. A sample that is not a number (0 requests of 0) is left out.

    Raises ValueError with a sentence, without its full stop, that names the time of the faulty sample.
    """
    points = [(second, rate * factor) for second, rate in samples if not math.isnan(rate)]
    for second, rate in points:
        if not 0 <= rate <= HIGHEST_ARRIVAL_RATE:
            raise ValueError(
                f"its value at {second:.15g}, multiplied by {factor:g}, is {rate:g}; a rate has to be from 0 to"
                f" {HIGHEST_ARRIVAL_RATE:,.0f} iterations per second"
            )
    if not 2 <= len(points) <= _MOST_POINTS:
        raise ValueError(f"it has {len(points):,} values; a curve has from 2 to {_MOST_POINTS:,}")
    return _stages_of_points(points)


def parse_rate_query(text: str) -> RateQuery | None:
    """Parse a query with an optional factor: `promql(sum(rate(requests_total[1m]))[2h:15s] offset 1d)*2`. Returns None
    for any other text. Raises ValueError with a sentence without its full stop."""
    found = _QUERY.fullmatch(text.strip())
    if found is None:
        if text.strip().startswith("promql("):
            raise ValueError(f"{text.strip()!r} is not a curve; write it as promql(QUERY) or promql(QUERY)*2")
        return None
    if not found[1].strip():
        raise ValueError("promql() has no query; write a curve as promql(QUERY) or promql(QUERY)*2")
    return RateQuery(found[1].strip(), _factor(found[2], "promql(QUERY)"))


def _factor(text: str | None, of: str) -> float:
    if text == "":
        raise ValueError(f"the factor behind * is missing; write a curve as {of} or {of}*2")
    try:
        factor = float(text or 1)
    except ValueError:
        raise ValueError(f"{text!r} is not a factor; write a curve as {of} or {of}*2") from None
    _check_factor(factor)
    return factor


def parse_arrival_rate(text: str) -> tuple[RateStage, ...]:
    """Parse what parse_rate_stages does, or the name of a CSV file with an optional factor: `day.csv`, `day.csv*2`.
    Raises ValueError as that and read_rate_curve do."""
    found = _CURVE.fullmatch(text.strip())
    if found is None:
        return parse_rate_stages(text)
    return read_rate_curve(found[1], _factor(found[2], "FILE.csv"))


def format_rate_stages(stages: Sequence[RateStage]) -> str:
    """Return stages as the text that parse_rate_stages reads."""
    if len(stages) == 1 and math.isinf(stages[0].duration_s):
        return f"{stages[0].rate:.15g}/s"
    return ",".join(f"{format_limit(stage.duration_s)}:{stage.rate:.15g}/s" for stage in stages)


@dataclass(frozen=True, slots=True)
class ArrivalRate:
    """A rate of iterations, of a load-test file (`arrival_rate = ArrivalRate("200/s")`) or of one of its user classes.

    `rate` is written as in `--arrival-rate`: `"200/s"`, or stages as `"30s:50/s,2m:400/s,1m:0/s"` (each a straight
    line to its rate), or a list of stages as (duration, iterations per second). `arrivals` is `"constant"`, at equal
    distances, or `"poisson"`, independent of each other; a Poisson process with a `seed` is the same one in every run
    with as many worker processes, which have equal parts of the rate then. `max_users` limits the users of these
    iterations over the fleet. None: the value of the run's option --arrivals, --arrivals-seed or --max-users. Raises
    ObswarmError for invalid values.
    """

    rate: str | Sequence[tuple[float | str, float]]
    arrivals: str | None = None
    seed: int | None = None
    max_users: int | None = None

    def __post_init__(self) -> None:
        self.stages()
        if self.arrivals is not None and self.arrivals not in ARRIVALS:
            raise ObswarmError(f"ArrivalRate: arrivals is {self.arrivals!r}; it has to be {' or '.join(ARRIVALS)}.")
        if self.seed is not None and not _is_whole(self.seed, 0, MOST_SEED):
            raise ObswarmError(f"ArrivalRate: seed is {self.seed!r}; it has to be a whole number, 0 or more.")
        if self.max_users is not None and not _is_whole(self.max_users, 1, 1_000_000):
            raise ObswarmError(
                f"ArrivalRate: max_users is {self.max_users!r}; it has to be a whole number from 1 to 1,000,000."
            )

    @classmethod
    def from_csv(cls, path: str | Path, factor: float = 1.0, **options: Any) -> Self:
        """Return the rate of a curve in a CSV file, rows of a second and a rate in iterations per second, multiplied by
        a factor. `options` are the other arguments of the class. Raises ObswarmError for an invalid file."""
        where: Any = path
        if not isinstance(where, str | os.PathLike):
            raise ObswarmError(f"ArrivalRate.from_csv: the path is {where!r}; it has to be the name of a CSV file.")
        try:
            stages = read_rate_curve(path, factor)
        except ValueError as error:
            raise ObswarmError(f"ArrivalRate.from_csv: {error}.") from None
        return cls([(stage.duration_s, stage.rate) for stage in stages], **options)

    def stages(self) -> tuple[RateStage, ...]:
        """Return the parsed stages. Raises ObswarmError when they are invalid."""
        rate: Any = self.rate
        try:
            if isinstance(rate, str):
                return parse_rate_stages(rate)
            if isinstance(rate, bytes) or not isinstance(rate, Sequence):
                raise ValueError(
                    f'{rate!r} is not a rate; write a text such as "200/s", stages as "30s:50/s,2m:400/s", or a list of'
                    " (duration, iterations per second)"
                )
            stages = tuple(_stage(number, each) for number, each in enumerate(rate, start=1))
            _check_stages(stages)
        except ValueError as error:
            raise ObswarmError(f"ArrivalRate: {error}.") from None
        return stages


def _stage(number: int, value: Any) -> RateStage:
    where = f"stage {number} ({value!r})"
    if isinstance(value, str | bytes) or not isinstance(value, Sequence) or len(value) != 2:
        raise ValueError(f'{where} has to be (duration, iterations per second), such as ("30s", 50)')
    try:
        return RateStage(parse_duration(value[0]), _rate(value[1]))
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where}: {error}") from None


def _rate(value: Any) -> float:
    if isinstance(value, str):
        return parse_rate(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{value!r} is not a number of iterations per second")
    return parse_rate(f"{float(value)!r}/s")


def _is_whole(value: object, least: int, most: int) -> bool:
    return type(value) is int and least <= value <= most


def arrival_rate_of(value: object, where: str) -> ArrivalRate | None:
    """Return the `arrival_rate` of a user class or a load-test file, which may be a text as well; None without one.
    Raises ObswarmError that begins with `where`."""
    if value is None or isinstance(value, ArrivalRate):
        return value
    if isinstance(value, str):
        try:
            return ArrivalRate(value)
        except ObswarmError as error:
            raise ObswarmError(f"{where}: {error}") from None
    raise ObswarmError(f'{where} is a {type(value).__name__}; it has to be ArrivalRate("200/s"), or a text like that.')
