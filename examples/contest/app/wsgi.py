"""Entry point for uWSGI: the application behind its protections, configured by the environment."""

import os

import telemetry
import uwsgi
from checking import Checker
from contest import create_application
from database import Pool, Store
from protection import Captcha, LoadTestPass, RateLimit
from settings import Settings, SettingsFile

_COUNTERS = "counters"
"""uWSGI's cache, which the processes of a cluster share; declared in uwsgi.ini."""


def _count(key, period_s):
    uwsgi.cache_inc(key, 1, period_s, _COUNTERS)
    return uwsgi.cache_num(key, _COUNTERS)


def _refused(protection):
    telemetry.REFUSED.labels(protection).inc()


_host, _, _port = os.environ["CONTEST_DATABASE"].rpartition(":")
_settings = SettingsFile(os.environ["CONTEST_SETTINGS"], Settings(database_host=_host, database_port=int(_port)))
_store = Store(Pool(_settings, os.environ["CONTEST_DB_USER"], os.environ["CONTEST_DB_PASSWORD"]), _settings)
_checker_host, _, _checker_port = os.environ["CONTEST_CHECKER"].rpartition(":")
_checker = Checker(_checker_host, int(_checker_port))
_secret_key = os.environ["CONTEST_SECRET_KEY"]
application = LoadTestPass(
    RateLimit(
        create_application(_store, _settings, Captcha(_secret_key), _secret_key, _checker).wsgi_app,
        _count,
        refused=_refused,
    ),
    os.environ.get("CONTEST_SIGNING_KEY", ""),
    refused=_refused,
)
