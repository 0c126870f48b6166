"""A file that an option names is in the keys of jobs by its content, wherever it lies."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import pytest
from pydantic import Field
from specifications import keep

from mribench.config import load_benchmark, resolve
from mribench.errors import ConfigError
from mribench.interfaces import EncoderRef, Entry, InputFile, Options, input_file
from mribench.interfaces.input_file import by_content
from mribench.plan import Plan, build_plan, make_missing, open_cohorts
from mribench.plan.stale import stale_changes
from mribench.plugins import load_registry
from mribench.registry import Registered, Registry
from mribench.results import Store
from mribench.results.keys import key_of
from mribench.results.specification import read_specification
from mribench.results.status import JobStatus, write_status
from mribench.testing import PyramidEncoder


class FromFileOptions(Options):
    """Options of an encoder that starts from published weights."""

    weights: InputFile = Field(description="file of the weights")
    more: tuple[InputFile, ...] = Field((), description="further files")
    extra: InputFile | None = Field(None, description="one that may be left out")


class FromFile(PyramidEncoder):
    """Its file is where its options say."""

    def __init__(self, options: FromFileOptions) -> None:
        super().__init__()
        self.read = options.weights.path.read_bytes()


@pytest.fixture(scope="module")
def registry() -> Registry:
    registry = load_registry()
    entry = Entry("encoder", "from-file", FromFile, FromFileOptions, "an encoder of published weights")
    registry.add(Registered(entry, "tests", "tests", "0"))
    return registry


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "weights.bin"
    path.write_bytes(b"published")
    return path


def options_of(registry: Registry, **given: Any) -> FromFileOptions:
    reference = EncoderRef.model_validate({"name": "from-file", **given})
    found = registry.resolve(reference, "x.yaml: defaults.encoder", "corrected").options
    assert isinstance(found, FromFileOptions)
    return found


def plan(registry: Registry, repository: Path, encoder: str) -> Plan:
    sets = [f"defaults.encoder={encoder}", "tasks.tissue.test_sequences=[T1w]"]
    resolved = resolve(load_benchmark(repository / "tests" / "benchmarks" / "tiny.yaml", sets), registry)
    make_missing(resolved, lambda what, done, total: None)
    return build_plan(resolved, open_cohorts(resolved))


def spelled(path: Path) -> str:
    return f"{{name: from-file, weights: '{path}'}}"


# Options


def test_a_path_becomes_an_absolute_path_and_the_digest_of_the_content(
    registry: Registry, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(weights.parent)
    monkeypatch.setenv("HOME", str(weights.parent))
    digest = hashlib.sha256(b"published").hexdigest()
    for given in (
        weights,
        str(weights),
        "weights.bin",
        "~/weights.bin",
        {"path": str(weights), "sha256": digest},
    ):
        found = options_of(registry, weights=given, more=[given]).weights
        assert (found.path, found.sha256) == (weights, digest)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("nowhere.bin", "weights: expected a file, got {here}/nowhere.bin, which does not exist"),
        (".", "weights: expected a file, got {here}, which is a folder"),
        (3, "weights: expected the path of a file, got 3"),
        ({"path": "weights.bin", "sha256": "0" * 64},
         "weights: expected a file whose sha256 is 000000000000…, got {here}/weights.bin, whose sha256 is "),
        ({"path": "weights.bin", "sha": "0"}, "weights.sha: unknown key"),
    ],
)  # fmt: skip
def test_what_is_no_such_file_is_one_sentence(
    registry: Registry, weights: Path, monkeypatch: pytest.MonkeyPatch, given: Any, message: str
) -> None:
    monkeypatch.chdir(weights.parent)
    with pytest.raises(ConfigError) as caught:
        options_of(registry, weights=given)
    start = "x.yaml: defaults.encoder." + message.format(here=weights.parent)
    assert caught.value.message.startswith(start)


def test_what_is_there_in_place_of_a_file_is_said(registry: Registry, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("gone")
    for name, what in (("pipe", "is a pipe or device"), ("link", "is a link to gone, which does not exist")):
        with pytest.raises(ConfigError) as caught:
            options_of(registry, weights=str(tmp_path / name))
        assert caught.value.message.endswith(f"expected a file, got {tmp_path / name}, which {what}")


def test_the_identity_has_no_path(registry: Registry, weights: Path) -> None:
    reference = EncoderRef.model_validate(
        {"name": "from-file", "weights": str(weights), "more": [str(weights)]}
    )
    resolved = registry.resolve(reference, "x", "corrected")
    digest = {"sha256": hashlib.sha256(b"published").hexdigest()}
    assert resolved.identity()["options"] == {"weights": digest, "more": [digest], "extra": None}
    assert resolved.component()["weights"] == {"path": str(weights), **digest}
    again = registry.resolve(EncoderRef.model_validate(resolved.component()), "job.json", "corrected")
    assert again.make().read == b"published"
    assert by_content({"path": "x", "other": 1}) == {"path": "x", "other": 1}


def test_the_schema_takes_a_path() -> None:
    schema = FromFileOptions.model_json_schema()
    assert {"type": "string", "minLength": 1} in schema["$defs"]["InputFile"]["anyOf"]


# Keys


@pytest.fixture
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MRIBENCH_CACHE", str(tmp_path_factory.getbasetemp() / "input-files"))


@pytest.mark.usefixtures("cache")
def test_a_file_that_moves_leaves_keys_as_they_are(
    registry: Registry, repository: Path, weights: Path, tmp_path: Path
) -> None:
    before = plan(registry, repository, spelled(weights))
    moved = weights.rename(tmp_path / "elsewhere.bin")
    after = plan(registry, repository, spelled(moved))
    assert [job.key for job in after.jobs] == [job.key for job in before.jobs]
    (one, *_) = after.jobs
    assert one.spec.encoder.options["weights"]["path"] == str(moved), "jobs know where it is"


@pytest.mark.usefixtures("cache")
def test_a_file_that_is_overwritten_makes_results_stale(
    registry: Registry, repository: Path, weights: Path, tmp_path: Path
) -> None:
    before = plan(registry, repository, spelled(weights))
    store = Store(tmp_path / "results")
    store.open()
    for job in before.runnable().values():
        folder = store.make_directory(str(job.key))
        keep(folder, job.spec, job.id, job.content)
        write_status(folder, JobStatus("done"))
    times = weights.stat()
    weights.write_bytes(b"pubLished")
    os.utime(weights, ns=(times.st_atime_ns, times.st_mtime_ns))
    after = plan(registry, repository, spelled(weights))
    every = {job.id for job in after.jobs}
    assert {job.id for job in after.jobs if job.key not in before.runnable()} == every
    found = stale_changes(after, store)
    (change, *_) = found["seqinv/pretrain/seed0"]
    assert change.text == f"encoder.weights: the content of {weights}"
    assert set(found) == every


@pytest.mark.usefixtures("cache")
def test_the_specification_of_a_job_has_its_own_key(
    registry: Registry, repository: Path, weights: Path, tmp_path: Path
) -> None:
    for job in plan(registry, repository, spelled(weights)).jobs:
        keep(tmp_path / str(job.key), job.spec, job.id, job.content)
        said = read_specification(tmp_path / str(job.key))
        assert key_of(said.spec, said.content) == job.key


@pytest.mark.usefixtures("cache")
def test_a_job_does_not_read_another_file_than_was_planned_with(
    registry: Registry, repository: Path, weights: Path
) -> None:
    (job, *_) = plan(registry, repository, spelled(weights)).jobs
    weights.write_bytes(b"another")
    with pytest.raises(ConfigError, match=r"encoder\.weights: expected a file whose sha256 is "):
        registry.resolve(job.spec.encoder, "job.json: encoder", "corrected")


def test_a_file_is_read_once_for_each_version_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []
    compute = input_file._digest

    def count(path: Path) -> tuple[dict[str, Any], bool]:
        read.append(path)
        return compute(path)

    monkeypatch.setattr(input_file, "_digest", count)
    path = tmp_path / "weights.bin"
    path.write_bytes(b"one")
    first = InputFile.model_validate(path)
    assert InputFile.model_validate(path) == first
    assert read == [path]
    path.write_bytes(b"other")
    assert InputFile.model_validate(path).sha256 != first.sha256
    assert read == [path, path]
