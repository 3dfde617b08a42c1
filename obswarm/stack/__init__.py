"""`obswarm up`: Prometheus, Alertmanager, Grafana, a master and workers as a Docker Compose project."""

from obswarm.on_demand import imported_on_demand

with imported_on_demand(__name__):
    from obswarm.stack.compose import Compose
    from obswarm.stack.containers import ContainersApp, ContainerStats
    from obswarm.stack.docker_engine import Engine, StackError
    from obswarm.stack.images import needed_images
    from obswarm.stack.preflight import check_disk, check_readable, choose_ports
    from obswarm.stack.project import DEFAULT_PROJECT, PORTS, Project
    from obswarm.stack.services import Service, check_failures, services_of, wait_until_healthy
    from obswarm.stack.target_files import is_loopback_only, loopback_only, write_targets

__all__ = [
    "DEFAULT_PROJECT",
    "PORTS",
    "Compose",
    "ContainerStats",
    "ContainersApp",
    "Engine",
    "Project",
    "Service",
    "StackError",
    "check_disk",
    "check_failures",
    "check_readable",
    "choose_ports",
    "is_loopback_only",
    "loopback_only",
    "needed_images",
    "services_of",
    "wait_until_healthy",
    "write_targets",
]
