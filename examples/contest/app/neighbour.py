"""Use CPUs of the machine for a time, which other processes lack then.

neighbour.py PROCESSES SECONDS
"""

import multiprocessing
import sys
import time


def burn(until_s):
    while time.monotonic() < until_s:
        sum(range(10_000))


def main():
    until_s = time.monotonic() + float(sys.argv[2])
    processes = [multiprocessing.Process(target=burn, args=(until_s,), daemon=True) for _ in range(int(sys.argv[1]))]
    for process in processes:
        process.start()
    for process in processes:
        process.join()


if __name__ == "__main__":
    main()
