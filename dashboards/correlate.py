"""The dashboard for incidents: the load test on top, and below it the layers in the order in which a request passes
them, on one time axis."""

from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards.layers.database import MYSQL, POSTGRES, REDIS
from dashboards.layers.load_test import (
    ERROR_RATIO,
    ERRORS,
    GENERATOR,
    GENERATOR_STRIP,
    HEATMAP,
    IN_FLIGHT,
    LATENCY,
    OLDEST,
    OPEN_MODEL,
    REQUESTS,
    USERS,
)
from dashboards.layers.machines import HOSTS
from dashboards.layers.serving import APPLICATION, LOAD_BALANCER
from dashboards.panels import Section, make

UID = "obswarm-correlate"
TITLE = "obswarm: correlate"
SECTIONS = (
    Section("Load test", (GENERATOR_STRIP, USERS, REQUESTS, LATENCY, HEATMAP, IN_FLIGHT, OLDEST, ERRORS, ERROR_RATIO)),
    OPEN_MODEL,
    LOAD_BALANCER,
    APPLICATION,
    MYSQL,
    POSTGRES,
    REDIS,
    HOSTS,
    GENERATOR,
)


def build() -> Dashboard:
    return make(
        UID,
        TITLE,
        "What breaks first? The load test, and below it its target's layers in the order in which a request meets"
        " them.",
        SECTIONS,
    )
