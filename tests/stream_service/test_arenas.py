"""Threads share two arenas, as /proc shows it."""

import subprocess
import sys

PROGRAM = r"""
import ctypes, re, sys, threading
from pathlib import Path
from stream_service import arenas

if sys.argv[1] == "shared":
    arenas.share()
malloc = ctypes.CDLL(None).malloc
malloc.restype = ctypes.c_void_p
together = threading.Barrier(12)

def allocate():
    together.wait()
    for _ in range(50):
        assert malloc(10_000)
    together.wait()  # all are alive at once: none inherits another's arena

threads = [threading.Thread(target=allocate) for _ in range(12)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
starts = re.findall(r"^(\w+)-\w+ rw-p 00000000 00:00 0 *$", Path("/proc/self/maps").read_text(), re.MULTILINE)
print(sum(int(start, 16) % 2**26 == 0 for start in starts))
"""


def arenas_of(how: str) -> int:
    """Arenas beside the main one, each of which begins at a multiple of 64 MiB."""
    run = subprocess.run([sys.executable, "-c", PROGRAM, how], capture_output=True, text=True, check=True)
    return int(run.stdout)


def test_threads_share_two_arenas() -> None:
    assert arenas_of("shared") <= 1 < arenas_of("as it is")
