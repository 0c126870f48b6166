"""The benchmark files of the repository."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest

from mribench.config import BenchmarkConfig, ResolvedBenchmark, load_benchmark, resolve
from mribench.config.reading import read_file
from mribench.plugins import load_registry
from mribench.registry import Registry
from mribench.results.checks import LadderCheck, SameCheck

FILES = ("quickstart.yaml", "paper.yaml", "paper-on-phantom.yaml")
FIRST_LINE = "# yaml-language-server: $schema=schema/benchmark.json"
Open = Callable[..., BenchmarkConfig]


@pytest.fixture(scope="module")
def first_party() -> Registry:
    registry = load_registry()
    assert registry.problems == []
    return registry


@pytest.fixture
def open_(repository: Path) -> Open:
    return lambda name, *sets: load_benchmark(repository / "benchmarks" / name, sets)


def _jobs(resolved: ResolvedBenchmark) -> dict[str, int]:
    """Count the jobs of one seed without the reference arms, from the file and the split rules alone."""
    config = resolved.config
    cells = {"pretrain": len(config.methods), "adapt": 0, "evaluate": 0}
    for spec in config.tasks.values():
        sites = list(resolved.splits[spec.data].make().sites()) or [spec.data]
        for trained_on in spec.trained_on:
            decoders = (
                len(config.methods)
                * len(config.arms)
                * sum(len(config.subset_seeds_at(f)) for f in spec.fractions)
            )
            cells["adapt"] += decoders
            cells["evaluate"] += decoders * len(sites) * len(spec.tested_on(trained_on, ()))
    return cells


def test_no_file_is_forgotten(repository: Path) -> None:
    assert {path.name for path in (repository / "benchmarks").glob("*.yaml")} >= set(FILES)


def test_every_file_fits_the_committed_schema(repository: Path) -> None:
    schema = json.loads((repository / "benchmarks/schema/benchmark.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    for path in sorted((repository / "benchmarks").glob("*.yaml")):
        errors = [
            error.message for error in jsonschema.Draft202012Validator(schema).iter_errors(read_file(path))
        ]
        assert errors == [], path.name
        assert path.read_text(encoding="utf-8").startswith(FIRST_LINE + "\n"), path.name


@pytest.mark.parametrize("name", FILES)
def test_every_component_resolves(open_: Open, first_party: Registry, name: str) -> None:
    found = resolve(open_(name), first_party)
    assert list(found.methods) == ["base", "seqaug", "seqinv"]
    assert all(method.overrides == [] for method in found.methods.values())
    assert found.config.benchmark == Path(name).stem


def test_sensitivity_compares_a_method_with_itself_and_has_a_ladder(
    open_: Open, first_party: Registry
) -> None:
    found = resolve(open_("sensitivity.yaml"), first_party)
    config, methods = found.config, found.methods
    same, *_, ladder = config.checks
    assert isinstance(same, SameCheck)
    assert isinstance(ladder, LadderCheck)
    first, again = (methods[name] for name in same.same)
    assert [part.component() for part in first.parts()] == [part.component() for part in again.parts()]
    assert (first.overrides, again.overrides) == ([], ["seed_offset"])
    start, *rungs = ladder.ladder
    assert start == "random-frozen"
    steps = [config.pretrain_of(name).steps for name in rungs]
    assert steps == [steps[-1] // share for share in (8, 4, 2, 1)]
    assert all("pretrain" in methods[name].overrides for name in rungs[:-1])


@pytest.mark.parametrize("sets", [("paper.yaml",), ("paper-on-phantom.yaml", "size=full")])
def test_the_papers_grid(open_: Open, first_party: Registry, sets: tuple[str, ...]) -> None:
    cells = _jobs(resolve(open_(*sets), first_party))
    every = 1 if sets == ("paper.yaml",) else 3  # on phantoms each decoder is tested on all three sequences
    assert cells == {"pretrain": 3, "adapt": 63, "evaluate": every * 171}
    if every == 1:
        assert sum(cells.values()) == 237


def test_quickstart_is_thirty_adaptations(open_: Open, first_party: Registry) -> None:
    config = open_("quickstart.yaml")
    trained_references = len(set(config.reference_arms) - {"identity"})
    cells = sum(len(spec.fractions) * len(spec.train_sequences) for spec in config.tasks.values())
    assert len(config.seeds) * cells * (len(config.methods) + trained_references) == 30
    assert _jobs(resolve(config, first_party))["adapt"] == 6


def test_paper_settings(open_: Open) -> None:
    config = open_("paper.yaml")
    assert config.profile == "corrected"
    assert config.defaults.encoder.options == {"features": [64, 128, 256, 512, 768]}
    pretrain = config.pretrain_of("seqinv")
    assert (pretrain.steps, pretrain.batch_size, pretrain.lr, pretrain.patch_vox) == (60000, 8, 1e-3, 96)
    assert (pretrain.decay_power, pretrain.clip_norm) == (0.9, 12)
    assert {name: spec.adapt.steps for name, spec in config.tasks.items()} == {
        "tissue": 16000, "lesion": 16000, "denoise": 20000,
    }  # fmt: skip
    for spec in config.tasks.values():
        assert (spec.adapt.batch_size, spec.adapt.lr, spec.adapt.select) == (2, 5e-5, "last")
        assert (spec.adapt.patch_vox, spec.test_sequences) == (96, "same")
    assert config.splits["ixi"].options == {
        "train_site": "Guys", "train": 226, "validation": 31, "test": 65, "test_sites": ["HH", "IOP"],
    }  # fmt: skip


def test_paper_roots_come_from_the_environment(open_: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MRIBENCH_IXI", "MRIBENCH_ARC", "MRIBENCH_MPM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MRIBENCH_IXI", "/scans/ixi")
    roots = {name: ref.options["root"] for name, ref in open_("paper.yaml").data.items()}
    assert roots == {"qmri": None, "ixi": "/scans/ixi", "arc": None}


def test_full_phantom_grid_differs_from_the_paper_in_its_data_only(open_: Open) -> None:
    paper, phantom = (
        open_(*args).model_dump() for args in (("paper.yaml",), ("paper-on-phantom.yaml", "size=full"))
    )
    differs = {key for key in paper if paper[key] != phantom[key]}
    assert differs == {"benchmark", "size", "data", "tasks", "report"}
    for name, task in paper["tasks"].items():
        other = phantom["tasks"][name]
        assert {key for key in task if task[key] != other[key]} == {"test_sequences"}
        assert other["test_sequences"] == "all"
    assert set(phantom["report"]["tables"]) - set(paper["report"]["tables"]) == {"transfer"}


def test_small_phantom_grid_has_fewer_cells_of_the_same_grid_and_more_seeds(open_: Open) -> None:
    small, full = open_("paper-on-phantom.yaml"), open_("paper-on-phantom.yaml", "size=full")
    assert small.size == "small"
    assert small.methods == full.methods
    for name, spec in small.tasks.items():
        other = full.tasks[name]
        assert spec.adapt.steps < other.adapt.steps
        assert (spec.task.name, spec.test_sequences) == (other.task.name, other.test_sequences)
        assert set(spec.fractions) <= set(other.fractions)
        assert set(spec.trained_on) <= set(other.trained_on)
    assert len(small.seeds) == 3


@pytest.mark.parametrize("name", ["quickstart.yaml", "paper-on-phantom.yaml"])
def test_small_phantoms_fill_their_splits(open_: Open, name: str) -> None:
    config = open_(name)
    for cohort, split in config.splits.items():
        options = config.data[cohort].options
        here = options["subjects"] if "subjects" in options else options["sites"][split.options["train_site"]]
        asked = sum(split.options[role] for role in ("train", "validation", "test"))
        assert asked <= here, cohort
        assert set(split.options.get("test_sites", ())) <= set(options.get("sites", ())), cohort
