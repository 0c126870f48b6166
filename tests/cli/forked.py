"""Processes of the command line that need not import it first: forks of one that has.

Each is a process of its own: it ends as Python does, with streams as Python makes them at its start.
"""

from __future__ import annotations

import io
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

_MOST_BYTES = 65536


@dataclass
class Parent:
    """The process that has imported the command line."""

    channel: socket.socket

    def run(self, arguments: tuple[str, ...], out: int, err: int, environment: Mapping[str, str]) -> int:
        """Run a command with these streams; return how it ended, below 0 by a signal."""
        asked = json.dumps({"arguments": arguments, "environment": dict(environment)})
        socket.send_fds(self.channel, [asked.encode()], [out, err])
        answer = self.channel.recv(_MOST_BYTES)
        assert answer, "the parent has ended"
        return int(answer)


@contextmanager
def parent() -> Iterator[Parent]:
    """Start the process that has imported the command line; end it at the end."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours:
        with theirs:
            number = theirs.fileno()
            process = subprocess.Popen([sys.executable, __file__, str(number)], pass_fds=[number])
        ours.settimeout(120)
        yield Parent(ours)
    assert process.wait(timeout=60) == 0


def _serve(channel: socket.socket) -> None:
    """Fork a process for each command that is asked for; return in it, and in the parent at the end."""
    while True:
        asked, streams, _, _ = socket.recv_fds(channel, _MOST_BYTES, 2)
        if not asked:
            sys.exit()
        child = os.fork()
        if child == 0:
            _become(json.loads(asked), streams)
            return
        for stream in streams:
            os.close(stream)
        _, status = os.waitpid(child, 0)
        channel.send(str(os.waitstatus_to_exitcode(status)).encode())


def _become(asked: dict[str, Any], streams: list[int]) -> None:
    """Make this process what a shell would have started."""
    os.environ.update(asked["environment"])
    sys.argv = ["mribench", *asked["arguments"]]
    for number, stream in enumerate(streams, start=1):
        os.dup2(stream, number)
        os.close(stream)
    encoding = os.environ.get("PYTHONIOENCODING", "utf-8")
    unbuffered = bool(os.environ.get("PYTHONUNBUFFERED"))
    binary = open(1, "wb", buffering=0 if unbuffered else -1, closefd=False)  # noqa: SIM115 - for good
    sys.stdout = io.TextIOWrapper(binary, encoding, write_through=unbuffered)
    complaints = open(2, "wb", closefd=False)  # noqa: SIM115 - for good
    sys.stderr = io.TextIOWrapper(complaints, encoding, "backslashreplace", write_through=True)


if __name__ == "__main__":
    from mribench.__main__ import main
    from mribench.plugins import load_registry

    load_registry()  # imports the plugins, torch among what they need
    _serve(socket.socket(fileno=int(sys.argv[1])))
    main()
