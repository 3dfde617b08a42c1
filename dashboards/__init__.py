"""Dashboards for Grafana, and how they are made."""
