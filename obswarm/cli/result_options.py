"""The options of files and other outputs that get the results of a run."""

from collections.abc import Callable
from typing import Any

from obswarm.cli.options import run_option

file_options: tuple[Callable[[Any], Any], ...] = (
    run_option("--csv", metavar="PREFIX", help="Write CSV files in Locust's format; their names begin with PREFIX."),
    run_option("--csv-full-history", help="With --csv: write the history of every endpoint, not only of the total."),
    run_option("--json", "json_file", metavar="FILE|-", help="Write the result as JSON; - is standard output."),
    run_option(
        "--json-file",
        "stats_json",
        metavar="NAME|-",
        help="Write the statistics of all endpoints to NAME.json, as Locust does; - is standard output.",
    ),
    run_option(
        "--html",
        metavar="FILE",
        help="Write the report of the run to this file; {u}, {r} and {t} in its name stand for users, spawn rate and"
        " run time in seconds.",
    ),
    run_option(
        "--output",
        metavar="NAME[=ARGUMENT]",
        help="Send results to an output of an installed package, or to a class of a Python file, MODULE:CLASS;"
        " repeatable.",
    ),
)
