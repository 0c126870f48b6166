"""What can be compared, and one clear sentence for what cannot."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from specifications import content, keep, spec_of, trained_cohort
from synthetic_results import DICE, HD95, Benchmark, Cell, task

from mribench.compare import Paired, comparison_document, of_one, of_two, paired
from mribench.compare.differences import compared
from mribench.compare.sides import short_names
from mribench.errors import MRIBenchError, StoreError
from mribench.interfaces import ViewsRef
from mribench.report import load_run, render
from mribench.results.content import Content, DataIdentity, EntryIdentity


def score(cell: Cell, metric: str, subject: str, label: str) -> float:
    return {"base": 0.5, "seqinv": 0.6}.get(cell["method"], 0.4) + 0.01 * "abcdefgh".index(subject)


PLAIN = Benchmark(score)


def one(root: Path, first: str, second: str, benchmark: Benchmark = PLAIN) -> Paired:
    benchmark.write(root)
    return paired(of_one(load_run(root), root, first, second))


def two(old: Path, new: Path, *methods: str) -> Paired:
    return paired(of_two([load_run(old), load_run(new)], [old, new], methods))


def specify(
    root: Path, choose: Callable[[str], bool], made_of: Content | None = None, **changes: Any
) -> None:
    """Write ``job.json`` of the jobs whose id is chosen, as ``mribench run`` does."""
    for manifest in (root / "plans").glob("*.json"):
        for job in json.loads(manifest.read_text())["jobs"]:
            if choose(job["id"]):
                keep(root / "jobs" / job["key"], spec_of(job["kind"], **changes), job["id"], made_of)


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    better = replace(PLAIN, score=lambda *key: score(*key) + 0.02, methods=("seqinv",))
    return PLAIN.write(tmp_path / "old" / "bench"), better.write(tmp_path / "new" / "bench")


# One folder


def test_rows_are_named_as_tables_name_them(tmp_path: Path) -> None:
    both = replace(PLAIN, arms=("frozen", "finetune"), references=("scratch",))
    found = one(tmp_path, "seqinv (finetune)", "scratch", both)
    assert found.pair.names == ("seqinv (finetune)", "scratch")
    assert compared(found)[0].found.difference == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("first", "second", "message", "hint"),
    [
        ("seqinw", "base", "there is no method 'seqinw' in ", "did you mean 'seqinv'?"),
        ("seqinv", "finetune", "there is no method 'finetune' in ", "known: base, seqinv"),
        ("base", "base", "'base' is given twice: there is nothing to compare", "name another: seqinv"),
    ],
)
def test_names_that_cannot_be_compared(
    tmp_path: Path, first: str, second: str, message: str, hint: str
) -> None:
    with pytest.raises(MRIBenchError) as error:
        one(tmp_path, first, second)
    assert error.value.message.startswith(message)
    assert error.value.hint == hint


def test_a_method_without_results(tmp_path: Path) -> None:
    states = {job["id"]: "todo" for job in PLAIN.jobs() if job["id"].startswith("base/")}
    with pytest.raises(MRIBenchError, match=r"^base has no results yet"):
        one(tmp_path, "seqinv", "base", replace(PLAIN, states=states))


def test_no_cell_in_common_says_what_each_has(tmp_path: Path) -> None:
    tasks = {"tissue": task([DICE], (0.1, 1.0))}
    gone = {
        job["id"]: "failed"
        for job in replace(PLAIN, tasks=tasks).jobs()
        if ("base" in job["id"] and "/0.1/" in job["id"]) or ("seqinv" in job["id"] and "/1/" in job["id"])
    }
    with pytest.raises(MRIBenchError, match="seqinv and base share no cell") as error:
        one(tmp_path, "seqinv", "base", replace(PLAIN, tasks=tasks, states=gone))
    assert error.value.hint == "fractions: 0.1; and 1.0"


def test_cells_of_one_side_only_are_left_out_and_counted(tmp_path: Path) -> None:
    tasks = {"tissue": task([DICE], (0.1, 1.0))}
    gone = {
        job["id"]: "failed"
        for job in replace(PLAIN, tasks=tasks).jobs()
        if "base" in job["id"] and "/0.1/" in job["id"]
    }
    found = one(tmp_path, "seqinv", "base", replace(PLAIN, tasks=tasks, states=gone))
    assert [row.place.where["fraction"] for row in compared(found)] == [1.0]
    assert found.notes == ("1 cells of seqinv have no counterpart and are left out.",)


def test_rows_of_two_profiles_are_two_definitions(tmp_path: Path) -> None:
    PLAIN.write(tmp_path)
    replace(PLAIN, profile="as-released", salt="x").write(tmp_path, "fedcba9876543210")
    run = load_run(tmp_path)
    with pytest.raises(MRIBenchError, match=r"of the profile corrected, .* of as-released: two definitions"):
        of_one(run, tmp_path, "seqinv [corrected]", "base [as-released]")
    with pytest.raises(MRIBenchError, match="'seqinv' is of several profiles in ") as error:
        of_one(run, tmp_path, "seqinv", "base")
    assert error.value.hint == "name one: seqinv [corrected], seqinv [as-released]"
    assert of_one(run, tmp_path, "seqinv [as-released]", "base [as-released]").first.profile == "as-released"


def test_results_of_several_splits_are_said(tmp_path: Path) -> None:
    PLAIN.write(tmp_path)
    specify(tmp_path, lambda name: "/test/" in name, split_digest="abcabcabc")
    replace(PLAIN, seeds=(2,), created="2026-02-01T00:00:00+00:00").write(tmp_path, "fedcba9876543210")
    specify(tmp_path, lambda name: "seed2/test/" in name, split_digest="defdefdef")
    found = paired(of_one(load_run(tmp_path), tmp_path, "seqinv", "base"))
    assert "test results of 2 splits; " in found.notes[0]
    assert compared(found)[0].found.n_seeds == 1


# Two folders


def test_one_method_in_two_folders(folders: tuple[Path, Path]) -> None:
    found = two(*folders, "seqinv")
    assert found.pair.names == ("seqinv @ old", "seqinv @ new")
    assert found.pair.minus == "seqinv @ old − seqinv @ new"
    (row,) = compared(found)
    assert row.found.difference == pytest.approx(-0.02)
    assert (row.found.n_seeds, row.found.n_subjects) == (2, 3)


def test_the_only_trained_method_in_common_needs_no_name(folders: tuple[Path, Path]) -> None:
    assert two(*folders).pair.first.row == "seqinv"


def test_two_names_for_a_method_that_was_renamed(folders: tuple[Path, Path]) -> None:
    found = two(*folders, "base", "seqinv")
    assert compared(found)[0].found.difference == pytest.approx(-0.12)


def test_folders_that_share_several_or_no_methods(tmp_path: Path, folders: tuple[Path, Path]) -> None:
    PLAIN.write(tmp_path / "again")
    with pytest.raises(MRIBenchError, match="share several methods: base, seqinv") as error:
        two(folders[0], tmp_path / "again")
    assert error.value.hint == "say which: --method 'base'"
    replace(PLAIN, methods=("other",)).write(tmp_path / "third")
    with pytest.raises(MRIBenchError, match="share no method") as error:
        two(folders[1], tmp_path / "third")
    assert error.value.hint.endswith("--method METHOD_A --method METHOD_B")


def test_the_same_folder_twice(folders: tuple[Path, Path]) -> None:
    with pytest.raises(MRIBenchError, match="are the same folder"):
        two(folders[0], folders[0].parent / "." / "bench", "seqinv")


def test_subjects_and_seeds_are_paired_by_id(tmp_path: Path) -> None:
    PLAIN.write(tmp_path / "a")
    other = replace(PLAIN, subjects=("c", "d", "b"), seeds=(1, 7), score=lambda *key: score(*key) + 0.1)
    other.write(tmp_path / "b")
    (row,) = compared(two(tmp_path / "b", tmp_path / "a", "seqinv"))
    assert row.found.difference == pytest.approx(0.1), "b and c, seed 1"
    assert (row.found.n_seeds, row.found.n_subjects, row.found.n_missing_pairs) == (1, 2, 3 * 4 - 2)
    assert row.verdict == "these checkpoints only"


@pytest.mark.parametrize(
    ("stage", "choose"),
    [("test", lambda name: "/test/" in name), ("training", lambda name: name.endswith(("seed0", "seed1")))],
)
def test_other_subjects_are_refused(
    folders: tuple[Path, Path], stage: str, choose: Callable[[str], bool]
) -> None:
    specify(folders[0], choose, split_digest="aaaaaaaaaaaa")
    specify(folders[1], choose, split_digest="bbbbbbbbbbbb")
    with pytest.raises(MRIBenchError, match="have no cell on the same subjects") as error:
        two(*folders, "seqinv")
    assert f"tissue, Guys, T1w: the {stage} subjects differ (digests aaaaaaaa and bbbbbbbb)" in str(
        error.value
    )


def test_other_files_of_the_same_subjects_are_refused(folders: tuple[Path, Path]) -> None:
    for folder, prints in zip(folders, ({"a": "1", "b": "2"}, {"a": "1", "b": "3"}), strict=True):
        specify(folder, lambda name: "/test/" in name, content(fingerprints=prints), split_digest="same")
    with pytest.raises(MRIBenchError, match="the test files differ for 1 of 2 subjects"):
        two(*folders, "seqinv")


def test_only_the_seeds_on_other_subjects_are_left_out(folders: tuple[Path, Path]) -> None:
    specify(folders[0], lambda name: "seed0/test/" in name, split_digest="aaaaaaaaaaaa")
    specify(folders[1], lambda name: "seed0/test/" in name, split_digest="bbbbbbbbbbbb")
    found = two(*folders, "seqinv")
    assert compared(found)[0].found.n_seeds == 1
    assert found.notes == (
        "Left out: tissue, Guys, T1w: the test subjects differ (digests aaaaaaaa and bbbbbbbb); 1 results.",
    )


def test_an_untrained_row_of_another_folder_is_checked_too(tmp_path: Path) -> None:
    for name, digest in (("a", "aaaa"), ("b", "bbbb")):
        replace(PLAIN, references=("identity",)).write(tmp_path / name)
        specify(tmp_path / name, lambda name: "/test/" in name, split_digest=digest)
    with pytest.raises(MRIBenchError, match="the test subjects differ"):
        two(tmp_path / "a", tmp_path / "b", "seqinv", "identity")
    specify(tmp_path / "b", lambda name: "/test/" in name, split_digest="aaaa")
    (row,) = compared(two(tmp_path / "a", tmp_path / "b", "seqinv", "identity"))
    assert row.found.difference == pytest.approx(0.2)


def test_nothing_was_trained_on_either_side(tmp_path: Path) -> None:
    for name in ("a", "b"):
        replace(PLAIN, references=("identity",)).write(tmp_path / name)
    with pytest.raises(MRIBenchError, match="nothing was trained for identity @ a and identity @ b"):
        two(tmp_path / "a", tmp_path / "b", "identity")


def test_other_profiles_or_defects_are_refused(tmp_path: Path, folders: tuple[Path, Path]) -> None:
    replace(PLAIN, profile="as-released").write(tmp_path / "released")
    with pytest.raises(MRIBenchError, match="two definitions, not two methods"):
        two(folders[0], tmp_path / "released", "seqinv")
    replace(PLAIN, shown={"metrics/empty-masks-dropped": "x"}).write(tmp_path / "defect")
    with pytest.raises(MRIBenchError, match="known defects on both sides: metrics/empty-masks-dropped"):
        two(folders[0], tmp_path / "defect", "seqinv")


def test_metrics_of_another_definition_are_left_out(tmp_path: Path) -> None:
    for name, unit in (("a", "mm"), ("b", "")):
        tasks = {"tissue": task([DICE, {**HD95, "unit": unit}])}
        replace(PLAIN, tasks=tasks).write(tmp_path / name)
    found = two(tmp_path / "a", tmp_path / "b", "seqinv")
    assert [row.place.metric for row in compared(found)] == ["dice"]
    assert found.notes == ("Left out, as unit, range or direction differ: tissue, hd95:max-directed.",)


def test_a_folder_of_an_older_schema(folders: tuple[Path, Path]) -> None:
    (folders[1] / "store.json").write_text('{"schema": 1}')
    with pytest.raises(StoreError, match="holds results of schema version 1, this mribench reads"):
        two(*folders, "seqinv")


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (("r/a/bench", "r/b/bench"), ["a", "b"]),
        (("r/a", "r/b"), ["a", "b"]),
        (("r/x/1/bench", "r/y/2/bench"), ["x/1", "y/2"]),
        (("r", "r/old"), ["r", "r/old"]),
        (("r/a/a", "r/a"), ["r/a/a", "r/a"]),
    ],
)
def test_folders_are_called_by_what_tells_them_apart(paths: tuple[str, str], names: list[str]) -> None:
    assert short_names([Path(path) for path in paths]) == names


# What else differs


def settings(found: Paired) -> dict[tuple[str, str], tuple[str, str]]:
    cells = comparison_document(found.pair, ["settings"]).cells()
    return {
        (row.stage, row.setting): (row.setting_first, row.setting_second)
        for row in cells.itertuples(index=False)
    }


def test_settings_budgets_and_code_that_differ(tmp_path: Path) -> None:
    row = {"views_seen": 1920, "collapsed": True, "collapse_reason": "flat"}
    unequal = {f"seqinv/pretrain/seed{seed}": row for seed in (0, 1)}
    benchmark = replace(PLAIN, pretrained=unequal, overrides={"seqinv": ["pretrain.patch_vox"]})
    benchmark.write(tmp_path)
    for method, size in (("base", 24), ("seqinv", 32)):
        specify(
            tmp_path, lambda name, m=method: name.startswith(f"{m}/pretrain"),
            content(entries=(EntryIdentity("views", method, "mribench", method),)),
            pretrain={"patch_vox": size, "steps": 45},
            views=ViewsRef.model_validate({"name": "blur", "augment": {"scale": 0.1}}),
            seed=0, sources=(trained_cohort(train=(method,)),),
        )  # fmt: skip
    found = paired(of_one(load_run(tmp_path), tmp_path, "seqinv", "base"))
    differ = settings(found)
    assert differ["pretrain", "pretrain.patch_vox"] == ("32", "24")
    assert differ["pretrain", "budget: views seen"] == ("1,920", "960")
    assert differ["method", "own settings"] == ("pretrain.patch_vox", "–")
    assert {key for _, key in differ if key.startswith("code of")} == {
        "code of views base",
        "code of views seqinv",
    }
    assert not {key for _, key in differ} & {"pretrain.steps", "views.augment.scale", "seed", "train"}
    (table,) = comparison_document(found.pair, ["settings"]).tables()
    notes = " ".join(table.caption)
    assert "† Collapsed encoder: seqinv: in 2 of 2 seeds (flat)." in notes
    assert "‡ Not the budget or settings of the others: " in notes


def test_settings_of_two_folders(folders: tuple[Path, Path]) -> None:
    for folder, steps in zip(folders, (45, 90), strict=True):
        specify(folder, lambda name: name.startswith("seqinv/pretrain"), pretrain={"steps": steps})
        made_of = content(data=DataIdentity("folder", "mribench", "", {"spacing_mm": steps / 10}))
        specify(
            folder, lambda name: "/test/" in name, made_of, adapt={"lr": steps}, split_digest="same",
        )  # fmt: skip
    differ = settings(two(*folders, "seqinv"))
    assert differ == {
        ("pretrain", "pretrain.steps"): ("45", "90"),
        ("test tissue", "reader.options.spacing_mm"): ("4.5", "9.0"),
    }


def test_nothing_else_differs(tmp_path: Path) -> None:
    found = one(tmp_path, "seqinv", "base")
    text = render(comparison_document(found.pair, ["settings"]), "markdown")
    assert "Nothing that is recorded differs but the results." in str(text)
