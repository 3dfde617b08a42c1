"""`make lab-kubernetes`: the Helm chart by Helm itself, which is recorded for make test.

Builds the newest Helm with Go (some minutes, once), into .components/bin. Then lints the chart, renders it with every
combination of values of tests/support/kubernetes_releases.py, compares each object with that of `obswarm k8s render`, checks
that both refuse the same values, and writes what Helm made to tests/data/kubernetes/.
"""

import gzip
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml

from obswarm.kubernetes import Release, ValuesError, make_objects, read_values
from tests.support.kubernetes_releases import (
    CHART,
    NAME,
    NAMESPACE,
    RECORDED,
    REFUSED,
    comparable,
    digest_of_chart,
    every_release,
)
from tests.support.programs import ROOT

_BIN = ROOT / ".components" / "bin"


def main() -> int:
    helm = _helm()
    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        chart = Path(folder, "obswarm")
        # As it is packaged: with files in place of links.
        shutil.copytree(CHART, chart, symlinks=False)
        linted = _call(helm, "lint", "--strict", chart)
        print(linted.stdout + linted.stderr, end="")
        wrong += linted.returncode != 0
        recorded = {}
        for name, values in every_release().items():
            file = Path(folder, "values.yaml")
            file.write_text(yaml.safe_dump(values))
            done = _call(helm, "template", NAME, chart, "--namespace", NAMESPACE, "--values", file)
            if done.returncode:
                print(f"{name}: Helm refuses: {done.stderr}")
                wrong += 1
                continue
            theirs = comparable([each for each in yaml.safe_load_all(done.stdout) if each])
            ours = comparable(make_objects(Release(NAME, NAMESPACE, read_values([file]))))
            recorded[name] = theirs
            differing = [key for key in sorted({*theirs, *ours}) if theirs.get(key) != ours.get(key)]
            wrong += bool(differing)
            for key in differing:
                print(f"{name}: {key} differs:\n  Helm:    {_text(theirs.get(key))}\n  obswarm: {_text(ours.get(key))}")
        for name, (values, message) in REFUSED.items():
            wrong += _is_accepted(helm, chart, Path(folder), name, values, message)
    print(f"{len(recorded)} combinations of values, {len(REFUSED)} to be refused; {wrong} are not as they should be.")
    content = json.dumps({"chart": digest_of_chart(), "releases": recorded}, sort_keys=True)
    (RECORDED / "helm.json.gz").write_bytes(gzip.compress(content.encode(), mtime=0))
    return 1 if wrong else 0


def _is_accepted(helm: Path, chart: Path, folder: Path, name: str, values: Any, message: str) -> bool:
    file = folder / "values.yaml"
    file.write_text(yaml.safe_dump(values))
    done = _call(helm, "template", NAME, chart, "--values", file)
    if done.returncode == 0 or message not in done.stderr:
        print(f"{name}: Helm does not refuse it as it should: {done.stderr}")
        return True
    try:
        read_values([file])
    except ValuesError:
        return False
    print(f"{name}: obswarm does not refuse it.")
    return True


def _helm() -> Path:
    found = shutil.which("helm", path=f"{_BIN}{os.pathsep}{os.environ['PATH']}")
    if found is None:
        if shutil.which("go") is None:
            sys.exit("The lab needs Helm, or Go to build it with.")
        environment = {**os.environ, "GOBIN": str(_BIN.resolve())}
        subprocess.run(["go", "install", "helm.sh/helm/v4/cmd/helm@latest"], env=environment, check=True, timeout=1800)
        found = str(_BIN / "helm")
    return Path(found)


def _call(*words: object) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(list(map(str, words)), capture_output=True, text=True, timeout=120, check=False)


def _text(each: Any) -> str:
    return json.dumps(each, sort_keys=True)


if __name__ == "__main__":
    sys.exit(main())
