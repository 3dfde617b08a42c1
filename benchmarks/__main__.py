"""`python -m benchmarks`: all of them, one after the other."""

from benchmarks.http.__main__ import main

if __name__ == "__main__":
    main()
