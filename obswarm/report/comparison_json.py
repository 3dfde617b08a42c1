"""The comparison of two runs as a JSON document. Its keys are a contract."""

from typing import Any

from obswarm.analysis import CONFIDENCE
from obswarm.report.compare import Comparison, Difference
from obswarm.report.compare_targets import target_change_rows, target_sentences
from obswarm.units import rounded


def comparison_document(found: Comparison) -> dict[str, Any]:
    """Return a comparison as a JSON document. Changes are relative, except those of the error ratio: differences."""
    return {
        "base": found.base.run_id,
        "run": found.run.run_id,
        "seconds": found.seconds,
        "blocks": found.blocks,
        "paired": found.is_paired,
        "confidence": CONFIDENCE,
        "doubts": list(found.incomparable),
        "unjudged": [{**key.document, "reason": why} for key, why in found.inconclusive()],
        "endpoints": [
            {
                **key.document,
                "measures": {each.change.measure.name.replace(" ", "_"): _difference(each) for each in differences},
            }
            for key, differences in found.endpoints.items()
        ],
        "only": [{**key.document, "run": where} for key, where in found.only.items()],
        "targets": [
            {"target": metric.target, "kind": metric.kind, "figure": metric.name, "unit": metric.unit}
            | _difference(difference)
            for metric, difference in found.targets.items()
        ],
        "explanation": {"sentences": target_sentences(found), "changes": target_change_rows(found)},
        "metrics": [
            {"name": key.name, "labels": dict(key.labels), "unit": key.unit, "statistic": statistic}
            | _difference(difference)
            for (key, statistic), difference in found.custom.items()
        ],
        "settings": [{"name": name, "base": one, "run": other} for name, one, other in found.settings],
    }


def _difference(difference: Difference) -> dict[str, Any]:
    change = difference.change
    numbers = {"base": change.base, "run": change.run, "change": change.change, "low": change.low, "high": change.high}
    return {
        **{name: rounded(value) for name, value in numbers.items()},
        "verdict": difference.verdict,
    }
