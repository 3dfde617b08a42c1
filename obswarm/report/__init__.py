"""Results of a run: HTML report, comparison, JSON, CSV and JUnit files, annotations in Grafana."""

from obswarm.on_demand import imported_on_demand

with imported_on_demand(__name__):
    from obswarm.report.change_limit import ChangeLimit, parse_change_limit
    from obswarm.report.compare import MEASURE_NAMES, SAME, Comparison, Difference, compare_runs
    from obswarm.report.compare_targets import target_sentences
    from obswarm.report.comparison_json import comparison_document
    from obswarm.report.csv_files import CsvFiles
    from obswarm.report.cut_off import cut_off_rows, cut_off_sentences
    from obswarm.report.grafana import GrafanaAnnotations
    from obswarm.report.iterations import intended_text, iteration_sentences, limited_sentence
    from obswarm.report.junit import junit_document
    from obswarm.report.locust_json import LocustStatistics
    from obswarm.report.page import comparison_page, run_page
    from obswarm.report.result import result_document
    from obswarm.report.run_wording import NO_REQUEST_SELECTED, generator_sentence, guard_outcome, no_data_text

__all__ = [
    "MEASURE_NAMES",
    "NO_REQUEST_SELECTED",
    "SAME",
    "ChangeLimit",
    "Comparison",
    "CsvFiles",
    "Difference",
    "GrafanaAnnotations",
    "LocustStatistics",
    "compare_runs",
    "comparison_document",
    "comparison_page",
    "cut_off_rows",
    "cut_off_sentences",
    "generator_sentence",
    "guard_outcome",
    "intended_text",
    "iteration_sentences",
    "junit_document",
    "limited_sentence",
    "no_data_text",
    "parse_change_limit",
    "result_document",
    "run_page",
    "target_sentences",
]
