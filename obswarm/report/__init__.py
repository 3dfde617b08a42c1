"""Results of a run for others: JSON, CSV and JUnit files, annotations in Grafana."""

from obswarm.report.csv_files import CsvFiles
from obswarm.report.grafana import GrafanaAnnotations
from obswarm.report.junit import junit_document
from obswarm.report.result import result_document, write_result

__all__ = ["CsvFiles", "GrafanaAnnotations", "junit_document", "result_document", "write_result"]
