"""`environment.parsed_options` has the names of Locust's options."""

from obswarm.app.parsed_options import options_for_locustfiles
from obswarm.config import RunConfig
from obswarm.locust.argument_parser import default_args_dict


def test_all_of_locusts_names_are_there() -> None:
    options = options_for_locustfiles(RunConfig(), "shop.py", [], [], [])
    assert set(default_args_dict()) <= set(options)
    own = {"stages", "users"}
    of_earlier_versions = {"expect_slaves", "legacy_ui", "slave", "web_auth"}
    assert set(options) - set(default_args_dict()) == own | of_earlier_versions


def test_values_are_those_of_the_run() -> None:
    given = {
        "users": 5,
        "run_time": 60.0,
        "config_users": ('[{"user_class_name": "A", "weight": 2}]',),
        "stats_json": "-",
        "headless": True,
        "workers": 0,
        "bind": ("10.0.0.5", 6),
        "stages": ((2.0, 5),),
        "autoquit": 30.0,
        "csv_full_history": True,
    }
    options = options_for_locustfiles(RunConfig.of(given, {}), "shop.py", ["A"], ["read"], [])
    found = {
        "num_users": 5,
        "run_time": 60.0,
        "config_users": [[{"user_class_name": "A", "weight": 2}]],
        "json": True,
        "json_file": None,
        "headless": True,
        "autostart": False,
        "autoquit": 30,
        "master": False,
        "worker": False,
        "master_bind_host": "10.0.0.5",
        "master_bind_port": 6,
        "stages": "2s:5",
        "stats_history_enabled": True,
        "user_classes": ["A"],
        "tags": ["read"],
        "exclude_tags": None,
        "web_port": 8089,
        "otel": False,
    }
    assert {name: options[name] for name in found} == found
