"""The tables that the page adds: gaps between sites, transfer between sequences, areas, an overview."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from html_results import HOSTILE, SUBJECTS, TASKS, score
from synthetic_results import DICE, PSNR, Benchmark, task

from mribench.interfaces.table import Cell, Table
from mribench.report import Material, load_run
from mribench.report.render.latex import to_latex
from mribench.report.render.markdown import to_markdown
from mribench.report.sentences import percent, seeds_sentence
from mribench.report.tables.gaps import gap_table, why_no_gap
from mribench.report.tables.invariance_ratio import ratio_table, why_no_ratio
from mribench.report.tables.label_efficiency import area_table, why_no_area
from mribench.report.tables.overview import overview
from mribench.results.formatting import cell_text
from mribench.statistics.difference import estimate_difference
from mribench.statistics.domain_gap import estimate_gap
from mribench.statistics.transfer import estimate_transfer


@pytest.fixture(scope="module")
def material(results: Path) -> Material:
    return Material(load_run(results), results)


def made(root: Path, tasks=None, methods=("base", "seqinv"), seeds=(0, 1), of=score, **changes) -> Material:
    tasks = tasks or {"tissue": TASKS["tissue"]}
    changes = {"subjects": SUBJECTS, "labels": ("",), "transfer": True} | changes
    return Material(load_run(Benchmark(of, tasks, methods, seeds, **changes).write(root)), root)


def other_subjects(material: Material, keep=lambda site, number: (site == "Guys") == (number % 2 == 0)):
    """The same run, each subject on some sites only: by default on one."""
    scores = material.run.scores
    numbers = scores["subject"].map({name: place for place, name in enumerate(SUBJECTS)})
    kept = [keep(site, number) for site, number in zip(scores["test_site"], numbers, strict=True)]
    return Material(dataclasses.replace(material.run, scores=scores[kept]))


def cell(table: Table, row: str, *header: str) -> Cell | None:
    (line,) = [place for place, found in enumerate(table.rows) if found.header[0] == row]
    (column,) = [place for place, found in enumerate(table.columns) if found.header[-len(header) :] == header]
    return table.cells[line][column]


def rows(material: Material, values: pd.DataFrame, row: str, task: str, **where: str) -> pd.DataFrame:
    kept = values[values["row"].eq(row) & values["task"].eq(task) & values["fraction"].eq(1.0)]
    for name, value in where.items():
        kept = kept[kept[name].eq(value)]
    return kept


def said(table: Table) -> str:
    return " ".join(table.caption)


# Gaps


def test_subjects_of_one_site_only_are_compared_as_others(tmp_path):
    material = other_subjects(made(tmp_path))
    (table,) = gap_table(material)
    sites = {
        site: rows(material, material.site_values, "base", "tissue", test_site=site)
        for site in ("Guys", "HH")
    }
    expected = estimate_gap(sites["Guys"], sites["HH"])
    found = cell(table, "base", "Guys - HH [95 %]")
    assert (found.mean, found.se) == pytest.approx((expected.difference, expected.se))
    assert math.isnan(found.low), "two seeds leave no interval"
    assert found.n_subjects == expected.n_inside + expected.n_outside == len(SUBJECTS)
    low, mean, high = (100 * value for value in (expected.seed_low, expected.difference, expected.seed_high))
    assert cell_text(found) == f"{mean:+.1f} (seeds: {low:+.1f}, {high:+.1f})"
    assert cell(table, "base", "Guys").mean == pytest.approx(expected.inside)
    assert cell(table, "base", "HH").n_subjects == 4
    assert "the subjects are others" in said(table)
    assert "tissue (Guys, HH), tissue (Guys, IOP)" in said(table)
    assert "compared with themselves" not in said(table)


def test_the_gap_is_what_the_scores_were_made_with(tmp_path):
    material = other_subjects(made(tmp_path, of=lambda c, *_: 0.8 if c["test_site"] == "Guys" else 0.7))
    (table,) = gap_table(material)
    assert cell(table, "base", "Guys - HH [95 %]").mean == pytest.approx(0.1)


def test_subjects_scanned_on_both_sites_are_paired(material):
    (table,) = gap_table(material)
    home, away = (
        rows(material, material.site_values, "base", "tissue", test_site=site) for site in ("Guys", "IOP")
    )
    expected = estimate_difference(home, away)
    found = cell(table, "base", "tissue · 100 % labels", "dice % ↑", "Guys - IOP [95 %]")
    assert (found.mean, found.low, found.high, found.n_subjects) == pytest.approx(
        (expected.difference, expected.low, expected.high, len(SUBJECTS))
    )
    assert "compared with themselves: tissue (Guys, HH)" in said(table)
    with pytest.raises(ValueError, match="on both sides"):
        estimate_gap(home, away)


def test_sites_that_share_some_subjects_have_no_gap_and_it_is_said(tmp_path):
    material = other_subjects(made(tmp_path), lambda site, number: site == "Guys" or number < 5)
    (table,) = gap_table(material)
    assert cell(table, "base", "Guys - HH [95 %]") is None
    assert cell(table, "base", "HH").n_subjects == 5
    assert "neither paired nor independent: tissue (Guys, HH)" in said(table)


def test_gaps_name_their_seeds_and_claim_no_more_than_these_allow(material):
    (table,) = gap_table(material)
    assert "2 to 3 train seeds." in table.caption
    assert "3 seeds: too few seeds to tell methods apart." in table.caption
    assert "Rows that need no training show" in said(table)
    assert cell(table, "identity", "tissue · 100 % labels", "dice % ↑", "Guys - HH [95 %]").mean > 0


def test_no_gap_of_a_task_with_one_site(material, tmp_path):
    (table,) = gap_table(material)
    assert not any("lesion" in column.header[0] for column in table.columns)
    assert why_no_gap(material) == "No gap of lesion: tested on one site."
    alone = made(tmp_path, {"one": task([DICE])})
    assert gap_table(alone) == []
    assert why_no_gap(alone) == "No gap of one: tested on one site."


def test_no_gap_of_sites_that_are_not_done(tmp_path):
    material = other_subjects(made(tmp_path), lambda site, number: site == "Guys")
    assert gap_table(material) == []
    assert why_no_gap(material) == "No gap of tissue: not done on two sites."


def test_one_seed_speaks_of_these_checkpoints(tmp_path):
    (table,) = gap_table(made(tmp_path, seeds=(0,)))
    assert "1 train seed." in table.caption
    assert "One seed: valid for these checkpoints only." in table.caption


# Transfer


def test_transfer_is_that_of_the_statistics(material):
    (table,) = ratio_table(material)
    expected = estimate_transfer(
        rows(material, material.sequence_values, "seqinv", "tissue"), higher_is_better=True
    )
    assert cell(table, "seqinv", "own").mean == pytest.approx(expected.own.mean)
    assert cell(table, "seqinv", "own").se == pytest.approx(expected.own.se)
    assert cell(table, "seqinv", "other").mean == pytest.approx(expected.other.mean)
    ratio = cell(table, "seqinv", "ratio [95 %]")
    assert ratio.mean == expected.ratio.mean < 1
    low, high = expected.ratio.low, expected.ratio.high
    assert cell_text(ratio) == f"{expected.ratio.mean:.2f} [{low:.2f}, {high:.2f}]"
    assert ratio.n_subjects == expected.ratio.n_subjects == len(SUBJECTS)
    assert "tissue: T1w, T2w, 2 cells of its own and 2 of others" in said(table)
    assert "2 to 3 train seeds." in table.caption
    assert [row.header[0] for row in table.rows] == ["base", "seqaug", "seqinv", HOSTILE, "scratch"]


def test_a_lower_is_better_metric_has_its_ratio_the_other_way_round(tmp_path):
    metric = {"id": "mae", "unit": "", "higher_is_better": False, "value_range": [0, 2]}
    sequences = ("T1w", "T2w")

    def error(cell, *_):
        return 0.2 if cell["train_sequence"] == cell["test_sequence"] else 0.5

    (table,) = ratio_table(made(tmp_path, {"t": task([metric], (1.0,), sequences)}, of=error))
    assert cell(table, "base", "ratio [95 %]").mean == pytest.approx(0.4)
    assert cell_text(cell(table, "base", "other")) == "0.50 ± 0.00"


def test_decibels_have_means_and_no_ratio(tmp_path):
    (table,) = ratio_table(made(tmp_path, {"t": task([PSNR], (1.0,), ("T1w", "T2w"))}))
    assert [column.header[-1] for column in table.columns] == ["own", "other"]
    assert "No ratio of dB: its 0 is a convention." in said(table)


def test_no_ratio_of_scores_that_are_not_above_zero(tmp_path):
    (table,) = ratio_table(made(tmp_path, {"t": task([DICE], (1.0,), ("T1w", "T2w"))}, of=lambda *_: 0.0))
    assert cell(table, "base", "ratio [95 %]") is None
    assert "No ratio where a mean is not above 0: base, seqinv." in said(table)


def test_a_matrix_with_a_gap_has_no_summary_and_is_named(tmp_path):
    lost = {f"base/frozen/t/T1w/1/subset0/seed{seed}/test/Guys/T2w": "failed" for seed in (0, 1)}
    material = made(tmp_path, {"t": task([DICE], (1.0,), ("T1w", "T2w"))}, states=lost)
    (table,) = ratio_table(material)
    assert [row.header[0] for row in table.rows] == ["seqinv"]
    assert "Incomplete: cells of the matrix without a score: t dice: base (1)." in said(table)
    assert why_no_ratio(material) == ""


def test_why_there_is_no_ratio(material, tmp_path):
    assert why_no_ratio(material) == (
        "No invariance ratio of lesion, denoise: fewer than two sequences are both trained and tested on."
    )
    one = made(tmp_path, {"t": task([DICE], (1.0,), ("T1w",), tested=("T1w", "T2w"))})
    assert ratio_table(one) == []
    assert why_no_ratio(one).startswith("No invariance ratio of t: fewer than two")


def test_no_matrix_done(tmp_path):
    material = made(tmp_path, {"t": task([DICE], (1.0,), ("T1w", "T2w"))}, transfer=False)
    assert ratio_table(material) == []
    assert why_no_ratio(material) == "No invariance ratio of t: no method's matrix of sequences is done."


# Areas


def test_areas_name_fractions_and_seeds(material):
    (table,) = area_table(material)
    assert "Fractions: tissue 10 %, 100 %." in table.caption
    assert "2 to 3 train seeds." in table.caption
    assert why_no_area(material) == "No curve of lesion, denoise: one fraction of labels."


# Overview


def test_the_overview_names_the_best_two_by_mean(material):
    (table,) = overview(material)
    frame = material.in_domain
    here = frame[frame["task"].eq("tissue") & frame["fraction"].eq(1.0) & frame["status"].eq("ok")]
    ranked = here[here["arm"].ne("identity")].sort_values("mean", ascending=False)
    leads, mean, following, second = table.cells[0]
    assert (leads.text, following.text) == tuple(ranked["row"].iloc[:2])
    assert (mean.mean, second.mean) == tuple(ranked["mean"].iloc[:2])
    assert "Train seeds of the best: 3." in said(table)
    assert "too few seeds" in said(table)
    assert [column.header[0] for column in table.columns][-1] == "its mean", "nothing was tested"


@pytest.mark.parametrize("seeds", [1, 2, 3])
def test_two_seeds_are_said_to_leave_no_interval(tmp_path, seeds):
    material = made(tmp_path, {"t": task([DICE])}, ("base", "seqinv"), tuple(range(seeds)), score)
    (table,) = overview(material)
    assert ("Two seeds: no interval" in said(table)) == (seeds == 2)
    mean = table.cells[0][1]
    assert (mean.seeds is not None) == (seeds == 2)
    assert (mean.interval is None) == (seeds == 2)


def test_the_lowest_error_leads(material):
    (table,) = overview(material)
    (line,) = [cells for row, cells in zip(table.rows, table.cells, strict=True) if "hd95" in row.header[1]]
    assert line[1].mean < line[3].mean


def test_with_enough_seeds_the_overview_says_what_is_not_separated(tmp_path):
    levels = {"base": 0.5, "seqinv": 0.8, "other": 0.8}

    def of(cell, metric, subject, label):
        # what differs between equal methods is nothing but noise
        number = int(subject[-2:]) + 7 * cell["seed"] + 3 * len(cell["method"])
        return levels[cell["method"]] + 0.01 * math.sin(37.0 * number)

    material = made(tmp_path, {"t": task([DICE])}, tuple(levels), tuple(range(5)), of)
    (table,) = overview(material)
    ((leads, _, following, _, tied),) = table.cells
    assert {leads.text, following.text} == {"seqinv", "other"}
    assert tied.text == following.text
    assert "Train seeds of the best: 5." in said(table)
    assert "no interval" not in said(table)
    assert "not separated is not equal" in said(table)


def test_nothing_done_makes_no_table(tmp_path):
    bench = Benchmark(score, {"tissue": TASKS["tissue"]}, ("base",), (0,), subjects=SUBJECTS)
    bench.states = dict.fromkeys((job["id"] for job in bench.jobs()), "todo")
    material = Material(load_run(bench.write(tmp_path)))
    assert [f(material) for f in (overview, gap_table, ratio_table, area_table)] == [[], [], [], []]
    assert why_no_gap(material) == "No gap of tissue: not done on two sites."
    assert "not done at two fractions" in why_no_area(material)


# Everywhere


@pytest.mark.parametrize("make", [gap_table, ratio_table, area_table, overview])
def test_other_renderers_can_show_them(material, make):
    (table,) = make(material)
    assert all(len(line) == len(table.columns) for line in table.cells)
    assert len(table.cells) == len(table.rows)
    assert table.title in to_markdown(table)
    assert "<img" not in to_markdown(table).replace("\\<img", "")
    assert r"\begin{tabular}" in to_latex(table)


def test_sentences():
    assert seeds_sentence([]) == seeds_sentence([0]) == ""
    assert seeds_sentence([1, 0, 1]) == "1 train seed."
    assert seeds_sentence([5, 3]) == "3 to 5 train seeds."
    assert percent((0.01, 0.1, 1.0)) == "1 %, 10 %, 100 %"


def test_site_values_of_the_home_site_are_the_leaderboards(material: Material):
    home = material.site_values[material.site_values["test_site"].isin(["Guys", "ARC"])]
    keys = ["row", "task", "fraction", "metric", "seed", "subject"]
    first = home.set_index(keys)["value"].sort_index()
    second = material.values.set_index(keys)["value"].sort_index()
    np.testing.assert_allclose(first, second)
