"""How a process ends that was interrupted: with mribench's own exit code."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

INTERRUPTED_WHILE_A_CLASS_IS_MADE = """
from mribench.cli import cli, main

@cli.command()
def interrupted():
    exec("raise KeyboardInterrupt")  # as a data class runs the text of its methods

main()
"""


def test_an_interrupt_in_code_given_as_text_keeps_the_exit_code(tmp_path: Path) -> None:
    (tmp_path / "command_line.py").write_text(INTERRUPTED_WHILE_A_CLASS_IS_MADE)
    done = subprocess.run(
        [sys.executable, "-m", "command_line", "interrupted"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 130, done.stderr
    assert "Traceback" not in done.stderr
