"""The command line: one module a command, and what is shown in the terminal."""
