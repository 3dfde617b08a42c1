"""The files beside the description of the contest's parts say the same as it does."""

import csv
import sys
import tomllib

import pytest

from tests.support.contest import FOLDER


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    from system import parts

    yield parts
    for name in [name for name in sys.modules if name.split(".")[0] == "system"]:
        del sys.modules[name]


def test_obswarm_toml_names_every_target_at_its_port(parts) -> None:
    settings = tomllib.loads((FOLDER / "obswarm.toml").read_text())
    written = {(each["name"], each["kind"], each["url"]) for each in settings["targets"]}
    assert written == {
        (target.name, target.kind, f"http://127.0.0.1:{part.ports[target.port]}{target.path}")
        for part in parts.PARTS
        for target in part.targets
    }


def test_no_two_parts_have_the_same_port(parts) -> None:
    ports = [port for part in parts.PARTS for port in part.ports.values()]
    assert len(set(ports)) == len(ports)


def test_accounts_are_different_ones() -> None:
    with open(FOLDER / "accounts.csv", newline="") as file:
        names = [row["name"] for row in csv.DictReader(file)]
    assert len(set(names)) == len(names) == 4000


def test_missing_programs_are_named_with_their_packages(parts) -> None:
    from system import ContestError
    from system.native import check_programs

    missing = parts.Part("x", "", {}, ("no-such-program",), package="some-package")
    with pytest.raises(ContestError, match=r"Missing: no-such-program.*apt-get install some-package"):
        check_programs({"x": missing})
