"""The process of `Submitter`: reads a question from standard input, and writes the answer to standard output, both as
JSON. It then is the client of the run that it has submitted, until the end of that."""

import json
import logging
import os
import sys
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

from msgspec import convert, to_builtins

from obswarm import __version__
from obswarm.api import ObswarmError
from obswarm.app.client import run_remotely
from obswarm.app.guards_setup import EvaluateRequirements
from obswarm.app.loadtest_document import loadtest_document
from obswarm.app.masters import Master
from obswarm.app.planning import LoadedTest, files_of, load_test
from obswarm.app.start_request import config_of, loaded_with_arguments
from obswarm.config import SETTINGS, Origin, RunConfig, Source, from_wire
from obswarm.engine import Output, RunResult
from obswarm.json_text import to_json
from obswarm.streams import echo_error
from obswarm.web import MasterError
from obswarm.web.rest.requests import Start


class Unseen:
    """The display of a run that the page shows."""

    progress: Sequence[Output] = ()

    def closing(self, evaluate: EvaluateRequirements) -> Sequence[Output]:
        return ()

    def finished(self, result: RunResult) -> None:
        """Show nothing; failing outputs are in the log."""


def main() -> None:
    # The master logs the same.
    logging.getLogger().addHandler(logging.NullHandler())
    question = json.loads(sys.stdin.buffer.read())
    answers = _own_output()
    os.chdir(question["folder"])
    is_accepted = False

    def accepted(run_id: str) -> None:
        nonlocal is_accepted
        is_accepted = True
        _answer(answers, {"run_id": run_id})

    try:
        config = _config_of(question)
        loaded = load_test(config)
        if question["what"] == "describe":
            _answer(answers, to_builtins(loadtest_document(loaded, config)))
        else:
            _run(config, loaded, question, accepted)
    except ObswarmError as error:
        if is_accepted:
            echo_error(error)
        else:
            _answer(answers, {"error": str(error), "is_refused": isinstance(error, MasterError)})


def _own_output() -> BinaryIO:
    """Return standard output for the answer; what the load test prints goes to standard error."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return answers


def _answer(answers: BinaryIO, document: Any) -> None:
    with answers:
        answers.write(to_json(document, compact=True).encode() + b"\n")


def _config_of(question: dict[str, Any]) -> RunConfig:
    """Return the configuration of the service, with its own load test and store."""
    config = from_wire(question["config"], __version__)
    local = {name: tuple(value) if isinstance(value, list) else value for name, value in question["local"].items()}
    given = {"store": Origin(Source.COMMAND_LINE, SETTINGS["store"].option)}
    _, arguments = files_of(config.load.arguments, local["files"])
    values = local | {"files": (question["loadtest"],), "arguments": tuple(arguments)}
    return RunConfig.of(
        {name: config.value(name) for name in SETTINGS} | values, dict(config.origins) | given, config.file
    )


def _run(config: RunConfig, loaded: LoadedTest, question: dict[str, Any], accepted: Any) -> None:
    request = convert(question["start"], Start)
    config = config_of(config, request)
    loaded, arguments = loaded_with_arguments(loaded, request, config.load.arguments, config.file.custom)
    given = {name: Origin(Source.COMMAND_LINE, SETTINGS[name].option) for name in ("user_classes",) if loaded.names}
    config = replace(
        config.replaced({"arguments": tuple(arguments), "user_classes": loaded.names}),
        origins=dict(config.origins) | given,
    )
    loadtest = Path(question["loadtest"])
    # The master is on this machine and has the port, whatever name is in its certificate.
    warnings.filterwarnings("ignore", module="urllib3")
    master = Master(question["url"], question["token"], "this master", loadtest=loadtest, verify=False, is_own=True)
    run_remotely(config, master, lambda config: Unseen(), loaded=loaded, accepted=accepted)


if __name__ == "__main__":
    main()
