"""Queries over tests.support.promql_history, the same ones for the same seed."""

from random import Random

COUNTERS = (
    "requests_total",
    "nan_total",
    "comes_and_goes",
    "rare_total",
    "often_total",
    "exact_total",
    "gaps_total",
    "path_total",
)
GAUGES = (
    "busy",
    "workers",
    "alive",
    "odd",
    "mixed",
    "never_a_number",
    "always_infinite",
    "below_zero",
    "slope",
    "tiny",
    "once",
    "flaps",
    "nothing",
)
BUCKETS = (
    "latency_bucket",
    "oddly_bucket",
    "negative_bucket",
    "endless_bucket",
    "lonely_bucket",
    "torn_bucket",
    "torn_nan_bucket",
    "empty_bucket",
)
WINDOWS = ("2s", "3s", "5s", "10s", "15s", "30s", "1m", "500ms", "1500ms")
OFFSETS = ("", "", "", "", " offset 1s", " offset 7s", " offset 30s", " offset -5s")
COUNTER_FUNCTIONS = ("rate", "increase", "irate", "resets")
GAUGE_FUNCTIONS = (
    "delta", "idelta", "deriv", "changes", "avg_over_time", "count_over_time", "last_over_time", "max_over_time", "min_over_time",
    "present_over_time", "stddev_over_time", "stdvar_over_time", "sum_over_time", "absent_over_time",
)  # fmt: skip
PLAIN_FUNCTIONS = (
    "abs", "ceil", "floor", "round", "sgn", "sqrt", "exp", "ln", "log2", "log10", "deg", "rad", "sort", "sort_desc", "absent", "timestamp",
    "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh",
)  # fmt: skip
AGGREGATIONS = ("sum", "avg", "min", "max", "count", "group", "stddev", "stdvar")
GROUPINGS = (
    "",
    "by (host)",
    "by (code, job)",
    "by (nowhere)",
    "by (kind, part, path)",
    "without (host)",
    "without (code)",
    "without ()",
    "by (__name__)",
)
MATCHERS = (
    'host="a"', 'host!="a"', 'host=~"a|b"', 'host!~"a.*"', 'code=~"[[:digit:]]+"', 'code=~"4.."', 'code!~"2.*"', 'nowhere=""', 'nowhere!=""',
    'host=~".*"', 'host=~".+"', 'kind=~"(?i)A|B"', 'job=~"sh.p"', 'code=~"\\\\d{3}"', 'host=~"a\\\\z|c"', 'job="shop", host!="b"', 'kind=~"^a$"',
)  # fmt: skip
PATH_MATCHERS = (
    'path=~"line.break"', 'path=~"\\\\p{L}+"', 'path=~".*\\\\pL.*"', 'path=~"[[:digit:]]+"', 'path=~"(?-s)line.break"', 'path="back\\\\slash"',
    'path=~"/[^a]*"', 'path=~"a|/|1234"', 'path=~"(?i)a\\\\.B"', 'path=~"\\\\$1"', 'path!~".*[[:space:]].*"', 'path=~".."', 'path=~"[[:^alpha:]]*"',
)  # fmt: skip
ARITHMETIC = ("+", "-", "*", "/", "%", "^", "atan2")
COMPARISONS = ("==", "!=", ">", "<", ">=", "<=", "> bool", "<= bool", "== bool", "!= bool")
MATCHINGS = ("", "", "on (host)", "on (host, job)", "ignoring (code)", "on ()", "ignoring (job)", "on (kind)")
GROUPED = (
    "on (host) group_left ()", "on (host) group_left (release)", "ignoring (release, code) group_left ()", "on (job, host) group_left (release)", "on (job) group_left (release, host)",
    "ignoring (code) group_left ()",
)  # fmt: skip
NUMBERS = (
    "0",
    "1",
    "2",
    "-1",
    "0.5",
    "1e3",
    "3.7",
    "Inf",
    "NaN",
    "-Inf",
    "time()",
    "pi()",
    "scalar(busy)",
    'scalar(busy{host="a"})',
    "-0.0",
)
QUANTILES = ("0", "0.01", "0.5", "0.9", "0.99", "1", "-1", "2", "NaN", "scalar(once)")

CHOSEN = (
    "sum(increase(exact_total[2s]))",
    "increase(exact_total[2s])",
    "increase(exact_total[10s])",
    "max(odd)", "min(odd)", "max(never_a_number)", "min(never_a_number)", "max(mixed)", "min(mixed)", "avg(tiny)", "sum(tiny)", "avg(odd)",
    "rate(nan_total[2s])", "rate(nan_total[10s])", "increase(nan_total[5s])",
    "rate((requests_total[5s]))",
    "max_over_time(rate(requests_total[5s])[30s:1s])", "sum_over_time(busy[20s:3s])", "rate(requests_total[20s:2s])", "avg_over_time(sum(busy)[15s:1s] offset 5s)",
    "quantile_over_time(0.9, busy[30s])", "quantile_over_time(2, busy[30s])", "quantile_over_time(-1, busy[30s])", "quantile_over_time(NaN, odd[9s])",
    "predict_linear(slope[30s], 10)", "predict_linear(busy[1m], 60)", "predict_linear(busy[1m] offset 10s, 60)", "deriv(slope[15s])",
    "topk(2, slope)", "topk(3, requests_total)", "topk by (job) (1, requests_total)", "bottomk(2, requests_total)", "topk(0, busy)", "topk(-1, busy)",
    "topk(9, odd)", "bottomk(9, odd)", "topk(NaN, busy)", "bottomk(Inf, busy)", "quantile(0.5, busy)", "quantile(0, odd)", "quantile(1, mixed)",
    "quantile by (job) (0.9, requests_total)", "quantile(NaN, busy)", "quantile(-0.1, busy)", "quantile(1.1, busy)",
    'count_values("value", busy)', 'count_values by (job) ("value", alive)', 'count_values("value", odd)', 'count_values without (kind) ("kind", mixed)',
    "scalar(busy)", "scalar(once)", "scalar(nothing)", "vector(3)", "vector(time())", "time()", "pi()", "-busy", "-(3)", "+busy", "--busy",
    'label_replace(busy, "dc", "$1-x", "host", "(.*)")', 'label_replace(busy, "dc", "${one}$$", "host", "(?P<one>a|b)")', 'label_replace(busy, "host", "", "host", ".*")',
    'label_replace(busy, "host", "all", "job", "shop")', 'label_replace(busy, "dc", "$9$1x", "host", "(.)")', 'label_replace(busy, "__name__", "other", "host", "a")',
    'label_replace(path_total, "x", "$1", "path", "(.+)")', 'label_replace(busy, "dc", "$", "host", "(.)")', 'label_replace(busy, "dc", "x", "nowhere", "")',
    'label_join(busy, "both", "-", "job", "host", "nowhere")', 'label_join(busy, "host", "")', 'label_join(busy, "both", ",")',
    'absent(nothing)', 'absent(nothing{a="1", b=~"2", c!="3"})', 'absent(nothing{a="1", a="2"})', "absent(sum(nothing))", 'absent_over_time(nothing{a="1"}[5s])',
    "absent(busy)", "absent_over_time(once[10s])", "present_over_time(comes_and_goes[10s])", "timestamp(busy)", "timestamp(busy offset 5s)", "timestamp(-busy)",
    "timestamp((busy))", "time() - timestamp(alive)",
    "clamp(busy, 2, 5)", "clamp(busy, 5, 2)", "clamp(odd, -1, 1)", "clamp_max(odd, 2)", "clamp_min(odd, 0)", "clamp(busy, NaN, 3)", "clamp_max(mixed, NaN)",
    "round(slope, 5)", "round(mixed, 0.3)", "round(odd)", "round(odd, 0)", "round(busy, NaN)", "round(busy - 4.5)", "round(-0.4 * busy)",
    "busy / on (host) workers", "busy / ignoring (job) workers", "busy / workers", "sum by (host) (busy) / on (host) sum by (host) (workers)",
    "requests_total / on (host) group_left busy", "busy * on (host) group_right requests_total", "requests_total * on (host) group_left (release) version",
    "requests_total / ignoring (code) group_left sum without (code) (requests_total)", "requests_total + on (host) busy", "busy + on (host) requests_total",
    "requests_total > on (host) group_left busy", "busy < on (host) group_right requests_total", "busy <= bool on (host) group_right () requests_total",
    "version * on (host) group_right (release) requests_total", "requests_total * on (job) group_left version",
    "busy and workers", "busy or workers", "busy unless workers", "busy and on (host) workers", "busy or on (host) requests_total", "requests_total unless on (host) busy",
    "busy and on () vector(1)", "busy unless ignoring (job, host) workers", "busy or vector(0)", "sum(nothing) or vector(0)", "vector(0) or busy",
    "busy > 3", "3 < busy", "busy > bool 3", "3 >= bool busy", "busy == busy", "odd == odd", "odd != odd", "odd > bool odd", "1 > bool 2", "busy > workers", "workers > busy",
    "sum(busy) > 3", "sum(busy) > bool 3", "busy % 3", "-7 % 3", "odd % odd", "odd ^ odd", "odd / odd", "odd * 0", "0 / 0", "1 / 0", "-1 / 0", "1 / -0.0", "2 ^ 3 ^ 2", "-2 ^ 2",
    "0 ^ -1", "-0.0 ^ -1", "(-8) ^ (1 / 3)", "10 ^ 400", "(-10) ^ 401", "0 ^ 0", "NaN ^ 0", "Inf % 3", "3 % Inf", "busy atan2 workers",
    '{__name__="busy"}', '{__name__="busy", host="a"}', '{"busy"}', "busy{host=\"a\", job='shop'}", "exp(1000 * workers)", "sinh(-1000 * workers)",
    "histogram_quantile(0.9, sum by (le) (rate(latency_bucket[10s])))", "histogram_quantile(0.9, sum without (host) (oddly_bucket))", "histogram_quantile(0.5, busy)",
    "histogram_quantile(scalar(busy), latency_bucket)", "count by (le) (oddly_bucket)", "group(busy)", "sum(nothing)", "count(nothing)", "exact_total offset 3s",
    "rate(exact_total[10s] offset 3s)", "rate(exact_total[1s])", "rate(exact_total[500ms])", "increase(once[1m])", "delta(exact_total[2s])", "rate(often_total[1s])",
    "sum by (job) (rate(requests_total{code!~\"5..\"}[15s])) / sum by (job) (rate(requests_total[15s]))",
)  # fmt: skip
"""What has been wrong, or might be."""

LIVE_FUNCTIONS = ("rate", "increase", "delta", "resets", "max_over_time", "count_over_time")
LIVE_QUERIES = (
    'sum by (code) (rate(live_requests_total[5s]))', 'sum(live_requests_total{code!="500"})', 'live_commits{exported_job="own", instance!="itself"}',
    'live_odd{empty=""}', 'live_requests_total{empty!=""}', 'live_latency_bucket{le="1.0"}', 'live_latency_bucket{le="1"}', 'live_latency_bucket{le=~"5.*"}',
    'histogram_quantile(0.9, sum by (le) (rate(live_latency_bucket[5s])))', 'live_latency_sum / live_latency_count', 'live_sometimes or live_page',
    'absent(live_sometimes{part="1"})', 'rate(live_latency_sum[3s]) / rate(live_latency_count[3s])', 'count({__name__="live_odd"})', 'up{job="live"}',
    'live_often{path=~"line.break.*"}', 'max(live_odd)', 'min(live_odd)', 'live_page offset 2s', 'max_over_time(sum(live_sometimes)[5s:500ms])',
)  # fmt: skip
"""Over tests.support.changing_page."""


def generated(number: int, seed: int = 1) -> list[str]:
    """So many, the same ones for the same seed."""
    made = _Made(Random(seed))
    return [made.vector(3) for _ in range(number)]


class _Made:
    def __init__(self, random: Random) -> None:
        self._random = random

    def _one(self, choices: tuple[str, ...]) -> str:
        return self._random.choice(choices)

    def selector(self, names: tuple[str, ...]) -> str:
        name = self._one(names)
        matchers = PATH_MATCHERS if name == "path_total" else MATCHERS
        return name + (f"{{{self._one(matchers)}}}" if self._random.random() < 0.5 else "")

    def ranged(self, names: tuple[str, ...]) -> str:
        return f"{self.selector(names)}[{self._one(WINDOWS)}]{self._one(OFFSETS)}"

    def vector(self, depth: int) -> str:
        if depth == 0:
            return self.selector(self._random.choice((COUNTERS, GAUGES))) + self._one(OFFSETS)
        return self._random.choice(
            (
                self._counted,
                self._over_time,
                self._aggregated,
                self._aggregated,
                self._binary,
                self._with_number,
                self._applied,
                self._quantile,
            )
        )(depth)

    def _counted(self, _: int) -> str:
        return f"{self._one(COUNTER_FUNCTIONS)}({self.ranged((*COUNTERS, *COUNTERS, *GAUGES))})"

    def _over_time(self, _: int) -> str:
        return f"{self._one(GAUGE_FUNCTIONS)}({self.ranged((*GAUGES, *COUNTERS))})"

    def _aggregated(self, depth: int) -> str:
        return f"{self._one(AGGREGATIONS)} {self._one(GROUPINGS)} ({self.vector(depth - 1)})"

    def _binary(self, depth: int) -> str:
        left, right = self.vector(depth - 1), self.vector(depth - 1)
        if self._random.random() < 0.25:
            return f"({left}) {self._one(('and', 'or', 'unless'))} {self._one(MATCHINGS)} ({right})"
        if self._random.random() < 0.3:
            return f"requests_total {self._one((*ARITHMETIC, *COMPARISONS))} {self._one(GROUPED)} ({self._one(('busy', 'version', right))})"
        return f"({left}) {self._one((*ARITHMETIC, *COMPARISONS))} {self._one(MATCHINGS)} ({right})"

    def _with_number(self, depth: int) -> str:
        sides = [f"({self.vector(depth - 1)})", self._one(NUMBERS)]
        self._random.shuffle(sides)
        return f"{sides[0]} {self._one((*ARITHMETIC, *COMPARISONS))} {sides[1]}"

    def _applied(self, depth: int) -> str:
        if self._random.random() < 0.2:
            return f"-({self.vector(depth - 1)})"
        return f"{self._one(PLAIN_FUNCTIONS)}({self.vector(depth - 1)})"

    def _quantile(self, _: int) -> str:
        q, buckets = self._one(QUANTILES), self.selector(BUCKETS)
        if self._random.random() < 0.6:
            buckets = f"{self._one(('rate', 'increase'))}({buckets}[{self._one(WINDOWS)}])"
        if self._random.random() < 0.5:
            buckets = f"sum {self._one(('by (le)', 'by (le, host)', 'without (host)'))} ({buckets})"
        return f"histogram_quantile({q}, {buckets})"
