"""The `obswarm` command; `python -m obswarm` is the same."""

from obswarm import command_line


def main() -> None:
    """Entry point."""
    command_line.hide_secrets()
    # It takes a moment to be imported, in which others could read the command line.
    from obswarm.cli.main import main as run

    run()


if __name__ == "__main__":
    main()
