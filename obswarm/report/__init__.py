"""Results of a run in files: JSON and CSV."""

from obswarm.report.csv_files import CsvFiles
from obswarm.report.result import result_document, write_result

__all__ = ["CsvFiles", "result_document", "write_result"]
