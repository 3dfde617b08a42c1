"""`python -m obswarm`: the same as the `obswarm` command."""

from obswarm.cli.main import main

main()
