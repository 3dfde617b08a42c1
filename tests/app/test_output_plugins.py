"""Outputs that installed packages add."""

import sys
from pathlib import Path

import pytest

from obswarm import Output, OutputParams
from obswarm.api import ObswarmError
from obswarm.app.output_plugins import GROUP, make_outputs

GOOD = """
from obswarm import ObswarmError, Output


class Sink(Output):
    def __init__(self, params):
        if params.argument == "refused":
            raise ObswarmError("that is no address")
        if params.argument == "wrong":
            raise KeyError("nothing")
        self.params = params


def nothing(params):
    return object()
"""


class Packages:
    """A folder of the import path, in which packages can be installed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def install(self, name: str, module: str, text: str, **entries: str) -> None:
        (self._folder / f"{module}.py").write_text(text)
        information = self._folder / f"{name}-1.5.dist-info"
        information.mkdir()
        (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.5\n")
        lines = "".join(f"{entry} = {module}:{value}\n" for entry, value in entries.items())
        (information / "entry_points.txt").write_text(f"[{GROUP}]\n{lines}")


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_imports: None) -> Packages:
    monkeypatch.syspath_prepend(str(tmp_path))
    return Packages(tmp_path)


def make(*requested: str) -> list[Output]:
    return make_outputs(requested, {"users": 3})


def test_an_output_is_made_with_its_argument_and_the_configuration(packages: Packages) -> None:
    packages.install("some-sink", "some_sink", GOOD, sink="Sink")
    first, second = make("sink=http://127.0.0.1/?a=b", "sink")
    assert first.params == OutputParams("http://127.0.0.1/?a=b", "--output sink", {"users": 3})
    assert second.params.argument == ""


def test_what_was_not_asked_for_is_not_imported(packages: Packages) -> None:
    packages.install("broken-sink", "broken_sink", "raise RuntimeError", broken="Sink")
    packages.install("some-sink", "some_sink", GOOD, sink="Sink")
    assert make() == []
    assert len(make("sink")) == 1
    assert "broken_sink" not in sys.modules


def test_an_unknown_name_is_refused_with_those_that_there_are(packages: Packages) -> None:
    packages.install("some-sink", "some_sink", GOOD, sink="Sink", another="Sink")
    with pytest.raises(
        ObswarmError, match=r"^--output snik: there is no output of that name; installed outputs: another, sink\.$"
    ):
        make("snik=http://user:secret@127.0.0.1")


def test_an_output_of_a_file_needs_no_package(packages: Packages, tmp_path: Path) -> None:
    (tmp_path / "my_sink.py").write_text(GOOD)
    (sink,) = make("my_sink:Sink=http://127.0.0.1/?a=b")
    assert sink.params == OutputParams("http://127.0.0.1/?a=b", "--output my_sink:Sink", {"users": 3})


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("my_sink:Snik", r"the output of the module my_sink cannot be used:\nAttributeError: .*Snik"),
        ("your_sink:Sink", r"the output of the module your_sink cannot be used:\nModuleNotFoundError: .*your_sink"),
        ("my_sink:nothing", r"my_sink:nothing of the module my_sink returned object, which is not an obswarm\.Output"),
        ("my_sink.py:Sink()", r"write the name of a Python module and of a class in it as MODULE:CLASS\.$"),
        (":Sink", r"write the name of a Python module"),
    ],
)
def test_a_file_without_the_output_is_named(packages: Packages, tmp_path: Path, name: str, reason: str) -> None:
    (tmp_path / "my_sink.py").write_text(GOOD)
    with pytest.raises(ObswarmError, match=reason):
        make(name)


def test_an_unknown_output_without_any_package_is_refused() -> None:
    with pytest.raises(ObswarmError, match="no package that adds outputs is installed"):
        make_outputs(["sink"], {}, installed=())


def test_a_package_that_cannot_be_imported_is_named_with_its_own_traceback(packages: Packages) -> None:
    packages.install("broken-sink", "broken_sink", "import json\nraise RuntimeError('too early')", broken="Sink")
    with pytest.raises(ObswarmError) as caught:
        make("broken")
    lines = str(caught.value).splitlines()
    assert lines[0] == "--output broken: the output of the package broken-sink 1.5 cannot be used:"
    assert lines[1] == "Traceback (most recent call last):"
    assert lines[2].endswith('broken_sink.py", line 2, in <module>')
    assert lines[-1] == "RuntimeError: too early"


def test_an_entry_point_to_nothing_is_named(packages: Packages) -> None:
    packages.install("some-sink", "some_sink", GOOD, sink="Snik")
    with pytest.raises(ObswarmError, match=r"the package some-sink 1\.5 cannot be used:\nAttributeError: .*Snik"):
        make("sink")


def test_an_output_that_refuses_its_argument_says_so(packages: Packages) -> None:
    packages.install("some-sink", "some_sink", GOOD, sink="Sink")
    with pytest.raises(ObswarmError, match="^--output sink: that is no address$"):
        make("sink=refused")


def test_an_output_that_cannot_be_made_is_named_with_its_traceback(packages: Packages) -> None:
    packages.install("some-sink", "some_sink", GOOD, sink="Sink")
    with pytest.raises(ObswarmError, match=r"some_sink\.py(?s:.*)KeyError: 'nothing'$"):
        make("sink=wrong")


def test_what_is_no_output_is_refused(packages: Packages) -> None:
    packages.install("some-sink", "some_sink", GOOD, sink="nothing")
    with pytest.raises(
        ObswarmError,
        match=r"some_sink:nothing of the package some-sink 1\.5 returned object, which is not an obswarm\.Output",
    ):
        make("sink")


def test_a_name_of_two_packages_is_refused(packages: Packages) -> None:
    packages.install("a-sink", "a_sink", GOOD, sink="Sink")
    packages.install("b-sink", "b_sink", GOOD, sink="Sink")
    with pytest.raises(ObswarmError, match=r"a-sink 1\.5 and b-sink 1\.5 both add an output of that name"):
        make("sink")
