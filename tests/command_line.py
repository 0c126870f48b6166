"""Calls the command line as a shell would, in this process: another one would import torch first."""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from mribench import cli


@dataclass
class Said:
    """What a command left on the terminal."""

    code: int
    out: str
    err: str

    @property
    def message(self) -> str:
        (line,) = [text for text in self.err.splitlines() if text.startswith("error: ")]
        return line.removeprefix("error: ")

    @property
    def hint(self) -> str:
        lines = [text for text in self.err.splitlines() if text.startswith("hint:  ")]
        return lines[0].removeprefix("hint:  ") if lines else ""


def call(
    *arguments: object, folder: Path | None = None, environment: Mapping[str, str] | None = None
) -> Said:
    """Call the command line with arguments, in a folder, with additions to the environment."""
    torch.set_num_threads(1)
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", newline="") for _ in range(2))
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        patch.setattr(sys, "argv", ["mribench", *map(str, arguments)])
        for name, value in (environment or {}).items():
            patch.setenv(name, value)
        if folder is not None:
            patch.chdir(folder)
        with pytest.raises(SystemExit) as end:
            cli.main()
    said = [stream.detach().getvalue().decode("utf-8") for stream in (out, err)]
    return Said(int(end.value.code or 0), *said)


def follow(folder: Path, *words: str) -> str:
    """Call a command of a document in a folder, jobs in this process too; return what it printed."""
    inline = ("--executor", "inline") if words[0] == "run" else ()
    said = call(*words, *inline, folder=folder, environment={"COLUMNS": "250", "NO_COLOR": "1"})
    assert said.code == 0, said.out + said.err
    return said.out
