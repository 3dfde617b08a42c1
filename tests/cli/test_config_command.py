"""`obswarm config`: every value and its origin, in the form of obswarm.toml."""

import json
import os
import tomllib
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from obswarm.cli.main import cli
from obswarm.config import SETTINGS, Setting
from tests.support.refusals import refusal

CHOSEN = {
    "host": "http://127.0.0.1:5",
    "spawn_rate": "2.5",
    "stages": "30s:5",
    "arrival_rate": "200/s",
    "iterations": "1000",
    "trace_sample": "0.01",
    "config_users": '[{"user_class_name": "Visitor"}]',
    "labels": "town=here",
    "remote_write": "http://127.0.0.1:5/x",
    "prometheus_url": "http://127.0.0.1:5",
    "grafana_url": "http://127.0.0.1:5",
    "master": "http://127.0.0.1:5",
    "targets": "redis=http://127.0.0.1:5/metrics",
    "guards": "stop: p95 > 9s",
    "on_alert": "hold",
    "workers": "3",
    "bind": "127.0.0.1:5558",
    "bundle_limit": "5MiB",
    "output": "example",
    "logfile": "run.log",
}
NEEDED = {
    "remote_write": ("--remote-write", "http://127.0.0.1:5/x"),
    "prometheus_url": ("--prometheus-url", "http://127.0.0.1:5"),
    "earlier_alerts": ("--earlier-alerts", "wait"),
    "grafana_token": ("--grafana-token", "abc"),
    "grafana_url": ("--grafana-url", "http://127.0.0.1:5"),
    "csv": ("--csv", "figures"),
    "serve": ("--serve",),
    "tls_cert": ("--tls-cert", "cert.pem"),
    "tls_key": ("--tls-key", "key.pem"),
}
OPTIONS = {name: each for name, each in SETTINGS.items() if each.option}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("OBSWARM_")]:
        monkeypatch.delenv(name)
    return tmp_path


def called(*arguments: str) -> Result:
    return CliRunner().invoke(cli, list(arguments))


def shown(*arguments: str) -> str:
    result = called("config", *arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def origin(text: str, key: str) -> tuple[str, str]:
    """Value and origin of the line of a key."""
    (line,) = [line for line in text.splitlines() if line.removeprefix("# ").startswith((f"{key} =", f"{key}:"))]
    value, _, source = line.rpartition(" # ")
    return value.strip(), source


def sample_of(each: Setting) -> Any:
    """A value that is not the default, as the command line has it; True for a flag."""
    if each.type is bool:
        return True
    if each.name in CHOSEN:
        return CHOSEN[each.name]
    if each.choices:
        return next(choice for choice in each.choices if choice != each.default)
    if each.limits is not None:
        return str(each.limits[0] + 3)
    if each.unit == "seconds":
        return "3s"
    if each.name.endswith("_when"):
        return "p95 > 9s"
    if each.name == "requirements":
        return "p95 < 500ms"
    if each.name.endswith(("token_file", "ca_file", "cert_file", "key_file")):
        return "token"
    if each.name.endswith("headers"):
        return "X-Scope-OrgID: shop"
    if each.name.endswith("proxy"):
        return "http://127.0.0.1:9"
    return "user:passphrase1" if each.name.endswith("auth") else "sample"


def needed_by(each: Setting) -> tuple[str, ...]:
    """Further options without which this one is refused."""
    name = "csv" if each.name == "csv_full_history" else each.needs
    more = NEEDED[name] if name else ()
    if each.name.endswith("key_file"):
        more += (each.option.replace("key", "cert"), "token")
    return more


def in_toml(each: Setting, sample: Any) -> str:
    value: Any = [sample] if str(each.type).startswith("tuple[str, ...") else sample
    if each.limits is not None:
        value = float(sample) if each.is_rate else int(sample)
    return f"{each.key} = {json.dumps(value)}\n"


@pytest.mark.parametrize("name", OPTIONS)
def test_each_setting_is_shown_with_its_value_and_its_source(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    each = OPTIONS[name]
    sample, more = sample_of(each), needed_by(each)
    monkeypatch.setattr("obswarm.app.build.find_outputs", lambda requested: requested)
    monkeypatch.setattr("obswarm.http.ApiAccess.check_files", lambda *_: None)
    monkeypatch.setattr("obswarm.app.build.access_of", lambda config: None)
    value, source = origin(shown(*more, each.option, *([] if sample is True else [sample])), each.key)
    assert source.split("; ")[0] == each.option
    plain = tomllib.loads(value.removeprefix("# "))[each.key]
    if each.secret:
        assert (plain, value[0]) == ("***", "#")
    elif isinstance(plain, str | bool | int | float):
        assert plain == sample or str(plain) == sample
    else:
        assert plain == [sample]

    if name != "secret_file":
        monkeypatch.setenv(each.variable, "true" if sample is True else sample)
        assert origin(shown(*more), each.key) == (value, source.replace(each.option, each.variable))
        monkeypatch.delenv(each.variable)

    Path("obswarm.toml").write_text(in_toml(each, sample))
    assert origin(shown(*more), each.key) == (value, source.replace(each.option, f"{each.key} in obswarm.toml"))
    Path("obswarm.toml").write_text(value.replace("***", "sample") + "\n")
    if not each.secret:
        assert origin(shown(*more), each.key)[0] == value


@pytest.mark.parametrize("name", OPTIONS)
def test_a_setting_that_is_not_given_is_a_comment_with_what_applies(name: str) -> None:
    each = OPTIONS[name]
    value, source = origin(shown(), each.key)
    assert source == "default"
    if each.name == "workers":
        assert value == '# workers = "auto"'
    elif each.default in (None, ()):
        assert value == f"# {each.key}: {each.unset or 'not set'}"
    else:
        assert value.startswith(f"# {each.key} = ")


def test_the_defaults_are_those_that_apply() -> None:
    text = shown()
    for key, value in (
        ("users", ": 1"),
        ("spawn_rate", ": 1"),
        ("on_alert", ' = "stop"'),
        ("alerts_grace", ' = "10s"'),
        ("earlier_alerts", ' = "note"'),
        ("earlier_alerts_max_wait", ' = "5m"'),
        ("store", ' = ".obswarm"'),
        ("keep_for", ": not set"),
    ):
        assert origin(text, key) == (f"# {key}{value}", "default")
    assert origin(shown("--stages", "30s:5"), "users") == ("# users: not used", "because of --stages")
    assert tomllib.loads(text) == {}


def test_what_the_file_adds_is_shown_with_both_sources() -> None:
    Path("obswarm.toml").write_text('stop_when = ["p95 > 1s"]\nkeep_for = "36h"\n[[guards]]\nwhen = "p95 > 3s"\n')
    text = shown("--stop-when", "p95 > 2s", "shop.py")
    assert "# arguments: shop.py" in text
    assert origin(text, "stop_when") == (
        'stop_when = ["p95 > 1s", "p95 > 2s"]',
        "stop_when in obswarm.toml and --stop-when",
    )
    assert origin(text, "keep_for") == ('keep_for = "36h00m"', "keep_for in obswarm.toml")
    assert [line.split() for line in text.splitlines() if line.startswith("[[")] == [
        ["[[guards]]", "#", "obswarm.toml"]
    ]


def test_it_has_the_form_of_the_file_and_says_the_same_when_it_is_that() -> None:
    options = ["--stages", "30s:5,1m:0", "--bind", "127.0.0.1:6000", "--bundle-limit", "5MiB", "--trace-sample", "1%"]
    Path("token").write_text("abc")
    Path("first.toml").write_text(
        "keep_runs = 3\n[[targets]]\nkind = 'mysql'\nurl = 'http://db/'\nheaders = { X-Shop = 'a' }\ntoken_file = 'token'\n"
        "[[guards]]\nwhen = 'p95 > 1s'\nclear_for = 5\n"
    )
    text = shown(*options, "--on-alert", "scale(50%)", "--linger", "1.25s", "--config", "first.toml")
    Path("obswarm.toml").write_text(text)
    values = tomllib.loads(text)
    assert (values["stages"], values["bind"], values["linger"]) == ("30s:5,1m:0", "127.0.0.1:6000", "1.25s")
    assert values["targets"] == [
        {"kind": "mysql", "url": "http://db/", "headers": {"X-Shop": "a"}, "token_file": "token"}
    ]
    again = shown()
    assert tomllib.loads(again) == values
    assert origin(again, "stages")[1] == "stages in obswarm.toml"


def test_secrets_are_shown_as_stars_in_comments() -> None:
    Path("obswarm.toml").write_text("[[targets]]\nkind = 'mysql'\nurl = 'http://me:PLANTED@db/'\ntoken_file = 'x'\n")
    Path("x").write_text("PLANTED0")
    text = shown(
        *("--api-token", "PLANTED3", "--prometheus-url", "http://me:PLANTED4@prometheus", "a.py"),
        *("--password=PLANTED5", "--prometheus-header", "Authorization: PLANTED6", "--header-free", "x"),
        *("--target", "redis=http://me:PLANTED7@db/", "--host", "http://PLANTED8@shop/?token=PLANTED9"),
    )
    assert "PLANTED" not in text
    hint = "; insert the secret and uncomment this line to use it"
    assert origin(text, "api_token") == ('# api_token = "***"', f"--api-token{hint}")
    assert origin(text, "prometheus_url") == (
        '# prometheus_url = "http://***@prometheus"',
        f"--prometheus-url{hint}",
    )
    assert origin(text, "prometheus_header")[0] == '# prometheus_header = ["Authorization: ***"]'
    assert origin(text, "target")[0] == '# target = ["redis=http://***@db/"]'
    assert origin(text, "host")[0] == '# host = "http://***@shop/?token=***"'
    assert "# [[targets]]" in text
    assert '# url = "http://***@db/"' in text
    assert tomllib.loads(text) == {}


@pytest.mark.parametrize(
    ("toml", "complaint"),
    [
        ("[[guards]]\nwhen = 'zzz > 4'\n", "obswarm.toml: [[guards]] 1: when: Expected a metric"),
        ("[[guards]]\nwhen = 'p95 > 1s'\nblind_after = 5\n", "obswarm.toml: [[guards]] 1: "),
        ("stop_when = ['p95']\n", "obswarm.toml: stop_when: "),
        ("guard = ['p95 > 1s']\n", "obswarm.toml: guard"),
        ("require = ['p95 <']\n", "obswarm.toml: require: "),
        ("target = ['mysql']\n", "obswarm.toml: target mysql: write it like "),
        ("[[targets]]\nkind = 'oracle'\nurl = 'http://db'\n", "obswarm.toml: [[targets]] 1: there is no kind 'oracle'"),
        ("output = ['nosuch']\n", "obswarm.toml: output nosuch: there is no output of that name"),
        ("json = '/proc/nix/x'\n", "obswarm.toml: json /proc/nix/x: the file cannot be written"),
        ("junit = '/proc/nix/x'\n", "obswarm.toml: junit: the file cannot be written"),
        ("csv = '/proc/nix/x'\n", "obswarm.toml: csv /proc/nix/x: the files cannot be written"),
        ("csv_full_history = true\n", "csv_full_history in obswarm.toml needs --csv PREFIX"),
        ("label = ['a']\n", "obswarm.toml: label: label 'a' has no '='"),
        ("remote_write = 'foo'\n", "obswarm.toml: remote_write: 'foo' is not a URL"),
        ("prometheus_auth = 'x:y'\n", "obswarm.toml: prometheus_auth needs --prometheus-url URL"),
        ("grafana_url = 'http://g'\n", "obswarm.toml: grafana_url needs --grafana-token"),
        ("earlier_alerts_max_wait = 5\n", "obswarm.toml: earlier_alerts_max_wait needs --earlier-alerts wait"),
        ("nosuch = 1\n", "obswarm.toml: unknown key 'nosuch'."),
        ("[worker]\nnosuch = 1\n", "obswarm.toml: [worker] unknown key 'nosuch'."),
    ],
)
def test_what_run_refuses_is_refused_with_the_same_sentence(toml: str, complaint: str) -> None:
    Path("obswarm.toml").write_text(toml)
    Path("loadtest.py").write_text(
        "from obswarm import User, task\nclass Visitor(User):\n    @task\n    def visit(self): pass\n"
    )
    refused = refusal("config")
    assert refused.startswith(complaint)
    assert refusal("run", "--local", "--workers", "0", "--no-store") == refused
