"""The contest's parts: described once, run as processes of this machine or as Compose services. Needs Python alone."""
