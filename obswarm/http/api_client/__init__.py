"""HTTP requests to the APIs of other programs, such as Prometheus, Grafana, Docker, and obswarm's own service."""
