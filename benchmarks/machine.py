"""What every benchmark shares: the machine and versions it ran with, medians of runs that take turns, peak memory of a process."""

from __future__ import annotations

import json
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from detector.threads import cores
from pipeline.files import write_json
from pipeline.fingerprints import versions

RESULTS = Path(__file__).parent / "results"
RUN = """
import runpy, sys, time
from benchmarks.machine import peak_mb
sys.argv = sys.argv[1:]
try:
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
except SystemExit as end:
    if end.code:
        raise
print(peak_mb(), time.process_time())
"""
"""Runs a module and prints the peak of its memory and its CPU time."""


def processor() -> str:
    """The GPU's name where torch sees one, else the CPU's model and how many cores this process may use."""
    if "torch" in sys.modules:
        import torch

        if torch.cuda.is_available():
            return torch.cuda.get_device_name()
    listing = Path("/proc/cpuinfo")
    lines = listing.read_text().splitlines() if listing.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.machine()}, {cores()} cores"


def write_record(name: str, libraries: list[str], results: dict[str, Any]) -> None:
    """Write benchmarks/results/<name>.json: results, the device and the versions of the libraries that were timed."""
    record = {"device": processor(), "python": platform.python_version(), "versions": versions(*libraries), **results}
    write_json(RESULTS / f"{name}.json", record)


def seconds(call: Callable[[], Any]) -> float:
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


def in_turns(calls: dict[str, Callable[[], Any]], runs: int) -> dict[str, float]:
    """Median seconds of each call. They take turns, so that what else the machine does meets all of them."""
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(runs):
        for name, call in calls.items():
            taken[name].append(seconds(call))
    return {name: median(times) for name, times in taken.items()}


def in_own_process(module: str, *arguments: str) -> dict[str, Any]:
    """Run `python -m <module> <arguments>`, whose last line of output is a JSON object; returned with `peak_mb`, `seconds`, `cpu_seconds`.

    A process of its own has its own peak memory, and starts without what an earlier measurement left behind.
    """
    begun = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", RUN, module, *arguments], stdout=subprocess.PIPE, text=True, check=True)
    found, used = done.stdout.splitlines()[-2:]
    peak, cpu = map(float, used.split())
    return {**json.loads(found), "seconds": time.perf_counter() - begun, "cpu_seconds": cpu, "peak_mb": peak}


def peak_mb() -> float:
    """The most memory that this process has had so far: its own, where getrusage also counts what it was forked from."""
    status = Path("/proc/self/status")
    if status.is_file():
        return int(next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:")).split()[1]) / 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def table(head: list[str], rows: list[list[Any]]) -> str:
    """A Markdown table, as printed and as benchmarks/README.md shows it."""
    cells = [[format_cell(value) for value in row] for row in rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in [head, ["---"] * len(head), *cells])


def format_cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 100 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
