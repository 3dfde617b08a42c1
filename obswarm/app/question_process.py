"""What the processes of `ask_process` have in common: a question on standard input, its answer on standard output, both
as JSON."""

import json
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

from obswarm.errors import ObswarmError
from obswarm.json_text import to_json
from obswarm.streams import echo_lines

_NICENESS = 10


def answer_question(answer: Callable[[dict[str, Any]], Mapping[str, Any]]) -> None:
    """Read the question, and write what `answer` returns for it, or its ObswarmError as `error`. A question that
    `yields` gives the process a low priority."""
    question = json.loads(sys.stdin.buffer.read())
    if question["yields"]:
        os.nice(_NICENESS)
    try:
        found = answer(question)
    except ObswarmError as error:
        found = {"error": str(error)}
    echo_lines(to_json(found))
