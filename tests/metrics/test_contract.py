"""Help texts of the metrics contract."""

import re
from collections.abc import Iterable

import pytest

from obswarm.metrics import contract
from obswarm.metrics.contract import Metric
from obswarm.record import GuardState


@pytest.mark.parametrize(
    ("metric", "values"),
    [
        (contract.WORKERS, contract.WORKER_STATES),
        (contract.GUARD_STATE, GuardState),
        (contract.ANNOTATIONS, contract.ANNOTATION_KINDS),
    ],
)
def test_the_help_text_names_every_value_of_the_label(metric: Metric, values: Iterable[str]) -> None:
    assert set(values) <= set(re.findall(r"\w+", metric.help))
