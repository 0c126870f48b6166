"""The DAG: its counts, what its keys depend on, and what they do not."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from mribench.config import load_benchmark, resolve
from mribench.errors import ConfigError
from mribench.plan import Plan, build_plan, make_missing, open_cohorts
from mribench.plugins import load_registry
from mribench.registry import Registry
from mribench.results.specification import AdaptSpec, EvaluateSpec, PretrainSpec


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load_registry()


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tmp_path_factory.mktemp("cohorts"))


def plan(file: Path, registry: Registry, *sets: str, make: bool = True) -> Plan:
    resolved = resolve(load_benchmark(file, sets), registry)
    if make:
        make_missing(resolved, lambda what, done, total: None)
    return build_plan(resolved, open_cohorts(resolved))


def keys(made: Plan) -> dict[str, str | None]:
    return {job.id: job.key for job in made.jobs}


@pytest.fixture
def tiny(repository: Path, cache: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MRIBENCH_CACHE", cache)
    return repository / "tests" / "benchmarks" / "tiny.yaml"


def methods_own(made: Plan, names: set[str]) -> Counter[str]:
    return Counter(job.kind for job in made.jobs if job.id.partition("/")[0] in names)


def test_the_papers_grid_has_237_jobs_a_seed(repository: Path, registry: Registry) -> None:
    file = repository / "benchmarks" / "paper.yaml"
    own = methods_own(plan(file, registry, "seeds=[0]", make=False), {"base", "seqaug", "seqinv"})
    grid = {"pretrain": 3, "adapt": 63, "evaluate": 171}
    assert own == {**grid, "embed": 6}, "and one for each method and cohort whose invariance is measured"
    twice = methods_own(plan(file, registry, "seeds=[0, 1]", make=False), {"base", "seqaug", "seqinv"})
    assert sum(twice[kind] for kind in grid) == 2 * 237


def test_on_phantoms_every_decoder_is_tested_on_every_sequence(repository: Path, registry: Registry) -> None:
    file = repository / "benchmarks" / "paper-on-phantom.yaml"
    own = methods_own(plan(file, registry, "size=full", make=False), {"base", "seqaug", "seqinv"})
    assert own == {"pretrain": 3, "adapt": 63, "evaluate": 3 * 171, "embed": 6}


def test_without_data_jobs_wait_and_say_for_what(
    repository: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("MRIBENCH_IXI", "MRIBENCH_ARC", "MRIBENCH_MPM", "MRIBENCH_DATA"):
        monkeypatch.delenv(name, raising=False)
    made = plan(repository / "benchmarks" / "paper.yaml", registry, make=False)
    assert set(made.missing) == {"qmri", "ixi", "arc"}
    assert all(job.key is None and job.waiting_for for job in made.jobs)
    frozen = next(job for job in made.jobs if job.id.startswith("base/frozen/tissue"))
    assert set(frozen.waiting_for) == {"qmri", "ixi"}
    assert made.runnable() == {}


def test_the_quickstart_compares_what_it_promises(repository: Path, registry: Registry) -> None:
    made = plan(repository / "benchmarks" / "quickstart.yaml", registry, make=False)
    count = made.count()
    assert (count["pretrain"], count["adapt"]) == (9, 30)
    assert {job.cell.method for job in made.jobs if job.cell} == {
        "base", "seqaug", "seqinv", "scratch", "random-frozen", "identity"
    }  # fmt: skip


def test_dependencies_come_first_and_pretraining_is_shared(tiny: Path, registry: Registry) -> None:
    made = plan(tiny, registry)
    seen: set[str | None] = set()
    for job in made.jobs:
        assert set(job.needs) <= seen, job.id
        seen.add(job.key)
    pretrain = next(job for job in made.jobs if job.kind == "pretrain")
    adapts = [job for job in made.jobs if job.kind == "adapt"]
    assert sum(job.needs == (pretrain.key,) for job in adapts) == 4
    assert sum(job.needs == () for job in adapts) == 2, "scratch needs nobody"
    assert len(set(keys(made).values())) == len(made.jobs), "no two jobs share a key"


def test_the_same_file_gives_the_same_keys(tiny: Path, registry: Registry) -> None:
    assert keys(plan(tiny, registry)) == keys(plan(tiny, load_registry()))


def test_a_defaults_spelt_out_gives_the_same_keys(tiny: Path, registry: Registry) -> None:
    spelt = plan(tiny, registry, "methods.seqinv.objective.temperature=0.5", "profile=corrected")
    assert keys(spelt) == keys(plan(tiny, registry))


@pytest.mark.parametrize(
    ("change", "kinds"),
    [
        ("methods.seqinv.objective.temperature=0.1", {"pretrain", "adapt", "evaluate"}),
        ("defaults.pretrain.steps=5", {"pretrain", "adapt", "evaluate"}),
        ("tasks.tissue.adapt.steps=3", {"adapt", "evaluate"}),
        ("seeds=[7]", {"pretrain", "adapt", "evaluate"}),
        ("splits.ixi.test_sites=[]", set()),
        ("tasks.tissue.test_sequences=[T1w]", set()),
    ],
)
def test_a_change_touches_what_depends_on_it(
    tiny: Path, registry: Registry, change: str, kinds: set[str]
) -> None:
    before = set(keys(plan(tiny, registry)).values())
    after = plan(tiny, registry, change)
    assert {job.kind for job in after.jobs if job.key not in before} == kinds


def test_a_new_test_site_leaves_training_alone(tiny: Path, registry: Registry) -> None:
    more = plan(tiny, registry, "data.ixi.sites={Guys: 4, HH: 1, IOP: 1}", "splits.ixi.test_sites=[HH, IOP]")
    before = set(keys(plan(tiny, registry)).values())
    new = [job for job in more.jobs if job.key not in before]
    assert {job.kind for job in new} == {"evaluate"}
    assert {job.spec.cell.test_site for job in new if isinstance(job.spec, EvaluateSpec)} == {"IOP"}


def test_what_a_file_calls_a_cohort_makes_no_training_anew(tiny: Path, registry: Registry) -> None:
    """The rows of a test carry the name; a pretraining does not, though its options have it."""
    other = tiny.with_name("other.yaml")
    content = yaml.safe_load(tiny.read_text())
    for part in ("data", "splits"):
        content[part]["heads"] = content[part].pop("qmri")
    content["defaults"]["pretrain"]["data"] = "heads"
    other.write_text(yaml.safe_dump(content))
    before, after = keys(plan(tiny, registry)), keys(plan(other, registry))
    assert before == after


def test_moving_the_data_changes_no_key(tiny: Path, registry: Registry, tmp_path: Path) -> None:
    import shutil

    cohort = resolve(load_benchmark(tiny, ()), registry).datasets["ixi"].make()
    cohort.make()
    made = {}
    for name in ("here", "there"):
        shutil.copytree(cohort.folder, tmp_path / name)
        made[name] = plan(tiny, registry, f"data.ixi={{name: ixi, root: {tmp_path / name}}}")
    assert keys(made["here"]) == keys(made["there"])
    assert keys(made["here"]) != keys(plan(tiny, registry)), "another reader is another job"


@pytest.mark.parametrize(
    ("given", "tested"),
    [("same", ["T1w"]), ("all", ["T1w", "PDw", "T2w"]), ("[T2w]", ["T2w"])],
)
def test_all_sequences_are_those_of_the_test_subjects(
    tiny: Path, registry: Registry, given: str, tested: list[str]
) -> None:
    made = plan(tiny, registry, f"tasks.tissue.test_sequences={given}")
    specs = [job.spec for job in made.jobs if isinstance(job.spec, EvaluateSpec)]
    cells = [spec.cell for spec in specs if spec.cell.task == "tissue"]
    assert list(dict.fromkeys(cell.test_sequence for cell in cells)) == tested


def test_label_fractions_are_counted_in_words(tiny: Path, registry: Registry) -> None:
    made = plan(tiny, registry, "tasks.tissue.fractions=[0.01, 1.0]")
    assert "tissue T1w: 2 training subjects; 1 % is 1" in made.notes
    made = plan(tiny, registry, "tasks.tissue.fractions=[1.0]")
    assert "tissue T1w: 2 training subjects" in made.notes


def trained_on(made: Plan) -> dict[str, tuple[str, ...]]:
    """Return the training subjects of every adaptation, by job id."""
    return {job.id: job.spec.train for job in made.jobs if isinstance(job.spec, AdaptSpec)}


SUBSETS = (
    "seeds=[0, 1, 2, 3, 4, 5]", "data.ixi.sites={Guys: 12, HH: 1}",
    "splits.ixi={by: site, train_site: Guys, train: 10, validation: 1, test: 1, test_sites: [HH]}",
    "tasks.tissue.fractions=[0.1, 0.3, 1.0]",
)  # fmt: skip


def test_each_seed_draws_its_own_label_subsets_for_all_rows(tiny: Path, registry: Registry) -> None:
    made = trained_on(plan(tiny, registry, *SUBSETS))
    rows = ("seqinv/frozen", "seqinv/finetune", "scratch")
    draws = {}
    for seed in range(6):
        small, middle, every = (
            made[f"scratch/tissue/T1w/{share}/seed{seed}"] for share in ("10%", "30%", "100%")
        )
        assert set(small) < set(middle) < set(every)
        for row in rows:
            assert made[f"{row}/tissue/T1w/30%/seed{seed}"] == middle
        draws[seed] = middle
    assert len(set(draws.values())) > 3
    fixed = trained_on(plan(tiny, registry, *SUBSETS, "subset_seeds=[0]"))
    found = {fixed[f"scratch/tissue/T1w/30%/subset0/seed{seed}"] for seed in range(6)}
    assert found == {draws[0]}, "one draw for all"


def test_all_subjects_are_one_training_set_whatever_would_draw_them(tiny: Path, registry: Registry) -> None:
    made = [
        plan(tiny, registry, *SUBSETS, *more)
        for more in ((), ("subset_seeds=[7]",), ("subset_seeds=[0, 1]",), ("profile=paper", "defects=[]"))
    ]
    whole = [{job.id: job.key for job in each.jobs if "/100%/" in job.id} for each in made]
    assert whole[0] == whole[1] == whole[2], "a fixed draw makes no other jobs of them, and none twice"
    assert len({made_of for name, made_of in trained_on(made[0]).items() if "/100%/" in name}) == 1
    assert set(whole[0]) == set(whole[3])


def test_the_cells_say_what_drew_their_label_subset(tiny: Path, registry: Registry) -> None:
    def drawn(*more: str) -> set[tuple[float, int | None]]:
        specs = [job.spec for job in plan(tiny, registry, *SUBSETS, *more).jobs]
        cells = [spec.cell for spec in specs if isinstance(spec, EvaluateSpec)]
        return {
            (cell.fraction, cell.subset_seed)
            for cell in cells
            if cell.fraction is not None and cell.seed is not None
        }

    assert drawn() == drawn("subset_seeds=per-seed") == {(0.1, None), (0.3, None), (1.0, None)}
    assert drawn("profile=paper") == drawn("subset_seeds=[0]") == {(0.1, 0), (0.3, 0), (1.0, None)}
    assert drawn("profile=paper", "subset_seeds=per-seed") == drawn()
    assert drawn("subset_seeds=[0, 4]") == {(0.1, 0), (0.1, 4), (0.3, 0), (0.3, 4), (1.0, None)}


def test_ten_thousand_jobs_are_planned(tiny: Path, registry: Registry) -> None:
    seeds = list(range(400))
    made = plan(tiny, registry, f"seeds={seeds}")
    assert len(made.jobs) == 400 * 25 + 2
    assert len({job.key for job in made.jobs}) == len(made.jobs)


def test_a_seed_offset_is_other_draws_of_pretraining_and_nothing_else(tiny: Path, registry: Registry) -> None:
    twin = "methods.twin={views: seqinv, objective: simclr-recon, seed_offset: %d}"
    made = plan(tiny, registry, "seeds=[0, 1]", twin % 100)
    ids = {job.id: job for job in made.jobs}
    pretrained = [(job.method, job.spec.seed) for job in made.jobs if isinstance(job.spec, PretrainSpec)]
    assert sorted(pretrained) == [("seqinv", 0), ("seqinv", 1), ("twin", 100), ("twin", 101)]
    seqinv = {name: job for name, job in ids.items() if name.startswith("seqinv/")}
    for name, job in seqinv.items():
        again = ids[name.replace("seqinv/", "twin/")]
        assert job.key != again.key
        if isinstance(job.spec, AdaptSpec):
            assert isinstance(again.spec, AdaptSpec)
            assert again.spec.pretrain_key != job.spec.pretrain_key
            assert replace(again.spec, pretrain_key=job.spec.pretrain_key) == job.spec
        elif isinstance(job.spec, EvaluateSpec):
            assert isinstance(again.spec, EvaluateSpec)
            assert again.spec.cell.seed == job.spec.cell.seed
    usual = plan(tiny, registry, "seeds=[0, 1]")
    assert {job.key for job in usual.jobs} <= {job.key for job in made.jobs}
    same = plan(tiny, registry, "seeds=[0, 1]", "methods.seqinv.seed_offset=0")
    assert keys(same) == keys(usual)
    with pytest.raises(ConfigError, match="train seed 0 would pretrain with the draws of train seed 1"):
        load_benchmark(tiny, ("seeds=[0, 1]", twin % 1))
