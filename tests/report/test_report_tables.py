"""What stands in the tables, computed by hand."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from report_tables import build, leaderboard, material_of, paper, render_run, tidy, transfer
from synthetic_results import DICE, HD95, PSNR, REFERENCES, Benchmark, Cell, ScoreOf, task

from mribench.errors import MRIBenchError
from mribench.interfaces import table as report_model
from mribench.report import load_run
from mribench.report.tables.labels import label_rows
from mribench.results.cells import LEADERBOARD, cell_frame, is_share
from mribench.statistics import estimate_mean_and_se

SUBJECT = {"a": -0.1, "b": 0.0, "c": 0.1}


def flat(values: Mapping[str, float]) -> ScoreOf:
    """One value for each method, the same for all subjects."""
    return lambda cell, metric, subject, label: values[cell["method"]]


def spread(cell: Cell, metric: str, subject: str, label: str) -> float:
    base = {"base": 0.5, "seqinv": 0.6, "scratch": 0.4, "random-frozen": 0.3, "identity": 0.2}[cell["method"]]
    return base + SUBJECT[subject] + 0.02 * (cell["seed"] or 0) + (0.01 if label == "GM" else -0.01)


def grid(table: report_model.Table) -> dict[tuple[str, ...], dict[tuple[str, ...], report_model.Cell | None]]:
    return {
        row.header: dict(zip((column.header for column in table.columns), cells, strict=True))
        for row, cells in zip(table.rows, table.cells, strict=True)
    }


def column(table: report_model.Table, *header: str) -> dict[str, report_model.Cell | None]:
    return {row[0]: cells[header] for row, cells in grid(table).items()}


def test_leaderboard_cell_by_hand(tmp_path: Path) -> None:
    table = leaderboard(load_run(Benchmark(spread).write(tmp_path)))
    assert [row.header for row in table.rows] == [("base",), ("seqinv",)]
    assert [found.header for found in table.columns] == [("tissue", "100 % (n=20)", "dice % ↑")]
    cell = table.cells[0][0]
    assert cell is not None
    by_hand = np.array([[0.4, 0.5, 0.6], [0.42, 0.52, 0.62]])
    mean, se, _ = estimate_mean_and_se(by_hand)
    assert (cell.mean, cell.se) == pytest.approx((mean, se))
    assert (cell.mean, cell.se) == pytest.approx((0.51, math.sqrt(0.0004 / 4 + 0.01 / 3)))
    assert (cell.n_subjects, cell.jobs_done, cell.jobs_expected) == (3, 2, 2)
    assert (cell.status, cell.scale) == ("ok", 100.0)


def test_leaderboard_keeps_to_the_home_site_and_averages_own_sequences(tmp_path: Path) -> None:
    def score(cell: Cell, metric: str, subject: str, label: str) -> float:
        own = cell["train_sequence"] in (None, cell["test_sequence"])
        home = cell["test_site"] == "Guys"
        return (0.2 if cell["test_sequence"] == "T1w" else 0.6) if own and home else 99.0

    tasks = {"tissue": task([DICE], (0.1, 1.0), ("T1w", "T2w"), ("Guys", "HH"), ("T1w", "T2w", "PDw"))}
    run = load_run(Benchmark(score, tasks, references=("identity",), transfer=True).write(tmp_path))
    table = leaderboard(run)
    assert [found.header[1] for found in table.columns] == ["10 % (n=2)", "100 % (n=20)"]
    for cells in table.cells:
        for cell in cells:
            assert cell is not None
            assert cell.mean == pytest.approx(0.4)  # PDw, that nothing trained on, is not in it
    assert "averaged over T1w, T2w" in table.caption[0]


def test_sequences_weigh_the_same_however_many_labels_each_has(tmp_path: Path) -> None:
    def score(cell: Cell, metric: str, subject: str, label: str) -> float | tuple[float, str, float]:
        if cell["test_sequence"] == "T1w":
            return {"GM": 0.2, "WM": 0.4}[label]
        return 0.9 if label == "GM" else (math.nan, "both-empty", math.nan)

    tasks = {"tissue": task([DICE], sequences=("T1w", "T2w"))}
    table = leaderboard(load_run(Benchmark(score, tasks, references=("identity",)).write(tmp_path)))
    assert [cells[0].mean for cells in table.cells if cells[0]] == pytest.approx([0.6, 0.6, 0.6])


def test_identity_stands_in_every_fraction_unmarked(tmp_path: Path) -> None:
    values = {"base": 0.5, "seqinv": 0.6, "identity": 0.9}
    tasks = {"tissue": task([DICE], (0.01, 0.1, 1.0))}
    table = leaderboard(load_run(Benchmark(flat(values), tasks, references=("identity",)).write(tmp_path)))
    assert len(table.columns) == 3
    for found in table.columns:
        cells = column(table, *found.header)
        assert cells["identity"] is not None
        assert (cells["identity"].mean, cells["identity"].mark) == (0.9, "none")
        assert cells["seqinv"] is not None
        assert cells["seqinv"].mark == "best"


def test_rows_are_methods_then_arms_then_references(tmp_path: Path) -> None:
    benchmark = Benchmark(spread, references=REFERENCES, arms=("frozen", "finetune"))
    table = leaderboard(load_run(benchmark.write(tmp_path)))
    assert [row.header[0] for row in table.rows] == [
        "base", "base (finetune)", "seqinv", "seqinv (finetune)", "scratch", "random-frozen", "identity",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("values", "metric", "expected"),
    [
        ({"base": 0.5, "seqinv": 0.6, "scratch": 0.4}, DICE, ("second", "best", "none")),
        ({"base": 0.5, "seqinv": 0.6, "scratch": 0.4}, HD95, ("second", "none", "best")),
        ({"base": 0.6, "seqinv": 0.6, "scratch": 0.4}, DICE, ("best", "best", "none")),
        ({"base": 0.6, "seqinv": 0.4, "scratch": 0.4}, DICE, ("best", "second", "second")),
        ({"base": 0.60001, "seqinv": 0.60002, "scratch": 0.4}, DICE, ("second", "best", "none")),
    ],
)
def test_marks_follow_unrounded_values_direction_and_ties(
    tmp_path: Path, values: dict[str, float], metric: dict[str, object], expected: tuple[str, ...]
) -> None:
    benchmark = Benchmark(flat(values), {"tissue": task([metric])}, references=("scratch",))
    table = leaderboard(load_run(benchmark.write(tmp_path)))
    assert tuple(cells[0].mark for cells in table.cells if cells[0]) == expected


def test_each_metric_has_its_column_and_unit(tmp_path: Path) -> None:
    tasks = {"lesion": task([DICE, HD95]), "denoise": task([PSNR])}
    table = leaderboard(load_run(Benchmark(spread, tasks).write(tmp_path)))
    assert [found.header[2] for found in table.columns] == [
        "dice % ↑", "hd95:max-directed mm ↓", "psnr:range dB ↑",
    ]  # fmt: skip
    assert [cell.scale for cell in table.cells[0] if cell] == [100.0, 1.0, 1.0]


def test_what_is_a_share() -> None:
    assert is_share("", None)
    assert is_share("", [0.0, 1.0])
    assert is_share("", math.nan)
    assert not is_share("", [0.0, math.inf])
    assert not is_share("mm", [0.0, 1.0])


def test_partial_failed_and_missing_cells(tmp_path: Path) -> None:
    where = "{}/frozen/tissue/T1w/1/subset0/seed{}/test/Guys/T1w"
    states = {
        where.format("base", 1): "todo",
        where.format("seqinv", 0): "failed",
        where.format("seqinv", 1): "failed",
        where.format("late", 0): "todo",
        where.format("late", 1): "todo",
    }
    methods = ("base", "seqinv", "late", "good", "better")
    values = {"base": 0.99, "good": 0.5, "better": 0.6}
    run = load_run(Benchmark(flat(values), methods=methods, states=states).write(tmp_path))
    table = leaderboard(run)
    cells = {row.header[0]: found[0] for row, found in zip(table.rows, table.cells, strict=True)}
    assert {name: cell.status for name, cell in cells.items() if cell} == {
        "base": "partial", "seqinv": "failed", "late": "missing", "good": "ok", "better": "ok",
    }  # fmt: skip
    assert cells["base"] is not None
    assert (cells["base"].jobs_done, cells["base"].jobs_expected, cells["base"].mark) == (1, 2, "none")
    assert cells["better"] is not None
    assert cells["better"].mark == "best"
    caption = " ".join(table.caption)
    assert "cells failed: 1; cells missing: 1; cells partial: 1" in caption
    assert f"{where.format('seqinv', 0)}: it broke" in caption


def test_a_failed_pretraining_is_named_in_the_table(tmp_path: Path) -> None:
    benchmark = Benchmark(spread, seeds=(0,))
    benchmark.states = {
        job["id"]: "failed" if job["kind"] == "pretrain" else "todo"
        for job in benchmark.jobs()
        if job["id"].startswith("base/")
    }
    table = leaderboard(load_run(benchmark.write(tmp_path)))
    assert table.cells[0][0] is not None
    assert table.cells[0][0].status == "failed"
    assert "Failed jobs: base/pretrain/seed0: it broke." in table.caption


def test_failed_subjects_are_left_out_of_the_mean_and_shown(tmp_path: Path) -> None:
    def score(cell: Cell, metric: str, subject: str, label: str) -> float | tuple[float, str, float]:
        if cell["method"] == "base" and subject == "c" and cell["seed"] == 0:
            return math.nan, "failed", math.nan
        return spread(cell, metric, subject, label)

    table = leaderboard(load_run(Benchmark(score).write(tmp_path)))
    cell = table.cells[0][0]
    assert cell is not None
    assert cell.mean == pytest.approx(0.46)  # a and b over both seeds
    assert (cell.n_subjects, cell.n_subjects_total) == (2, 3)
    caption = " ".join(table.caption)
    assert "rows failed: 2" in caption
    assert "(seed, subject) pairs without a score: 1" in caption


def test_every_subject_failed_is_a_failed_cell(tmp_path: Path) -> None:
    def score(cell: Cell, metric: str, subject: str, label: str) -> float | tuple[float, str, float]:
        return (math.nan, "failed", math.nan) if cell["method"] == "base" else 0.5

    table = leaderboard(load_run(Benchmark(score).write(tmp_path)))
    assert table.cells[0][0] is not None
    assert table.cells[0][0].status == "failed"


def test_empty_masks_count_as_the_penalty_and_both_empty_is_counted(tmp_path: Path) -> None:
    def score(cell: Cell, metric: str, subject: str, label: str) -> float | tuple[float, str, float]:
        return {
            "a": (math.nan, "pred-empty", 40.0), "b": 2.0, "c": (math.nan, "both-empty", math.nan)
        }[subject]  # fmt: skip

    benchmark = Benchmark(score, {"lesion": task([HD95])}, labels=("lesion",), references=("identity",))
    table = leaderboard(load_run(benchmark.write(tmp_path)))
    for cells in table.cells:
        assert cells[0] is not None
        assert cells[0].mean == 21.0
        assert (cells[0].n_subjects, cells[0].n_subjects_total) == (2, 3)
    assert "both empty, left out: 5 rows" in " ".join(table.caption)  # 2 methods × 2 seeds, identity


def test_only_empty_masks_on_both_sides_is_no_failure(tmp_path: Path) -> None:
    run = load_run(Benchmark(lambda *_: (math.nan, "both-empty", math.nan)).write(tmp_path))
    text = render_run(run, ["leaderboard"], "markdown")
    assert text is not None
    assert "n/a" in text
    assert "failed" not in text


@pytest.mark.parametrize(
    ("seeds", "expected"),
    [
        ((0,), "valid for these checkpoints only"),
        ((0, 1), "too few seeds to tell methods apart"),
        ((0, 1, 2, 3), "too few seeds to tell methods apart"),
        ((0, 1, 2, 3, 4), "all not separated from it"),
    ],
)
def test_the_caption_says_what_the_seeds_allow(tmp_path: Path, seeds: tuple[int, ...], expected: str) -> None:
    table = leaderboard(load_run(Benchmark(spread, seeds=seeds).write(tmp_path)))
    caption = " ".join(table.caption)
    assert expected in caption
    assert f"{len(seeds)} seed" in caption
    assert ("crossed random effects" in caption) == (len(seeds) > 1)
    assert "Profile: corrected." in caption


def test_the_caption_tells_older_results_and_label_subsets(tmp_path: Path) -> None:
    tasks = {"tissue": task([DICE], fractions=(0.5,))}
    Benchmark(spread, tasks, salt="old").write(tmp_path, "a" * 16)
    Benchmark(spread, tasks, created="2026-09-09", subset_seeds=(0, 1)).write(tmp_path, "b" * 16)
    caption = " ".join(leaderboard(load_run(tmp_path)).caption)
    assert "4 older results of the same cells are not shown" in caption
    assert "Label subsets: averaged over 2 of them, whose spread is in no SE" in caption


def test_two_profiles_are_two_rows(tmp_path: Path) -> None:
    Benchmark(flat({"base": 0.1}), methods=("base",)).write(tmp_path, "a" * 16)
    Benchmark(flat({"base": 0.3}), methods=("base",), profile="paper", salt="p").write(tmp_path, "b" * 16)
    table = leaderboard(load_run(tmp_path))
    assert [row.header[0] for row in table.rows] == ["base [corrected]", "base [paper]"]
    assert [cells[0].mean for cells in table.cells if cells[0]] == pytest.approx([0.1, 0.3])


def test_transfer_has_every_train_and_test_sequence_at_the_largest_fraction(tmp_path: Path) -> None:
    def score(cell: Cell, metric: str, subject: str, label: str) -> float:
        if cell["method"] == "identity":
            return 0.05
        value = 0.1 if cell["fraction"] == 1.0 else 50.0
        value += 0.2 if cell["train_sequence"] == cell["test_sequence"] else 0.0
        return value + (0.4 if cell["test_site"] == "HH" else 0.0)

    tasks = {"tissue": task([DICE], (0.1, 1.0), ("T1w", "T2w"), ("Guys", "HH"))}
    benchmark = Benchmark(score, tasks, ("base",), references=("identity",), transfer=True)
    (table,) = transfer(load_run(benchmark.write(tmp_path)))
    assert table.name == "transfer-tissue-dice"
    assert table.row_names == ("method", "trained on")
    found = {
        row: {header[:2]: round(cell.mean, 3) for header, cell in cells.items() if cell}
        for row, cells in grid(table).items()
    }
    assert found == {
        ("base", "T1w"): {("Guys", "T1w"): 0.3, ("Guys", "T2w"): 0.1, ("HH", "T1w"): 0.7, ("HH", "T2w"): 0.5},
        ("base", "T2w"): {("Guys", "T1w"): 0.1, ("Guys", "T2w"): 0.3, ("HH", "T1w"): 0.5, ("HH", "T2w"): 0.7},
        ("identity", "any"): dict.fromkeys([(s, q) for s in ("Guys", "HH") for q in ("T1w", "T2w")], 0.05),
    }


def test_transfer_marks_methods_that_were_trained_alike(tmp_path: Path) -> None:
    def score(cell: Cell, metric: str, subject: str, label: str) -> float:
        return {("base", "T1w"): 0.9, ("seqinv", "T1w"): 0.8, ("base", "T2w"): 0.1, ("seqinv", "T2w"): 0.2}[
            cell["method"], cell["train_sequence"]
        ]

    tasks = {"tissue": task([DICE], sequences=("T1w", "T2w"))}
    (table,) = transfer(load_run(Benchmark(score, tasks, transfer=True).write(tmp_path)))
    marks = {row: [cell.mark for cell in cells.values() if cell] for row, cells in grid(table).items()}
    assert marks == {
        ("base", "T1w"): ["best", "best"], ("seqinv", "T1w"): ["second", "second"],
        ("base", "T2w"): ["second", "second"], ("seqinv", "T2w"): ["best", "best"],
    }  # fmt: skip


def test_the_papers_layout(tmp_path: Path) -> None:
    def score(cell: Cell, metric: str, subject: str, label: str) -> float:
        own = cell["train_sequence"] == cell["test_sequence"]
        return cell["fraction"] * {"base": 0.5, "seqinv": 0.6}[cell["method"]] if own else 99.0

    tasks = {
        "tissue": task([DICE], (0.1, 1.0), ("T1w", "T2w"), ("Guys", "HH")), "lesion": task([DICE, HD95]),
    }  # fmt: skip
    run = load_run(Benchmark(score, tasks, transfer=True).write(tmp_path))
    table = paper(run, 1)
    assert [row.header for row in table.rows] == [
        ("Guys", "T1w"), ("Guys", "T2w"), ("HH", "T1w"), ("HH", "T2w"),
    ]  # fmt: skip
    assert [found.header[1:] for found in table.columns] == [
        ("10 % (n=2)", "base"), ("10 % (n=2)", "seqinv"),
        ("100 % (n=20)", "base"), ("100 % (n=20)", "seqinv"),
    ]  # fmt: skip
    for cells in table.cells:
        assert [cell.mean for cell in cells if cell] == pytest.approx([0.05, 0.06, 0.5, 0.6])
        assert [cell.mark for cell in cells if cell] == ["second", "best", "second", "best"]
    assert len(paper(run, 2).columns) == 4


def test_unknown_tables_say_what_there_is(tmp_path: Path) -> None:
    run = load_run(Benchmark(spread).write(tmp_path))
    for name, hint in (("leaderbord", "leaderboard"), ("paper-2", "paper-1"), ("paper-x", "paper-1")):
        with pytest.raises(MRIBenchError, match=f"no table '{name}'") as error:
            build(run, name)
        assert hint in error.value.hint
        with pytest.raises(MRIBenchError, match=f"no table '{name}'"):
            render_run(run, [name], "csv")


def test_without_data_everything_is_missing(tmp_path: Path) -> None:
    run = load_run(Benchmark(spread, no_data=True, references=REFERENCES).write(tmp_path))
    table = leaderboard(run)
    assert {cell.status for cells in table.cells for cell in cells if cell} == {"missing"}
    assert len(table.rows) == 5
    assert "wait for data" in " ".join(table.caption)


def test_collapsed_encoders_are_flagged_on_every_row_that_uses_them(tmp_path: Path) -> None:
    pretrained = {"seqinv/pretrain/seed1": {"collapsed": True, "collapse_reason": "mean cosine 0.99"}}
    benchmark = Benchmark(spread, references=("scratch",), arms=("frozen", "finetune"), pretrained=pretrained)
    run = load_run(benchmark.write(tmp_path))
    table = leaderboard(run)
    assert {row.header[0]: row.flags for row in table.rows} == {
        "base": "", "base (finetune)": "", "seqinv": "†", "seqinv (finetune)": "†", "scratch": "",
    }  # fmt: skip
    note = "† Collapsed encoder: seqinv, seqinv (finetune): in 1 of 2 seeds (mean cosine 0.99)."
    assert note in table.caption
    assert "seqinv (finetune)†" in [found.header[-1] for found in paper(run, 1).columns]


def test_odd_encoders_are_named_and_not_called_collapsed(tmp_path: Path) -> None:
    remarks = ("anisotropic: mean cosine 0.970 between subjects", "not trained: no parameter has changed")
    pretrained = {
        f"seqinv/pretrain/seed{seed}": {"encoder_remarks": remark} for seed, remark in enumerate(remarks)
    } | {"base/pretrain/seed0": {"encoder_remarks": ""}}
    run = load_run(Benchmark(spread, pretrained=pretrained).write(tmp_path))
    table = leaderboard(run)
    assert {row.header[0]: row.flags for row in table.rows} == {"base": "", "seqinv": "‖"}
    assert f"‖ Encoder: seqinv: in 2 of 2 seeds ({'; '.join(remarks)})." in table.caption
    cells = tidy(run, ["leaderboard"]).groupby("row")[["collapsed", "encoder_odd"]].first()
    assert cells.loc["seqinv"].tolist() == [False, True]
    assert cells.loc["base"].tolist() == [False, False]
    assert r"seqinv$\Vert$" in (render_run(run, ["leaderboard"], "latex") or "")


def test_encoders_that_were_not_checked_are_named_once(tmp_path: Path) -> None:
    """In one sentence, whatever else is odd about them and differs from seed to seed."""
    pretrained = {
        f"{method}/pretrain/seed{seed}": {
            "collapsed": None, "subjects_checked": 2,
            "encoder_remarks": f"anisotropic: mean cosine 0.9{seed + 6}0 between subjects",
        }
        for method in ("base", "seqinv") for seed in (0, 1)
    }  # fmt: skip
    table = leaderboard(load_run(Benchmark(spread, pretrained=pretrained).write(tmp_path)))
    assert {row.header[0]: row.flags for row in table.rows} == {"base": "‖", "seqinv": "‖"}
    (said,) = [text for text in table.caption if "hecked" in text]
    assert said == ("‖ Not checked for collapse, for which 5 subjects are needed: base, seqinv: 2 there.")


def test_unequal_budgets_and_overrides_are_flagged(tmp_path: Path) -> None:
    methods = ("base", "seqaug", "seqinv")
    pretrained = {f"seqaug/pretrain/seed{seed}": {"views_seen": 1920, "parameters": 999} for seed in (0, 1)}
    benchmark = Benchmark(
        lambda *_: 0.5, methods=methods, pretrained=pretrained, overrides={"base": ["encoder", "augment"]}
    )
    table = leaderboard(load_run(benchmark.write(tmp_path)))
    assert [row.flags for row in table.rows] == ["‡", "‡", ""]
    (note,) = [sentence for sentence in table.caption if sentence.startswith("‡")]
    assert "seqaug: 1,920 views seen (others 960), 999 parameters (others 1,000)" in note
    assert "base: own encoder, augment" in note


def test_equal_budgets_have_no_flag(tmp_path: Path) -> None:
    table = leaderboard(load_run(Benchmark(spread).write(tmp_path)))
    assert not any(row.flags for row in table.rows)
    assert not any(sentence[0] in "†‡" for sentence in table.caption)


def test_the_cell_frame_has_one_row_per_cell(tmp_path: Path) -> None:
    tasks = {"tissue": task([DICE, HD95], (0.1, 1.0), ("T1w", "T2w"), ("Guys", "HH"))}
    run = load_run(Benchmark(spread, tasks, references=REFERENCES).write(tmp_path))
    frame = cell_frame(run, LEADERBOARD)
    assert len(frame) == 5 * 2 * 2
    assert not frame.duplicated(["row", "task", "fraction", "metric"]).any()


def test_labels_have_the_intervals_of_their_own_metric(tmp_path: Path) -> None:
    """HD95 has no upper bound, whichever metric a task is scored by first."""
    ranged = {**DICE, "value_range": (0, 1)}, {**HD95, "value_range": (0, None)}

    def score(cell: Cell, metric: str, subject: str, label: str) -> float:
        number = ord(subject) - ord("a") + (cell["seed"] or 0)
        return 0.5 + 0.05 * number if metric == "dice" else 4.0 + 0.7 * number

    found = []
    for place, metrics in enumerate((ranged, ranged[::-1])):
        benchmark = Benchmark(score, {"tissue": task(list(metrics))}, labels=("GM", "WM"), seeds=(0, 1, 2))
        rows = label_rows(material_of(load_run(benchmark.write(tmp_path / str(place)))))
        found.append(rows.sort_values(["row", "metric", "label"]).reset_index(drop=True))
    columns = ["row", "metric", "label", "mean", "low", "high"]
    assert len(found[0]) == 8  # methods × metrics × labels
    assert found[0]["low"].notna().all()
    pd.testing.assert_frame_equal(found[0][columns], found[1][columns])
