"""Label subsets: each seed's own draw counts in the spread over seeds; fixed draws are said to be given."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from report_tables import leaderboard
from synthetic_results import DICE, Benchmark, Cell, task
from test_results_digests import NEW, OLD, specify

from mribench.report import Material, load_run
from mribench.report.tables.over_identity import over_identity_table
from mribench.results.cells import LEADERBOARD, cell_frame
from mribench.results.label_subsets import label_subsets

TASKS = {"tissue": task([DICE], fractions=(0.1, 1.0), sequences=("T1w", "T2w"))}


def score(cell: Cell, metric: str, subject: str, label: str) -> float:
    seed = 0 if cell["seed"] is None else cell["seed"]
    return 0.5 + 0.05 * seed + 0.01 * "abc".index(subject) + 0.003 * (cell["subset_seed"] or 0)


OWN = Benchmark(score, TASKS, seeds=(0, 1, 2), subset_seeds=(None,), references=("identity",))


def caption_of(benchmark: Benchmark, root: Path) -> str:
    return " ".join(leaderboard(load_run(benchmark.write(root))).caption)


def test_a_draw_of_each_seeds_own_is_one_cell_a_seed(tmp_path: Path) -> None:
    frame = cell_frame(load_run(OWN.write(tmp_path)), LEADERBOARD)
    trained = frame[frame["row"].ne("identity")]
    assert trained["status"].eq("ok").all()
    assert trained["n_seeds"].eq(3).all()
    assert trained["n_missing_pairs"].eq(0).all()
    assert trained["mean"].tolist() == pytest.approx([0.56] * len(trained))


def test_the_caption_says_what_the_draw_means(tmp_path: Path) -> None:
    own = caption_of(OWN, tmp_path / "own")
    assert "Label subsets: each train seed has its own draw, the same for all rows" in own
    given = "one draw, so given these n subjects (n=2); what another draw would change is in no SE"
    assert given in caption_of(replace(OWN, subset_seeds=(0,)), tmp_path / "fixed")
    assert given in caption_of(replace(OWN, seeds=(4,)), tmp_path / "one")
    several = caption_of(replace(OWN, subset_seeds=(0, 1)), tmp_path / "several")
    assert "averaged over 2 of them, whose spread is in no SE" in several
    whole = {"tissue": task([DICE], fractions=(1.0,))}
    assert "Label subsets" not in caption_of(replace(OWN, tasks=whole), tmp_path / "whole")
    gain = over_identity_table(Material(load_run(OWN.write(tmp_path / "gain"))))
    assert "each train seed has its own draw" in " ".join(gain.caption)


def test_profiles_that_draw_differently_are_told_apart(tmp_path: Path) -> None:
    OWN.write(tmp_path, OLD)
    replace(OWN, profile="paper", subset_seeds=(0,), salt="p").write(tmp_path, NEW)
    run = load_run(tmp_path)
    caption = " ".join(leaderboard(run).caption)
    assert "Label subsets: corrected: each train seed has its own draw" in caption
    assert "; paper: one draw, so given these n subjects (n=2)" in caption
    assert label_subsets(run.cells) == ["each train seed's own draw", "subset seed 0"]


@pytest.mark.parametrize("newest", ["own", "fixed"])
def test_results_of_own_and_of_fixed_draws_are_never_averaged(tmp_path: Path, newest: str) -> None:
    fixed = replace(OWN, subset_seeds=(0,), salt="f")
    for plan, digest, year in ((OWN, OLD, 2026), (fixed, NEW, 2025 if newest == "own" else 2027)):
        replace(plan, created=f"{year}-01-01").write(tmp_path, digest)
    run = load_run(tmp_path)
    small = run.scores[run.scores["fraction"].eq(0.1)]
    assert np.isnan(small["subset_seed"]).all() == (newest == "own")
    shown, other = ("each seed's own", "fixed") if newest == "own" else ("fixed", "each seed's own")
    where = "tissue trained on T1w, 10 %"
    assert f"{where}: results of {shown} label subsets are shown, those of {other} ones left out" in run.mixed
    assert cell_frame(run, LEADERBOARD)["status"].eq("ok").all()


def test_own_draws_of_several_plans_are_no_other_splits(tmp_path: Path) -> None:
    for seeds, digest in (((0, 1), OLD), ((2,), NEW)):
        each = replace(OWN, seeds=seeds, references=())
        each.write(tmp_path, digest)
        for seed in seeds:
            specify(tmp_path, replace(each, seeds=(seed,)), "tested", f"drawn by {seed}", "p")
    run = load_run(tmp_path)
    assert run.mixed == ()
    assert cell_frame(run, LEADERBOARD)["n_seeds"].eq(3).all()
