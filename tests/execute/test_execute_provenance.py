"""Which commits and versions a result names, and the pictures that it keeps."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from specifications import content, entry

import mribench
from mribench.execute.provenance import git_commit, plugins_of, versions
from mribench.execute.worker import run_job
from mribench.results.content import DataIdentity, EntryIdentity
from mribench.results.specification import Specification, write_specification


def git(folder: Path, *arguments: str) -> str:
    who = ("-c", "user.name=somebody", "-c", "user.email=somebody@example.org")
    done = subprocess.run(["git", "-C", folder, *who, *arguments], check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with one file that it keeps, and one that it does not."""
    git(tmp_path, "init", "-q")
    (tmp_path / "kept.yaml").write_text("a: 1\n")
    git(tmp_path, "add", "kept.yaml")
    git(tmp_path, "commit", "-qm", "one")
    (tmp_path / "stray.yaml").write_text("a: 1\n")
    return tmp_path


def test_the_commit_is_of_the_checkout_that_keeps_the_file(checkout: Path) -> None:
    head = git(checkout, "rev-parse", "HEAD")
    assert git_commit(checkout / "kept.yaml") == head
    assert git_commit(checkout / "stray.yaml") == "none"
    (checkout / "kept.yaml").write_text("a: 2\n")
    assert git_commit(checkout / "kept.yaml") == f"{head}+"


def test_a_package_installed_inside_a_checkout_has_not_its_commit(checkout: Path) -> None:
    package = checkout / ".venv/lib/mribench"
    package.mkdir(parents=True)
    shutil.copy(mribench.__file__, package)
    assert git_commit(package / "__init__.py") == "none"


def test_versions_name_the_plugins_of_a_job() -> None:
    part = EntryIdentity("metric", "m", "pluggy", "")
    whole = entry(distribution="mribench", parts={"metrics.0": part})
    used = plugins_of(content(entries=(whole,), data=DataIdentity("d", "click", "")))
    assert used == ("click", "mribench", "pluggy")
    names = [text.partition("=")[0] for text in versions(used).split()]
    assert names == ["mribench", "torch", "monai", "numpy", "scipy", "nibabel", "click", "pluggy"]
    assert plugins_of(content(entries=(), data=DataIdentity("d", "click", ""))) == ("click",)


@pytest.mark.parametrize("kept", [True, False])
def test_pictures_are_kept_unless_the_file_says_no(repository: Path, tmp_path: Path, kept: bool) -> None:
    from mribench.commands.planning import plan_file

    planned = plan_file(
        repository / "tests/benchmarks/tiny.yaml", [], tmp_path, make=True, progress=lambda *_: None
    )
    job = next(job for job in planned.plan.jobs if job.id.startswith("identity/denoise"))
    folder = planned.store.directory(str(job.key))
    folder.mkdir(parents=True)
    assert job.content is not None
    write_specification(folder, Specification(id=job.id, spec=job.spec, content=job.content, examples=kept))
    status = run_job(folder)
    assert status is not None
    assert (status.state, status.reason) == ("done", "")
    assert (folder / "example.npz").exists() == kept
    assert (folder / "records.parquet").exists()
