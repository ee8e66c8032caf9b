"""Exit codes: the same for every command."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    OK = 0
    FAILED = 1
    USAGE = 2
    INTERRUPTED = 130


MEANING = {
    Exit.OK: "done; a server that was asked to stop has stopped cleanly",
    Exit.FAILED: "it failed while running: no answer, a refused push, a data folder in use",
    Exit.USAGE: "the command line, the environment or a configuration file is wrong; nothing was started",
    Exit.INTERRUPTED: "Ctrl-C ended a command that was not done",
}
