"""What Locust did with each case, as `make lab-locust` has written it down in `recorded/`."""

import json
from pathlib import Path

from tests.locust_compat.corpus import HERE, Case
from tests.locust_compat.runs import Observation

FOLDER = HERE / "recorded"


def file_of(case: Case) -> Path:
    return FOLDER / f"{case.name}.json"


def read(case: Case) -> Observation:
    observation: Observation = json.loads(file_of(case).read_text(encoding="utf-8"))
    return observation


def write(case: Case, observation: Observation) -> None:
    text = json.dumps(observation, indent=1, ensure_ascii=False)
    file_of(case).write_text(text + "\n", encoding="utf-8")
