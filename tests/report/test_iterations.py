from obswarm.report import intended_text, iteration_sentences
from obswarm.stats import NO_FREE_USER, PACING, RUN_STOPPED, TOTAL, EndpointStats


def test_iterations_that_were_not_started_are_a_share_of_those_that_were_planned() -> None:
    assert iteration_sentences(75, {NO_FREE_USER: 24, RUN_STOPPED: 1}, True) == [
        ("75 iterations finished.", False),
        (
            "DROPPED: 24 iterations (24.0%) were not started: all users were busy, and their maximum number (--max-users)"
            " was reached.",
            True,
        ),
        ("DROPPED: 1 iteration (1.0%) was not started: the run stopped before their user was ready.", False),
    ]


def test_users_that_fall_behind_their_pacing_are_a_shortfall() -> None:
    assert iteration_sentences(75, {}, False) == []
    ((text, is_warning),) = iteration_sentences(75, {PACING: 25}, False)
    assert is_warning
    assert text.startswith("SHORTFALL: 25 iterations (25.0%) could not be started in time")


def test_latency_from_the_intended_start_is_empty_without_one() -> None:
    stats = EndpointStats(TOTAL)
    assert intended_text(stats) == ""
    stats.record_intended(0.1)
    assert intended_text(stats) == "p50 99.6 ms, p95 99.6 ms, p99 99.6 ms"
