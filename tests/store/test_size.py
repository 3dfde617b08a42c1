"""How much room a run takes."""

from benchmarks.store.__main__ import SECONDS, main

LARGEST_STORE_BYTES = 60e6
LARGEST_REPORT_BYTES = 5e6


def test_half_an_hour_with_50_endpoints_and_500_figures_has_room_in_60_mb() -> None:
    found = main(SECONDS // 10)
    assert found["store_bytes"] < LARGEST_STORE_BYTES / 10
    # Its time axis has 600 points at most, so a tenth of the run may have a third of the whole report.
    assert found["report_bytes"] < LARGEST_REPORT_BYTES / 3
