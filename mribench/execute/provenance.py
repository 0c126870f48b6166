"""Where results come from: versions and commit."""

from __future__ import annotations

import functools
import subprocess
from importlib.metadata import version
from pathlib import Path

PACKAGES = ("mribench", "torch", "monai", "numpy", "scipy", "nibabel")


@functools.cache
def versions() -> str:
    """Return ``mribench=0.1.0 torch=2.13.0 …``; provenance, and not part of a content key."""
    return " ".join(f"{package}={version(package)}" for package in PACKAGES)


def git_commit(directory: Path) -> str:
    """Return the commit of the checkout that a folder lies in, ``+`` when it has changes, or ``none``."""
    try:
        commit = _git(directory, "rev-parse", "HEAD")
        return commit + ("+" if _git(directory, "status", "--porcelain", "--untracked-files=no") else "")
    except (subprocess.CalledProcessError, FileNotFoundError):
        return "none"


def _git(directory: Path, *arguments: str) -> str:
    command = ["git", "-C", str(directory), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603
