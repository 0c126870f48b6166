"""Where results come from: versions and commits."""

from __future__ import annotations

import functools
import subprocess
from importlib.metadata import version
from pathlib import Path

from mribench.results.content import Content

PACKAGES = ("mribench", "torch", "monai", "numpy", "scipy", "nibabel")


@functools.cache
def versions(plugins: tuple[str, ...] = ()) -> str:
    """Return ``mribench=0.1.0 torch=2.13.0 …``; provenance, and not part of a content key.

    Args:
        plugins: distributions whose entries a job uses.
    """
    return " ".join(f"{package}={_version(package)}" for package in dict.fromkeys((*PACKAGES, *plugins)))


@functools.cache
def _version(package: str) -> str:
    return version(package)


def plugins_of(content: Content) -> tuple[str, ...]:
    """Return the distributions of the entries that a job uses, sorted.

    Args:
        content: of its ``job.json``.
    """
    used = {entry.distribution for entry in content.used().values()}
    return tuple(sorted({*used, *(cohort.data.distribution for cohort in content.cohorts)}))


def git_commit(path: Path) -> str:
    """Return the commit of the checkout that keeps a file, ``+`` when it has changes.

    ``none`` where no checkout keeps it: a file that git does not track may lie in anybody's checkout, as an
    installed package does in the environment inside a project.
    """
    try:
        _git(path.parent, "ls-files", "--error-unmatch", path.name)
        commit = _git(path.parent, "rev-parse", "HEAD")
        changed = _git(path.parent, "status", "--porcelain", "--untracked-files=no")
    except (subprocess.CalledProcessError, FileNotFoundError):
        return "none"
    return f"{commit}+" if changed else commit


def _git(directory: Path, *arguments: str) -> str:
    command = ["git", "-C", str(directory), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603
