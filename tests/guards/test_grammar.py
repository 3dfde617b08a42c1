"""The grammar of conditions: parsing, errors, and the text of parsed conditions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obswarm.guards.conditions import (
    OPERATORS,
    AlertOperand,
    Condition,
    EngineOperand,
    Matcher,
    PromqlOperand,
    Quantity,
    When,
)
from obswarm.guards.grammar import GuardError, parse_condition, parse_when, split_name
from obswarm.guards.guard import Guard
from obswarm.guards.operands import OPERANDS, find_operand
from obswarm.sanitize import clean_text
from obswarm.stats import endpoint_key

NUMBERS = st.floats(-1e12, 1e12, allow_nan=False)
AMOUNTS = st.floats(1e-9, 1e12)
SHARES = st.floats(1e-9, 1, exclude_max=True)
TEXTS = st.text(max_size=20)
LABELS = st.lists(
    st.tuples(st.sampled_from(["name", "method", "scenario"]), TEXTS.map(clean_text)),
    max_size=3,
    unique_by=lambda each: each[0],
).map(tuple)
UNITS_OF = {"seconds": ["us", "ms", "s", "m", "h"], "number": [""], "ratio": ["%", ""]}
QUERIES = st.sampled_from(["up", 'max(a{b=")"}) / 2', "sum by (x) (rate(y[5s]))", "a{x='('}"]).map(PromqlOperand)
ALERTS = st.lists(
    st.builds(Matcher, st.sampled_from(["severity", "alertname"]), st.sampled_from(["=", "!="]), TEXTS), max_size=3
).map(lambda matchers: AlertOperand(tuple(matchers)))

NAMES = [row.name for row in OPERANDS.values() if row.pattern is None]


def conditions():
    def of(operands, units, numbers=NUMBERS):
        return st.builds(
            Condition, operands, st.sampled_from(list(OPERATORS)), st.builds(Quantity, numbers, st.sampled_from(units))
        )

    def of_metric(name: str):
        row = find_operand(name)
        return of(
            st.builds(EngineOperand, st.just(name), LABELS if row.labels or row.has_any_label else st.just(())),
            UNITS_OF[row.unit],
            SHARES if row.unit == "ratio" else AMOUNTS,
        )

    metrics = [
        of_metric(name) for name in (*NAMES, "p50", "p95", "p99.9", "p7", 'metric("own").p99.9', 'metric("own").rate')
    ]
    return st.one_of(*metrics, of(QUERIES, ["", "%", "ms", "s"]), of(ALERTS, [""], AMOUNTS))


LASTING = st.one_of(st.none(), st.builds(Quantity, st.floats(0, 1e6), st.sampled_from(["ms", "s", "m", "h"])))


def test_secrets_in_a_label_name_are_redacted_as_in_endpoint_names() -> None:
    for text in (
        'p95{name="/q?access_token=PLANTED"} < 5s',
        'promql(up{token="PLANTED"}) > 5',
        'alert(token="PLANTED")',
    ):
        assert "PLANTED" not in str(parse_condition(text))
    operand = parse_condition('p95{name="/q?access_token=PLANTED", method="GET"} < 5s').operand
    assert isinstance(operand, EngineOperand)
    assert dict(operand.labels) == endpoint_key("GET", "/q?access_token=PLANTED").document
    query = parse_condition('promql(up{token="PLANTED"}) > 5').operand
    assert isinstance(query, PromqlOperand)
    assert query.query == 'up{token="PLANTED"}'
    assert Guard("p95 > 1s", name="password=PLANTED").name == "password=***"


@given(conditions(), LASTING)
def test_the_text_of_any_condition_parses_to_an_equal_condition(condition, lasting) -> None:
    when = When(condition, lasting)
    assert parse_when(str(when)) == when


@given(st.text(max_size=60))
def test_any_text_parses_or_is_an_error_with_a_position(text: str) -> None:
    error = None
    try:
        parse_when(text)
    except GuardError as refusal:
        error = refusal
    assert error is None or (0 <= error.position <= len(text) and error.expected)


@pytest.mark.parametrize(
    ("text", "base", "for_s"),
    [
        ("error_ratio > 5% for 10s", 0.05, 10),
        ("error_ratio>0.05", 0.05, 0),
        ('p95{name="/login"} >= 500ms for 1m', 0.5, 60),
        ("p99.9 < 2s", 2, 0),
        ("avg > 250µs", 0.00025, 0),
        ("promql(max(mysql_global_status_threads_running)) > 64 for 5s", 64, 5),
        ("alert(severity='critical') for 500ms", 0, 0.5),
        ("alert()", 0, 0),
        ("rps < 1e3", 1000, 0),
        ("rps > 5 for 10", 5, 10),
        ("rps > 5 for 1.5m", 5, 90),
        ("rps > 5 for 1h30m", 5, 5400),
        ("rps > 5 for 1 h 30 m", 5, 5400),
        ("p95 > 1m30s for 2", 90, 2),
        ("worker_cpu > 120%", 1.2, 0),
        ("error_ratio >= 1", 1, 0),
        ("error_ratio == 0%", 0, 0),
    ],
)
def test_numbers_have_units(text: str, base: float, for_s: float) -> None:
    when = parse_when(text)
    assert when.condition.quantity.base == pytest.approx(base)
    assert when.for_s == for_s


@pytest.mark.parametrize(
    ("text", "position", "expected"),
    [
        ("eror_ratio > 5%", 0, "Did you mean error_ratio?"),
        ("error_ratio 5%", 12, "Expected an operator"),
        ("p95 > 500", 6, "Expected a duration for p95, such as 500ms or 2s. Did you mean 500ms?"),
        ("avg > 2", 6, "Expected a duration for avg, such as 500ms or 2s. Did you mean 2s?"),
        ("p95 > 500%", 6, "Expected a duration for p95, such as 500ms or 2s.\n"),
        ('failures{name="/a"} > 5%', 22, 'For a share there is error_ratio: error_ratio{name="/a"} > 5%.'),
        ("rps > 5s", 6, "Expected a number without a unit for rps."),
        ("rps > 5/s", 7, "Expected a number without a unit for rps; a rate is per second already."),
        ("users > 5%", 8, "without a unit for users"),
        ("p95 >", 5, "Expected a number"),
        ('p95{nam="x"} > 1s', 4, "one of the labels name, method, scenario, status"),
        ('p95{status="5xx"} > 1s', 4, "no label status"),
        ('rps{status="6xx"} > 1', 11, "Expected one of 1xx"),
        ('rps{name="a} > 1', 9, "no closing quote"),
        ('rps{name="a",name="b"} > 1', 13, "is given twice"),
        ('users{name="a"} > 1', 5, "has no labels"),
        ("promql(max(x) > 3", 0, "no closing parenthesis"),
        ("promql() > 3", 7, "Expected a query"),
        ("alert(x) ", 7, "Expected =, !=, =~ or !~"),
        ('alert(x=~"(")', 9, "Not a regular expression"),
        ("rps > 5x", 7, "one of the units"),
        ("rps > 5 for", 11, "a duration such as 10s"),
        ("rps > 5 for -3s", 12, "a duration such as 10s"),
        ("rps > 5 for 3%", 12, "a duration such as 10s"),
        ("rps > 5 fro 3s", 8, "Expected the end, or 'for'"),
        ("p100 > 1s", 0, "Expected a metric"),
        ("", 0, "Expected a metric"),
    ],
)
def test_an_error_has_the_expectation_and_the_position(text: str, position: int, expected: str) -> None:
    with pytest.raises(GuardError) as error:
        parse_when(text)
    assert error.value.position == position
    assert expected in str(error.value)
    lines = str(error.value).splitlines()
    assert lines[-1] == "  " + " " * position + "^"
    assert lines[-2] == "  " + text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("error_ratio > 5", "5 is 500%, and error_ratio is never above 100%. Did you mean 5%?"),
        ("error_ratio < 5", "Did you mean 5%?"),
        ("error_ratio != 5", "Did you mean 5%?"),
        ('error_ratio{name="/a"} >= 1.5', "Did you mean 1.5%?"),
        ("error_ratio > 500", "500 is 50000%, and error_ratio is never above 100%.\n"),
        ("error_ratio > 1", "error_ratio is never above 100%. Did you mean 1%?"),
        ("error_ratio > 100%", "error_ratio is never above 100%.\n"),
        ("error_ratio >= 101%", "error_ratio is never above 100%.\n"),
        ("error_ratio > -5%", "error_ratio is never below 0, so that this is always true."),
        ("error_ratio <= 100%", "error_ratio is never above 100%, so that this is always true.\n"),
        ("error_ratio <= 1", "error_ratio is never above 100%, so that this is always true. Did you mean 1%?"),
        ("error_ratio < 0%", "error_ratio is never below 0."),
        ("worker_cpu > 90", "90 is 9000%. Did you mean 90%?"),
        ("p95 > -1s", "p95 is never below 0, so that this is always true."),
        ("p99.9 < 0s", "p99.9 is never below 0."),
        ("users < 0", "users is never below 0."),
        ("rps == -1", "rps is never below 0."),
        ("alert() < 0", "The number of alerts is never below 0."),
        ('alert(severity="critical") > -1', "The number of alerts is never below 0, so that this is always true."),
        ("alert() >= 0", "The number of alerts is never below 0, so that this is always true."),
    ],
)
def test_a_condition_with_a_constant_result_is_refused(text: str, expected: str) -> None:
    for parse in (parse_when, parse_condition):
        with pytest.raises(GuardError) as error:
            parse(text)
        assert expected in str(error.value)


@pytest.mark.parametrize("threshold", [-1, 0, 50, 100, 101])
@pytest.mark.parametrize("operator", list(OPERATORS))
@pytest.mark.parametrize("name", [*NAMES, "p95"])
def test_a_condition_is_refused_if_all_possible_values_have_the_same_result(name, operator, threshold) -> None:
    row = find_operand(name)
    text = f"{name} {operator} {threshold}{ {'seconds': 's', 'ratio': '%', 'number': ''}[row.unit] }"
    values = [
        value for value in (0, 0.25, 0.5, 0.75, 1, 1.01, 25, 50, 75, 100, 100.5, 101, 1000) if value <= row.maximum
    ]
    scale = 100 if row.unit == "ratio" else 1
    if len({OPERATORS[operator](value * scale, threshold) for value in values}) > 1:
        parse_condition(text)
    else:
        with pytest.raises(GuardError, match="is never (below 0|above 100%)"):
            parse_when(text)


@pytest.mark.parametrize("operator", list(OPERATORS))
@pytest.mark.parametrize("name", [name for name in NAMES if find_operand(name).unit == "ratio"])
def test_a_share_that_was_meant_in_percent_is_refused_for_every_ratio(name: str, operator: str) -> None:
    with pytest.raises(GuardError, match="Did you mean 5%"):
        parse_when(f"{name} {operator} 5")


def test_a_requirement_has_no_for() -> None:
    with pytest.raises(GuardError, match="Expected the end"):
        parse_condition("p95 < 1s for 5s")


NAMED = st.text(st.characters(exclude_categories=["Cs", "Cc", "Z"], exclude_characters=":\"'`(){}[]<>=!"), min_size=1)


@given(conditions(), st.none() | NAMED)
def test_the_colon_after_a_name_is_distinguished_from_colons_in_the_condition(
    condition: Condition, name: str | None
) -> None:
    text = str(condition)
    assert split_name(text if name is None else f" {name} : {text}") == (name, text)


@pytest.mark.parametrize(
    ("text", "name", "when"),
    [
        ("slow: p95 > 2s", "slow", "p95 > 2s"),
        ("slow  checkout:p95>2s", "slow checkout", "p95>2s"),
        ("promql(obswarm:error_ratio:rate5s) > 1", None, "promql(obswarm:error_ratio:rate5s) > 1"),
        ("a: promql(b:c) > 1", "a", "promql(b:c) > 1"),
        ("p95{name='/a:b'} > 2s", None, "p95{name='/a:b'} > 2s"),
        ('alert(a="b:c")', None, 'alert(a="b:c")'),
    ],
)
def test_names(text: str, name: str | None, when: str) -> None:
    assert split_name(text) == (name, when)


def test_a_colon_without_a_name_is_refused() -> None:
    with pytest.raises(GuardError, match="Expected a name before the colon"):
        split_name(" : p95 > 2s")


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("promql(sum(x) # per shop's total\n) > 5", "sum(x)"),
        ('promql(# a ) or ( or "\nsum(x)\n# the end\n) > 5', "sum(x)"),
        ("promql(sum(x) # per\n by (shop)) > 5", "sum(x) \n by (shop)"),
        ("promql(x{a='#1'} + x{b=\"#\"} + x{c=`#`}) > 5", "x{a='#1'} + x{b=\"#\"} + x{c=`#`}"),
    ],
)
def test_comments_in_a_query_are_removed(text: str, query: str) -> None:
    operand = parse_condition(text).operand
    assert isinstance(operand, PromqlOperand)
    assert operand.query == query


def test_the_error_for_a_missing_parenthesis_mentions_a_comment_before_it() -> None:
    with pytest.raises(GuardError, match=r"no closing parenthesis\. A comment \(#\) lasts to the end of its line"):
        parse_condition("promql(x # all) > 5")
