"""Options in obswarm.toml: every option of the commands that keep any, from every source, with what is wrong named."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from obswarm.api import ObswarmError
from obswarm.app.guards_setup import guards_of
from obswarm.app.sources import targets_of
from obswarm.cli.configure import resolve_precedence
from obswarm.cli.file_option import FileOption
from obswarm.cli.main import cli
from obswarm.cli.run import config_of
from obswarm.cli.settings import SectionCommand, TopLevelCommand, commands_of, options_of, top_level_options
from obswarm.config import SETTINGS, RunConfig, for_client, read_file_config
from obswarm.guards import configured_guards
from tests.support.refusals import refusal

SAMPLES = (
    "90",
    "3s",
    "http://127.0.0.1:5/x",
    "30s:5",
    "127.0.0.1:5558",
    "1%",
    "hold",
    "200/s",
    '[{"user_class_name": "Visitor"}]',
)
COMMANDS = {str(command.name): command for command in commands_of(cli)}
CASES = [
    (command, option)
    for command in COMMANDS.values()
    for option in options_of(command)
    if isinstance(command, TopLevelCommand | SectionCommand)
]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("OBSWARM_")]:
        monkeypatch.delenv(name)
    return tmp_path


def parsed(command: str, *arguments: str, toml: str | None = None) -> click.Context:
    if toml is not None:
        Path("obswarm.toml").write_text(toml)
    required = ["--master", "127.0.0.1"] if command == "worker" and "--master" not in arguments and toml is None else []
    with click.Context(cli, info_name="x", **cli.context_settings) as parent:
        ctx = COMMANDS[command].make_context(command, [*required, *arguments], parent=parent)
    resolve_precedence(ctx)
    return ctx


def sample_of(command: click.Command, option: FileOption) -> str:
    """A text that the option takes, and that is not its default."""
    if option.is_flag:
        return ""
    if isinstance(option.type, click.Choice):
        return next(str(text) for text in option.type.choices if text != option.default)
    if isinstance(option.type, click.IntRange):
        return str((option.type.min or 0) + 2)
    ctx = click.Context(command)
    for text in SAMPLES:
        try:
            option.type.convert(text, option, ctx)
        except click.BadParameter:
            continue
        if text != option.default:
            return text
    raise AssertionError(option.key)


def in_toml(command: click.Command, option: FileOption, text: str) -> str:
    value: Any = True if option.is_flag else [text] if option.multiple else text
    if isinstance(option.type, click.types.IntParamType):
        value = int(text)
    section = f"[{command.name}]\n" if isinstance(command, SectionCommand) else ""
    needed = 'master = "127.0.0.1"\n' if command.name == "worker" and option.key != "master" else ""
    return f"{section}{needed}{option.key} = {json.dumps(value)}\n"


@pytest.mark.parametrize(
    ("command", "option"), CASES, ids=[f"{command.name}-{option.key}" for command, option in CASES]
)
def test_the_file_says_what_the_command_line_can_say(command: click.Command, option: FileOption) -> None:
    text = sample_of(command, option)
    name = str(option.name)
    by_line = parsed(str(command.name), option.long, *([] if option.is_flag else [text]))
    value = by_line.params[name]
    by_file = parsed(str(command.name), toml=in_toml(command, option, text))
    if option.adds:
        assert config_of(by_file).file.texts[option.key] == value
        return
    assert by_file.params[name] == value
    if isinstance(command, TopLevelCommand):
        assert config_of(by_file).value(name) == config_of(by_line).value(name) == value
        assert config_of(by_line).label(name) == option.long
        assert config_of(by_file).label(name) == f"{option.key} in obswarm.toml"


@pytest.mark.parametrize(
    ("command", "option"), CASES, ids=[f"{command.name}-{option.key}" for command, option in CASES]
)
def test_a_value_of_the_wrong_type_is_named_with_its_place(command: click.Command, option: FileOption) -> None:
    if option.adds:
        Path("obswarm.toml").write_text(f"{option.key} = 5\n")
        with pytest.raises(ObswarmError, match=rf"obswarm.toml: {option.key} has to be a list of texts\."):
            read_file_config(None, Path.cwd())
        return
    section = f"[{command.name}] " if isinstance(command, SectionCommand) else ""
    text = in_toml(command, option, sample_of(command, option)).rpartition(" = ")[0] + " = 2020-01-01\n"
    with pytest.raises(ObswarmError) as error:
        parsed(str(command.name), toml=text)
    place = f"obswarm.toml: {section}{option.key} is a date or a time; it has to be "
    assert str(error.value).startswith(place)


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("stop_when", "p95 > 9s"),
        ("abort_when", "slow: p95 > 9s"),
        ("hold_when", "error_ratio > 5% for 10s"),
        ("notify_when", "promql(redis_up) < 1"),
        ("guard", "scale(50%): p95 > 9s"),
        ("require", "p95 < 500ms"),
        ("target", "mysql=http://127.0.0.1:5/metrics"),
    ],
)
def test_what_the_file_adds_has_the_effect_that_it_has_on_the_command_line(key: str, text: str) -> None:
    def effect(ctx: click.Context) -> object:
        config = config_of(ctx)
        setup = guards_of(config, configured_guards(config, ()))
        return [guard.rule for guard in setup.evaluator.guards], setup.requirements, targets_of(config)

    more = () if key == "target" else ("--target", "redis=http://127.0.0.1:5/metrics")
    by_line = effect(parsed("run", *more, f"--{key.replace('_', '-')}", text))
    by_file = effect(parsed("run", *more, toml=f"{key} = {json.dumps([text])}\n"))
    assert by_file == by_line


def test_the_options_of_run_are_all_there_but_those_that_only_show_something() -> None:
    options = [each for each in COMMANDS["run"].params if isinstance(each, click.Option) and not each.hidden]
    assert {option.name for option in options if not getattr(option, "in_file", False)} == {
        "config",
        "list_users",
        "show_task_ratio",
        "show_task_ratio_json",
        "version",
    }


def test_command_line_over_environment_over_file_over_default(monkeypatch) -> None:
    toml = "users = 2\nspawn_rate = 3\nrun_time = 4\n"
    monkeypatch.setenv("OBSWARM_USERS", "20")
    monkeypatch.setenv("OBSWARM_SPAWN_RATE", "30")
    ctx = parsed("run", "--users", "200", toml=toml)
    assert [ctx.params[name] for name in ("users", "spawn_rate", "run_time")] == [200, 30.0, 4.0]
    assert ctx.params["stop_timeout"] == 10.0
    labels = [config_of(ctx).label(name) for name in ("users", "spawn_rate", "run_time", "stop_timeout")]
    assert labels == ["--users", "OBSWARM_SPAWN_RATE", "run_time in obswarm.toml", "--stop-timeout"]


@pytest.mark.parametrize("value", ["5400", '"1h30m"', '"90m"', "5400.0", '"1.5h"', '"5400"'])
def test_a_duration_is_a_text_or_a_number_of_seconds(value: str) -> None:
    assert parsed("run", toml=f"run_time = {value}").params["run_time"] == 5400


@pytest.mark.parametrize(
    ("toml", "expected"),
    [
        ("user = 5", "obswarm.toml: unknown key 'user'. Did you mean users?"),
        ("spawn-rate = 5", "unknown key 'spawn-rate'. Did you mean spawn_rate?"),
        ("labels = ['a=b']", "Did you mean label?"),
        ("quite_different = 1", "unknown key 'quite_different'. Known keys: "),
        ("list = true", "unknown key 'list'."),
        ("[worker]\nmastr = 'x'", "obswarm.toml: [worker] unknown key 'mastr'. Did you mean master?"),
        ("worker = 5", "obswarm.toml: worker is a number; it has to be a table, [worker]."),
        ("users = '10'", "obswarm.toml: users is a text; it has to be a whole number."),
        ("users = true", "obswarm.toml: users is true or false; it has to be a whole number."),
        ("users = 2.5", "obswarm.toml: users is a number; it has to be a whole number."),
        ("users = 0", "obswarm.toml: users: 0 is not in the range 1<=x<=1000000"),
        ("users = [5]", "obswarm.toml: users is a list; it has to be a whole number."),
        ("headless = 'yes'", "obswarm.toml: headless is a text; it has to be true or false."),
        ("run_time = -5", "obswarm.toml: run_time: '-5' is not a duration"),
        ("run_time = inf", "obswarm.toml: run_time: 'inf' is not a duration"),
        ("spawn_rate = nan", "obswarm.toml: spawn_rate: nan is not a finite number."),
        ("loglevel = 'LOUD'", "obswarm.toml: loglevel: 'LOUD' is not one of"),
        ("remote_write_token = 1234567", "obswarm.toml: remote_write_token is a number; it has to be a text."),
        ("tags = ['a', 5]", "obswarm.toml: tags is a number; it has to be a list of texts."),
        ("host = 5", "obswarm.toml: host is a number; it has to be a text."),
        ("stop_when = 'p95 > 1s'", "obswarm.toml: stop_when has to be a list of texts."),
        # Of other commands.
        ("orphan_timeout = 'x'", "obswarm.toml: orphan_timeout: 'x' is not a duration"),
        ("expect_workers = 0", "obswarm.toml: expect_workers: 0 is not in the range"),
        ("bind = 'foo:bar'", "obswarm.toml: bind: 'foo:bar' is not an address"),
        ("[up]\nworkers = 'x'", "obswarm.toml: [up] workers is a text; it has to be a whole number."),
        ("[worker]\nprocesses = 0", "obswarm.toml: [worker] processes: 0 is not in the range"),
    ],
)
def test_what_is_wrong_in_the_file_is_a_sentence(toml: str, expected: str) -> None:
    with pytest.raises(ObswarmError) as error:
        parsed("run", toml=toml)
    assert expected in str(error.value)
    assert "1234567" not in str(error.value)


def test_what_is_wrong_is_said_even_if_it_is_not_used(monkeypatch) -> None:
    monkeypatch.setenv("OBSWARM_WEB_PORT", "0")
    for toml, arguments in (
        ("run_time = 'x'", ["-t", "1"]),
        ("headless = 5", ["--headless"]),
        ("web_port = 99999", []),
    ):
        with pytest.raises(ObswarmError, match=rf"^obswarm\.toml: {toml.split()[0]}"):
            parsed("run", *arguments, toml=toml)


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("label", "a", ": label 'a' has no '='"),
        ("remote_write", "foo", ": 'foo' is not a URL"),
        ("remote_write_auth", "x:y", " needs --remote-write URL."),
        ("metrics_addr", "203.0.113.7", " 203.0.113.7: cannot listen on it: not an address of this machine."),
        ("loadtest", "nix.py", ": No such load-test file: nix.py."),
        ("loadtest", ",", " is empty; give a file."),
        ("json", "/proc/nix/x", " /proc/nix/x: the file cannot be written"),
        ("earlier_alerts_max_wait", "5s", " needs --earlier-alerts wait."),
        ("grafana_url", "http://127.0.0.1:1", " needs --grafana-token"),
    ],
)
def test_errors_about_an_option_name_the_origin_of_its_value(key, value, expected, folder, monkeypatch) -> None:
    (folder / "loadtest.py").write_text(
        "from obswarm import User, task\nclass Visitor(User):\n    @task\n    def visit(self): pass\n"
    )
    arguments = ["run", "--local", "--workers", "0", "--no-store", "--headless", "-t", "100ms"]
    option = "--" + key.replace("_", "-")

    def said(*more: str) -> str:
        return refusal(*arguments, *more)

    assert f"{option}{expected}" in said(option, value)
    monkeypatch.setenv(f"OBSWARM_{key.upper()}", value)
    assert said().startswith(f"OBSWARM_{key.upper()}{expected}")
    monkeypatch.delenv(f"OBSWARM_{key.upper()}")
    Path("obswarm.toml").write_text(f"{key} = {json.dumps([value] if key in ('label', 'loadtest') else value)}\n")
    assert said().startswith(f"obswarm.toml: {key}{expected}")


@pytest.mark.parametrize(
    ("key", "name", "values"),
    [
        *((f"{action}_when", f"{action}_when", ("p95 > 2s for 5s", "users >= 3")) for action in ("stop", "hold")),
        ("guard", "guards", ("scale(50%): half: p95 > 2s", "notify: users > 3")),
        ("require", "requirements", ("p95 < 500ms", "error_ratio < 1%")),
        ("prometheus_header", "prometheus_headers", ("X-Scope-OrgID: shop", "X-More: a b")),
    ],
)
def test_values_with_blanks_stand_on_a_line_each_in_the_environment(key, name, values, monkeypatch) -> None:
    monkeypatch.setenv(f"OBSWARM_{key.upper()}", "\n".join(["", *values, ""]))
    assert parsed("run").params[name] == values


def test_a_value_of_the_environment_that_makes_no_sense_is_named_by_its_variable(monkeypatch) -> None:
    monkeypatch.setenv("OBSWARM_USERS", "many")
    with pytest.raises(click.BadParameter) as error:
        parsed("run")
    assert error.value.format_message().startswith("Invalid value for OBSWARM_USERS (environment): ")


def test_of_two_options_that_exclude_each_other_the_nearer_one_counts(capsys, monkeypatch) -> None:
    ctx = parsed("run", "--users", "5", toml="stages = '10s:5'\n")
    assert (ctx.params["users"], ctx.params["stages"]) == (5, None)
    assert list(config_of(ctx).origins) == ["users"]
    assert capsys.readouterr().err == "Note: stages in obswarm.toml is not used, because of --users.\n"
    monkeypatch.setenv("OBSWARM_STAGES", "10s:5")
    ctx = parsed("run", toml="users = 3\nspawn_rate = 4\n")
    assert (ctx.params["users"], ctx.params["spawn_rate"], len(ctx.params["stages"])) == (None, None, 1)
    assert "spawn_rate in obswarm.toml is not used, because of OBSWARM_STAGES." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "toml", "labels"),
    [
        (("--users", "5", "--stages", "5s:1"), "", "--stages and --users"),
        ((), "users = 5\nstages = '5s:1'\n", "stages in obswarm.toml and users in obswarm.toml"),
        (("--local", "--master", "http://h"), "", "--local and --master"),
        (("--no-store", "--store", "there"), "", "--no-store and --store"),
        (
            (),
            "remote_write_auth = 'a:b'\nremote_write_token = 't'\n",
            "remote_write_auth in obswarm.toml and remote_write_token in obswarm.toml",
        ),
    ],
)
def test_two_that_are_equally_near_are_refused(arguments: tuple[str, ...], toml: str, labels: str) -> None:
    with pytest.raises(click.UsageError) as error:
        parsed("run", *arguments, toml=toml)
    assert error.value.message == f"{labels} exclude each other; leave one of them out."


def test_a_load_test_file_on_the_command_line_is_nearer_than_one_of_the_file_or_the_environment(monkeypatch) -> None:
    toml = "loadtest = 'usual.py'\n"
    assert parsed("run", "Visitor", toml=toml).params["files"] == ("usual.py",)
    assert parsed("run", "other.py", toml=toml).params["files"] == ()
    monkeypatch.setenv("OBSWARM_LOADTEST", "third.py")
    assert parsed("run", "other.py").params["files"] == ()
    assert parsed("run", "-f", "fourth.py").params["files"] == ("fourth.py",)


def test_other_commands_take_what_they_share_and_their_own_table() -> None:
    toml = (
        "store = 'kept'\nproject = 'shop'\nworkers = 3\nlogfile = 'run.log'\nmaster = 'http://m'\n"
        "[up]\nworkers = 7\n[worker]\nmaster = '10.0.0.5'\n"
    )
    assert parsed("list", toml=toml).params["store"] == "kept"
    up = parsed("up").params
    assert (up["workers"], up["project"]) == (7, "shop")
    worker = parsed("worker", "--processes", "2", toml=toml).params
    assert (worker["master"], worker["logfile"]) == (("10.0.0.5", 5557), None)
    run = parsed("run").params
    assert (run["workers"], run["master"], run["logfile"]) == (3, "http://m", "run.log")


def test_a_service_gives_its_runs_nothing_that_their_clients_could_have_said() -> None:
    toml = "users = 5\njson = 'x.json'\nbind = '127.0.0.1:5999'\norphan_timeout = 5\n"
    service = config_of(parsed("master", toml=toml))
    assert service.load.users == 5
    run = for_client(service, RunConfig())
    assert (run.load.users, run.outputs.json_file) == (None, None)
    assert (run.cluster.bind, run.cluster.orphan_timeout) == (("127.0.0.1", 5999), 5.0)


@pytest.mark.parametrize("command", ["run", "master", "config"])
def test_without_any_option_all_settings_have_the_defaults_of_run_config(command: str) -> None:
    assert config_of(parsed(command)) == RunConfig()


def test_every_setting_has_its_option_and_every_option_of_a_run_its_setting() -> None:
    options = {
        option.name: option
        for name in ("run", "master")
        for option in COMMANDS[name].params
        if isinstance(option, FileOption) and option.in_file
    }
    assert set(options) == {name for name, each in SETTINGS.items() if each.option}
    for name, option in options.items():
        assert option.long == SETTINGS[name].option
        names = [option.envvar] if isinstance(option.envvar, str) else option.envvar or [None]
        assert names[0] in (SETTINGS[name].variable, None)


@pytest.mark.parametrize(
    ("toml", "argument", "left", "note"),
    [
        ("remote_write_auth = 'a:b'\n", "--remote-write-token=t", ("remote_write_auth", None), "remote_write_auth in"),
        ("no_store = true\n", "--store=there", ("no_store", None), "no_store in obswarm.toml is not used"),
        ("store = 'there'\n", "--no-store", ("store", ".obswarm"), "store in obswarm.toml is not used"),
        ("no_store = false\n", "--store=there", ("store", "there"), ""),
    ],
)
def test_the_file_gives_way_to_what_excludes_it(
    toml: str, argument: str, left: tuple[str, object], note: str, capsys: pytest.CaptureFixture[str]
) -> None:
    ctx = parsed("run", argument, toml=toml)
    assert (ctx.params[left[0]] or None) == left[1]
    assert note in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("pyproject.toml", b"[tool]\nobswarm = 5\n", r"^pyproject\.toml: tool\.obswarm is 5; it has to be a table"),
        ("obswarm.toml", b"users = " + b"9" * 5000, r"^obswarm\.toml is not TOML: "),
        ("obswarm.toml", b"tags = " + b"[" * 3000, r"^obswarm\.toml is nested too deeply\.$"),
        ("obswarm.toml", b"users = 5\nlabel = '\xe9'\n", r"^obswarm\.toml, line 2, is not UTF-8; "),
    ],
)
def test_a_file_that_cannot_be_read_is_a_sentence(name: str, content: bytes, complaint: str) -> None:
    Path(name).write_bytes(content)
    with pytest.raises(ObswarmError, match=complaint):
        parsed("run")


@pytest.mark.parametrize("content", ["tool = 5\n", "[tool.other]\nobswarm = 5\n", ""])
def test_a_pyproject_without_our_table_is_no_concern_of_ours(content: str) -> None:
    Path("pyproject.toml").write_text(content)
    assert parsed("run").params["users"] is None


@pytest.mark.parametrize("coding", ["utf-8", "utf-8-sig"])
def test_a_byte_order_mark_does_not_matter(coding: str) -> None:
    for name, text in (
        ("obswarm.toml", "label = ['town=Zürich']"),
        ("pyproject.toml", "[tool.obswarm]\nlabel = ['town=Zürich']"),
    ):
        Path(name).write_text(text, encoding=coding)
        assert parsed("run").params["labels"] == ("town=Zürich",)
        Path(name).unlink()


@pytest.mark.parametrize("coding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_a_file_that_is_not_utf_8_is_a_sentence(coding: str) -> None:
    Path("obswarm.toml").write_text("users = 5\n", encoding=coding)
    with pytest.raises(ObswarmError, match=r"^obswarm\.toml is in UTF-16 or UTF-32, .*save it as UTF-8\.$"):
        parsed("run")


def test_an_option_that_several_commands_have_means_the_same_in_the_file() -> None:
    for key, first in top_level_options(cli).items():
        for command in COMMANDS.values():
            for option in options_of(command):
                if option.key == key and option.shared:
                    assert (option.metavar, option.multiple, option.is_flag) == (
                        first.metavar,
                        first.multiple,
                        first.is_flag,
                    )
