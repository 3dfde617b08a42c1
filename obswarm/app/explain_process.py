"""The process of `Explainer`: reads a question from standard input, and writes the explanation of a stored run to
standard output, both as JSON."""

from pathlib import Path
from typing import Any

from obswarm.analysis.explain import explain, first_suspect, headline
from obswarm.app.question_process import answer_question
from obswarm.store import Store, read_run
from obswarm.targets import KINDS, kind_of_table


def answer(question: dict[str, Any]) -> dict[str, str]:
    """Return what saturated first in the run, as the texts of `Explained`. Raises ObswarmError."""
    KINDS.add(kind_of_table("", table) for table in question["kinds"])
    with Store(Path(question["store"])) as store:
        found = explain(read_run(store, store.find(question["run"])))
    return {"sentence": headline(found) if found.has_broken else "", "suspect": first_suspect(found)}


if __name__ == "__main__":
    answer_question(answer)
