"""Explain a run: what saturated first. Pure functions of a stored run; docs/explain.md describes the method."""

from obswarm.on_demand import imported_on_demand

with imported_on_demand(__name__):
    from obswarm.analysis.explain.document import explanation_document, sections
    from obswarm.analysis.explain.explanation import Explanation, explain
    from obswarm.analysis.explain.metrics_csv import (
        csv_document,
        csv_headline,
        csv_sections,
        explain_metrics,
        read_metrics_csv,
    )
    from obswarm.analysis.explain.sentences import first_suspect, headline

__all__ = [
    "Explanation",
    "csv_document",
    "csv_headline",
    "csv_sections",
    "explain",
    "explain_metrics",
    "explanation_document",
    "first_suspect",
    "headline",
    "read_metrics_csv",
    "sections",
]
