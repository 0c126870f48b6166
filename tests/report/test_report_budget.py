"""The table ``budget``, and the footnotes that say what was not equal."""

from __future__ import annotations

import io
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from report_tables import render_run
from synthetic_results import DICE, REFERENCES, Benchmark, task

from mribench.interfaces.table import Table
from mribench.report import Material, load_run
from mribench.report.tables.budget import budget_frame, budget_table
from mribench.report.tables.times import time_table
from mribench.results.flags import flags


def shown(table: Table) -> dict[str, dict[tuple[str, ...], str]]:
    return {
        row.header[0]: {
            column.header: "–" if cell is None else cell.text or cell.status
            for column, cell in zip(table.columns, cells, strict=True)
        }
        for row, cells in zip(table.rows, table.cells, strict=True)
    }


def flat(*_: Any) -> float:
    return 0.5


def note(run: Any, sign: str) -> str:
    found = [text for text in (note.text for note in flags(run).footnotes) if text.startswith(sign)]
    return found[0] if found else ""


def test_means_over_seeds_and_adaptations(tmp_path: Path) -> None:
    pretrained = {"base/pretrain/seed1": {"wall_s": 30.0, "peak_memory_bytes": 3_000_000_000}}
    adapted = {"base/frozen/tissue/T1w/0.1/subset0/seed0": {"wall_s": 14.0}}
    benchmark = Benchmark(
        flat,
        {"tissue": task([DICE], (0.1, 1.0))},
        references=REFERENCES,
        pretrained=pretrained,
        adapted=adapted,
    )
    run = load_run(benchmark.write(tmp_path))
    table = budget_table(Material(run))
    cells = shown(table)
    assert list(cells) == ["base", "seqinv", "scratch", "random-frozen", "identity"]
    base = cells["base"]
    assert base["pretraining", "steps"] == "120"
    assert base["pretraining", "views seen"] == "960"
    assert base["pretraining", "voxels seen"] == "849,346,560"
    assert base["pretraining", "parameters"] == "1,000"
    assert base["pretraining", "wall s"] == "25.0"
    assert base["pretraining", "device s"] == "10.0"
    assert base["pretraining", "peak memory GB"] == "2.50"
    assert base["adaptation", "wall s"] == "8.0"  # (14 + 6 + 6 + 6) / 4
    assert base["adaptation", "steps"] == "40"
    assert base["adaptation", "parameters trained"] == "400"
    assert {text for place, text in cells["scratch"].items() if place[0] == "pretraining"} == {"–"}
    assert cells["scratch"]["adaptation", "steps"] == "40"
    assert set(cells["identity"].values()) == {"–"}
    assert not any(row.flags for row in table.rows)


def test_data_and_text_agree(tmp_path: Path) -> None:
    run = load_run(Benchmark(flat, references=("scratch",)).write(tmp_path))
    csv = pd.read_csv(io.StringIO(render_run(run, ["budget"], "csv") or ""))
    assert set(csv["table"]) == {"budget"}
    memory = csv[csv["metric"].eq("pretraining: peak memory") & csv["row"].eq("base")].iloc[0]
    assert (memory["mean"], memory["unit"], memory["n_seeds"], memory["status"]) == (2.0, "GB", 2, "ok")
    assert len(json.loads(render_run(run, ["budget"], "json") or "")["cells"]) == len(csv) == 2 * 11 + 4
    markdown = render_run(run, ["budget"], "markdown") or ""
    assert "849,346,560" in markdown
    assert "pretraining over 2 seeds" in markdown


def test_what_is_not_done_or_not_recorded(tmp_path: Path) -> None:
    pretrained = {f"seqinv/pretrain/seed{seed}": {"peak_memory_bytes": None} for seed in (0, 1)}
    states = {"base/pretrain/seed1": "todo", "base/frozen/tissue/T1w/1/subset0/seed0": "failed"}
    run = load_run(Benchmark(flat, pretrained=pretrained, states=states).write(tmp_path / "a"))
    cells = shown(budget_table(Material(run)))
    assert cells["base"]["pretraining", "steps"] == "120 (partial 1/2)"
    assert cells["base"]["adaptation", "steps"] == "40 (partial 1/2)"
    markdown = render_run(run, ["budget"], "markdown") or ""
    assert "n/a" in markdown
    assert "Incomplete: 1 rows." in markdown
    nothing = load_run(Benchmark(flat, no_data=True).write(tmp_path / "b"))
    assert set(budget_frame(Material(nothing))["status"]) == {"missing"}


@pytest.mark.parametrize(
    ("column", "value", "text"),
    [
        ("steps", 240, "240 steps (others 120)"),
        ("voxels_seen", 5, "5 voxels seen (others 849,346,560)"),
        ("views_seen", 5, "5 views seen (others 960)"),
    ],
)
def test_unequal_pretraining_is_flagged(tmp_path: Path, column: str, value: int, text: str) -> None:
    methods = ("base", "seqaug", "seqinv")
    pretrained = {f"seqaug/pretrain/seed{seed}": {column: value} for seed in (0, 1)}
    run = load_run(Benchmark(flat, methods=methods, pretrained=pretrained).write(tmp_path))
    table = budget_table(Material(run))
    assert [row.flags for row in table.rows] == ["", "‡", ""]
    assert f"seqaug: {text}" in note(run, "‡")
    assert note(run, "‡") in table.caption


@pytest.mark.parametrize("column", ["device_s", "wall_s", "peak_memory_bytes"])
def test_seconds_and_memory_are_not_flagged(tmp_path: Path, column: str) -> None:
    pretrained = {f"base/pretrain/seed{seed}": {column: 9} for seed in (0, 1)}
    assert flags(load_run(Benchmark(flat, pretrained=pretrained).write(tmp_path))).footnotes == ()


def test_unequal_adaptation_is_flagged_within_a_task(tmp_path: Path) -> None:
    tasks = {"tissue": task([DICE]), "lesion": task([DICE])}
    adapted = {f"scratch/scratch/lesion/T1w/1/subset0/seed{seed}": {"steps": 80} for seed in (0, 1)}
    for method in ("base", "seqinv", "scratch"):  # tasks may differ: only rows are compared
        arm = "scratch" if method == "scratch" else "frozen"
        adapted |= {f"{method}/{arm}/tissue/T1w/1/subset0/seed{seed}": {"steps": 7} for seed in (0, 1)}
    run = load_run(Benchmark(flat, tasks, references=("scratch",), adapted=adapted).write(tmp_path))
    assert flags(run).signs == {"scratch": "‡"}
    assert "scratch: 80 steps in lesion (others 40)" in note(run, "‡")


def test_rows_that_saw_few_distinct_views_are_flagged(tmp_path: Path) -> None:
    pretrained = {
        "base/pretrain/seed0": {"distinct_views": 863, "views_counted": 960},
        "base/pretrain/seed1": {"distinct_views": 20, "views_counted": 960},
        "seqinv/pretrain/seed0": {"distinct_views": 864, "views_counted": 960},  # 90 % is enough
        "seqinv/pretrain/seed1": {"distinct_views": 0, "views_counted": 0},
    }
    adapted = {"scratch/scratch/tissue/T1w/1/subset0/seed0": {"distinct_views": 4, "views_counted": 80}}
    benchmark = Benchmark(flat, references=("scratch",), pretrained=pretrained, adapted=adapted)
    run = load_run(benchmark.write(tmp_path))
    assert flags(run).signs == {"base": "§", "scratch": "§"}
    assert note(run, "§") == (
        "§ Few distinct views: base: pretraining saw 20 distinct of 960 (the worst of 2 such jobs); "
        "scratch: adaptation saw 4 distinct of 80."
    )
    csv = pd.read_csv(io.StringIO(render_run(run, ["leaderboard"], "csv") or ""))
    assert csv.set_index("row")["few_distinct_views"].to_dict() == {
        "base": True,
        "seqinv": False,
        "scratch": True,
    }


def test_older_rows_without_counts_are_not_flagged(tmp_path: Path) -> None:
    assert flags(load_run(Benchmark(flat).write(tmp_path))).footnotes == ()


def test_a_frozen_encoder_that_changed_is_flagged_and_a_trained_one_is_not(tmp_path: Path) -> None:
    digests = {"encoder_digest_before": "aa", "encoder_digest_after": "bb"}
    same = {"encoder_digest_before": "aa", "encoder_digest_after": "aa"}
    where = "{}/{}/tissue/T1w/1/subset0/seed0"
    adapted = {
        where.format("base", "frozen"): digests,
        where.format("base", "finetune"): digests,
        where.format("seqinv", "frozen"): same,
        where.format("scratch", "scratch"): digests,
        where.format("random-frozen", "random-frozen"): digests,
    }
    benchmark = Benchmark(flat, references=REFERENCES, arms=("frozen", "finetune"), adapted=adapted)
    run = load_run(benchmark.write(tmp_path))
    assert flags(run).signs == {"base": "¶", "random-frozen": "¶"}
    assert "base, random-frozen: the encoder's digest changed in 1 adaptation." in note(run, "¶")


def test_signs_add_up(tmp_path: Path) -> None:
    bad = {"collapsed": True, "steps": 1, "distinct_views": 1, "views_counted": 960}
    pretrained = {f"seqinv/pretrain/seed{seed}": bad for seed in (0, 1)}
    run = load_run(Benchmark(flat, pretrained=pretrained).write(tmp_path))
    assert flags(run).signs == {"seqinv": "†‡§"}
    assert "seqinv†‡§" in (render_run(run, ["leaderboard"], "markdown") or "")


def test_times_of_each_kind_are_split_where_jobs_say_how(tmp_path: Path) -> None:
    run = load_run(Benchmark(flat, {"tissue": task([DICE])}).write(tmp_path))
    jobs = pd.DataFrame(
        [("a", "pretrain", 10.0, 7.0), ("b", "pretrain", 20.0, 13.0), ("b", "pretrain", 20.0, 13.0),
         ("c", "evaluate", 3.0, math.nan)],
        columns=["job_key", "kind", "wall_s", "device_s"],
    )  # fmt: skip
    pretrain, evaluate = time_table(Material(replace(run, jobs=jobs))).cells
    assert [cell and cell.mean for cell in pretrain] == [2, 30, 15, 20, 10]
    assert [cell and cell.mean for cell in evaluate[:3]] == [1, 3, 3]
    assert [cell and cell.text for cell in evaluate[3:]] == ["–", "–"]
