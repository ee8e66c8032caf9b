"""The program of a row worker: reads tasks on standard input, writes answers on standard output.

A task is a pickle of (function, arguments); an answer a pickle of (whether it worked, result or error). Both
come from and go to the parent process only. The end of the input, which the parent's death is too, ends it.
"""

from __future__ import annotations

import pickle
import signal
import struct
import sys
from typing import IO

LENGTH = struct.Struct("<Q")


def main() -> int:
    # The engine blocks signals in the parent, and a child inherits the mask.
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    # Ctrl-C goes to the whole process group; the parent decides when we end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    tasks, answers = sys.stdin.buffer, sys.stdout.buffer
    while (task := read_message(tasks)) is not None:
        write_message(answers, _answer(task))
    return 0


def read_message(source: IO[bytes]) -> bytes | None:
    """The next message; None at the end of the input, also one in the middle of a message."""
    head = source.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    (size,) = LENGTH.unpack(head)
    body = source.read(size)
    return body if len(body) == size else None


def write_message(target: IO[bytes], body: bytes) -> None:
    target.write(LENGTH.pack(len(body)))
    target.write(body)
    target.flush()


def _answer(task: bytes) -> bytes:
    try:
        function, args, kwargs = pickle.loads(task)  # noqa: S301  the parent wrote it
        answer = (True, function(*args, **kwargs))
    except Exception as error:  # the root of a task: the parent raises it
        answer = (False, error)
    return pickle.dumps(answer, protocol=pickle.HIGHEST_PROTOCOL)


if __name__ == "__main__":
    sys.exit(main())
