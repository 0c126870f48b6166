"""The sample: reproducible, blind to cost, whole chains."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from mribench.errors import ConfigError, StoreError
from mribench.results import SCHEMA, Store
from mribench.verify import Results, open_results, sample
from mribench.verify.results import Verifiable


def made(methods: int = 3, tests: int = 4, done: set[str] | None = None) -> Results:
    """Chains pretrain → adapt → evaluate; all done, or some."""
    jobs: dict[str, Verifiable] = {}
    for method in range(methods):
        pretrain, adapt = f"p{method}", f"a{method}"
        jobs[pretrain] = Verifiable(pretrain, "pretrain", [f"m{method}/pretrain"])
        jobs[adapt] = Verifiable(adapt, "adapt", [f"m{method}/adapt"], (pretrain,))
        for test in range(tests):
            key = f"e{method}{test}"
            jobs[key] = Verifiable(key, "evaluate", [f"m{method}/test{test}"], (adapt, pretrain))
    return Results(Store(Path("somewhere")), jobs, set(jobs) if done is None else done)


def keys(jobs: list[Verifiable]) -> list[str]:
    return [job.key for job in jobs]


def test_a_drawn_cell_brings_what_it_builds_on_dependencies_first() -> None:
    for seed in range(20):
        drawn = sample(made(), 1, seed)
        assert [job.kind for job in drawn] == ["pretrain", "adapt", "evaluate"]
        assert set(drawn[2].needs) == {drawn[0].key, drawn[1].key}


def test_the_seed_draws_the_same_whatever_the_order_of_the_plan() -> None:
    one, other = made(), made()
    turned = Results(other.store, dict(sorted(other.jobs.items(), reverse=True)), other.done)
    for seed in range(5):
        assert sorted(keys(sample(one, 4, seed))) == sorted(keys(sample(turned, 4, seed)))
    assert len({tuple(keys(sample(one, 4, seed))) for seed in range(10)}) > 5


def test_every_cell_has_the_same_chance() -> None:
    counts = Counter(
        job.key for seed in range(600) for job in sample(made(), 3, seed) if job.kind == "evaluate"
    )
    assert len(counts) == 12
    assert all(100 < count < 200 for count in counts.values()), counts  # 150 expected, binomial sd 11


def test_all() -> None:
    assert keys(sample(made(), None, 0)) == list(made().jobs)
    assert keys(sample(made(), 10**6, 0)) == list(made().jobs)


def test_kinds_are_taken_alone() -> None:
    assert {job.kind for job in sample(made(), 3, 0, ["evaluate"])} == {"evaluate"}
    assert keys(sample(made(), None, 0, ["pretrain"])) == ["p0", "p1", "p2"]
    assert len(sample(made(), 2, 0, ["pretrain"])) == 2
    assert {job.kind for job in sample(made(), 1, 0, ["pretrain", "evaluate"])} == {"pretrain", "evaluate"}


def test_patterns_choose_the_ends() -> None:
    assert keys(sample(made(), None, 0, patterns=["m1/test2"])) == ["p1", "a1", "e12"]
    assert keys(sample(made(), None, 0, patterns=["m0/adapt", "m2/pretrain"])) == ["p0", "a0", "p2"]
    with pytest.raises(ConfigError, match="--only nothing/: no done job has such a name"):
        sample(made(), 1, 0, patterns=["nothing/"])


def test_only_done_jobs_are_drawn() -> None:
    assert keys(sample(made(done={"p0", "a0", "p1"}), None, 0)) == ["p0", "a0", "p1"]
    assert keys(sample(made(done={"e00", "a0"}), None, 0)) == ["a0", "e00"]
    with pytest.raises(StoreError, match="no job in somewhere is done"):
        sample(made(done=set()), 1, 0)
    with pytest.raises(StoreError, match="no evaluate job in somewhere is done"):
        sample(made(done={"p0"}), 1, 0, ["evaluate"])


def test_of_a_real_run(finished: Path) -> None:
    results = open_results(finished)
    assert Counter(job.kind for job in results.jobs.values()) == {"pretrain": 1, "adapt": 4, "evaluate": 14}
    drawn = sample(results, 3, 1)
    assert keys(drawn) == keys(sample(open_results(finished), 3, 1))
    assert sum(job.kind == "evaluate" for job in drawn) == 3


@pytest.mark.parametrize("where", ["store.json", "plans"])
def test_a_foreign_schema_is_refused(results: Path, where: str) -> None:
    path = results / where if where.endswith("json") else next((results / "plans").glob("*.json"))
    path.write_text(path.read_text().replace(f'"schema": {SCHEMA}', '"schema": 7'))
    with pytest.raises(StoreError, match="of schema version 7, this mribench reads"):
        open_results(results)


def test_a_folder_without_results(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="holds no results"):
        open_results(tmp_path)


def test_damaged_jobs_are_no_reason_to_say_that_nothing_is_done() -> None:
    results = made(done={"p0"})
    results.damaged.update(e00="cannot read it", e11="cannot read it")
    assert sample(results, 3, 0, ["evaluate"]) == []
    assert sample(results, 3, 0, patterns=["m1/*"]) == []
    assert keys(sample(results, 3, 0)) == ["p0"]
    with pytest.raises(StoreError, match="no adapt job in somewhere is done"):
        sample(results, 1, 0, ["adapt"])
    with pytest.raises(ConfigError, match="no done job has such a name"):
        sample(results, 1, 0, patterns=["m2/*"])
