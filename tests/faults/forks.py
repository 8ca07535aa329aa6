"""Runs forked from a program that has everything imported: each starts at once, and kills hit its work, not its imports."""

from __future__ import annotations

import json
import os
import random
import select
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress

from tests.faults.killing import ROOT, kill

FIRST = 0.15
"""Seconds to the first kill, about."""


class Runs:
    """Runs of `module`, a program that calls `serve`; one at a time."""

    def __init__(self, module: str, *arguments: str):
        command = [sys.executable, "-m", module, *arguments]
        self.program = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def _ask(self, words: tuple[str, ...], most: float | None = None) -> int:
        self.program.stdin.write(json.dumps(words) + "\n")
        self.program.stdin.flush()
        if not select.select([self.program.stdout], [], [], most)[0]:
            kill(self.running)
        return int(self.program.stdout.readline())

    def start(self, *words: str) -> int:
        """Start a run in a process group of its own; its id."""
        self.running = self._ask(words)
        return self.running

    def wait(self, most: float | None = None) -> int:
        """The exit code of the run, or minus the number of the signal that ended it: it is killed after `most` seconds."""
        return self._ask((), most)

    def killed(self, *words: str, chance: random.Random, growth: float) -> Iterator[None]:
        """Run again and again, and kill each time later, until a run ends before; yields after each kill, of which there is one.

        So the kills are spread over however long it takes here, the last one hits its second half or so, and none comes
        when it has ended.
        """
        moment = FIRST
        self.start(*words)
        while (code := self.wait(chance.uniform(0.5, 1.5) * moment)) == -signal.SIGKILL:
            yield
            moment *= growth
            self.start(*words)
        assert code == 0 and moment > FIRST, "a kill hit it at work, and it went on to its end"

    def close(self) -> None:
        self.program.communicate()


def serve(work: Callable[..., None]) -> None:
    """A line with words starts `work(*words)` and answers its process id, one without waits for it and answers its exit code."""
    running = 0
    for line in sys.stdin:
        if words := json.loads(line):
            running = os.fork()
            if running == 0:
                _live(work, words)
            with suppress(OSError):  # whoever is first, before anybody is told the id
                os.setpgid(running, running)
            print(running, flush=True)
        else:
            print(os.waitstatus_to_exitcode(os.waitpid(running, 0)[1]), flush=True)


def _live(work: Callable[..., None], words: list[str]) -> None:
    code = 1
    try:
        os.setpgid(0, 0)
        os.dup2(2, 1)  # standard output is where the program answers
        work(*words)
        code = 0
    except SystemExit as end:
        code = end.code or 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)
