"""What `obswarm compare` prints of the load test's own metrics."""

from obswarm.analysis import mean_change
from obswarm.cli.compare import _custom
from obswarm.cli.text_console import stdout_console
from obswarm.report import Difference
from obswarm.stats import CustomKey, CustomKind


def test_all_metrics_of_the_load_test_are_shown_with_their_verdicts() -> None:
    def difference(after: float, is_significant: bool, inconclusive: str = "") -> Difference:
        values = [float(number % 3 + 10) for number in range(20)]
        change = mean_change("m", values, [value * after for value in values], least=0.02)
        return Difference(change, is_significant, inconclusive)

    def key(name: str) -> CustomKey:
        return CustomKey(name, CustomKind.HISTOGRAM, "items", ())

    found = {
        (key("cart_size"), "mean"): difference(2.0, True),
        (key("queue_length"), "mean"): difference(1.0, False),
        (key("coupons"), "mean"): difference(0.5, False, "both runs are too short"),
    }
    console = stdout_console()
    with console.capture() as captured:
        console.print(_custom(100, found))
    lines = captured.get().splitlines()
    (cart,) = [line for line in lines if "cart_size" in line]
    assert "+100.0%" in cart
    assert cart.split()[-1] == "more"
    (queue,) = [line for line in lines if "queue_length" in line]
    assert queue.rstrip().endswith("no difference shown")
    (coupons,) = [line for line in lines if "coupons" in line]
    assert coupons.split()[-1] == "inconclusive"
