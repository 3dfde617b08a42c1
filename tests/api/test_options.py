"""The parser that load-test files add their options to, as Locust's: also in groups of options."""

import pytest

from obswarm.api import Events, LoadTestParser, ObswarmError, make_parser


@pytest.fixture
def parser() -> LoadTestParser:
    return LoadTestParser(add_help=False)


def groups(parser: LoadTestParser) -> list:
    group = parser.add_argument_group("a group")
    return [parser, group, group.add_mutually_exclusive_group(), parser.add_mutually_exclusive_group()]


def test_what_locusts_parser_takes_is_taken_in_every_kind_of_group(
    parser: LoadTestParser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_1", "7")
    for number, each in enumerate(groups(parser)):
        each.add_argument(
            f"--pin{number}",
            type=int,
            env_var=f"SHOP_{number}",
            is_secret=number == 2,
            include_in_web_ui=False,
            default=0,
        )
    assert vars(parser.parse_args(["--pin3", "5"])) == {"pin0": 0, "pin1": 7, "pin2": 0, "pin3": 5}
    assert parser.secrets == {"pin2"}


def test_options_that_exclude_each_other(parser: LoadTestParser) -> None:
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--one", action="store_true")
    group.add_argument("--two", action="store_true", env_var="TWO")
    with pytest.raises(ObswarmError, match="--two: not allowed with argument --one"):
        parser.parse_args(["--one", "--two"])


def test_a_listener_that_fails_while_options_are_added_is_an_error_and_not_a_missing_option_later() -> None:
    events = Events()

    @events.init_command_line_parser.add_listener
    def add_options(parser: LoadTestParser) -> None:
        parser.add_argument("--one", no_such_argument=1)

    with pytest.raises(
        ObswarmError, match=r"add_options of the event init_command_line_parser raised TypeError"
    ) as error:
        make_parser(events, "loadtest.py")
    assert "test_options.py" in str(error.value)
