"""The committed results belong to the benchmark files that are named beside them."""

from __future__ import annotations

import csv
import subprocess
import sys
import zipfile
from pathlib import Path

import pandas as pd
import pytest
import yaml

PUBLISHED = Path(__file__).parent.parent / "results" / "published"
SHARED = Path(__file__).parents[2] / "shared" / "paper" / "paper_tables.csv"
PAPER = Path(__file__).parent.parent / "plugins" / "mribench_paper"
BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


def cells(name: str) -> pd.DataFrame:
    return pd.read_csv(PUBLISHED / f"{name}.csv")


@pytest.mark.parametrize("name", ["defects", "paper-on-phantom"])
def test_each_result_names_the_command_that_makes_it(name: str) -> None:
    text = (PUBLISHED / "README.md").read_text(encoding="utf-8")
    assert f"mribench run benchmarks/{name}.yaml" in text
    assert f"({name}.md)" in text
    assert f"({name}.csv)" in text
    assert (PUBLISHED / f"{name}.md").stat().st_size > 1000


def test_every_measured_defect_has_its_rows_with_an_interval() -> None:
    asked = yaml.safe_load((BENCHMARKS / "defects.yaml").read_text(encoding="utf-8"))["measure_defects"]
    rows = cells("defects")
    rows = rows[rows["table"] == "defects"]
    for name in asked:
        mine = rows[rows["row"] == name]
        assert len(mine), name
        # without an empty mask, what is done with one changes nothing, and nothing is to be estimated
        told = mine[["low", "high"]].notna().all(axis=1) | mine["mean"].eq(0)
        assert told.any(), name
    known = rows.dropna(subset=["low", "high"])
    assert (known["low"] <= known["high"]).all()


def test_the_grid_on_phantoms_has_transfer_sites_and_invariance() -> None:
    rows = cells("paper-on-phantom")
    transfer = rows[rows["table"] == "transfer"]
    assert set(transfer["task"]) == {"tissue", "lesion", "denoise"}
    crossed = transfer[transfer["train_sequence"] != transfer["test_sequence"]]
    assert set(crossed["task"]) == {"tissue", "lesion", "denoise"}
    assert {"Guys", "HH"} <= set(transfer["test_site"])
    invariance = rows[rows["table"] == "invariance"]
    assert {"base", "seqaug", "seqinv", "random-frozen"} <= set(invariance["row"].str.strip("†‡§¶"))
    assert invariance["mean"].notna().any()


def test_the_readme_describes_every_column_of_the_papers_numbers() -> None:
    text = (PAPER / "README.md").read_text(encoding="utf-8")
    with (PAPER / "paper.csv").open(encoding="utf-8", newline="") as file:
        columns = next(csv.reader(file))
    assert all(f"`{name}`" in text for name in columns)
    assert "10.1007/978-3-032-05573-6_7" in text
    assert all(f"({name})" in text for name in ("paper.csv", "paper.yaml"))


@pytest.mark.skipif(not SHARED.is_file(), reason="needs shared/paper/paper_tables.csv")
def test_the_papers_numbers_are_those_of_its_tables() -> None:
    with SHARED.open(encoding="utf-8", newline="") as file:
        theirs = [
            (r["table"], r["task"], r["site"], r["modality"], float(r["fraction_pct"]), r["method"],
             r["metric"].partition("_")[0], r["mean"], r["se"], r["marked"].replace("none", ""))
            for r in csv.DictReader(file)
        ]  # fmt: skip
    with (PAPER / "paper.csv").open(encoding="utf-8", newline="") as file:
        ours = [
            (r["table"], r["task"], r["site"], r["sequence"], 100 * float(r["fraction"]), r["method"],
             r["metric"], r["mean"], r["se"], r["printed_mark"])
            for r in csv.DictReader(file)
        ]  # fmt: skip
    assert len(ours) == 180
    assert ours == theirs


def test_a_wheel_has_the_papers_numbers(tmp_path: Path) -> None:
    pytest.importorskip("hatchling")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=PUBLISHED.parents[1], check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as content:
        for name in ("paper.csv", "paper.yaml"):
            assert content.read(f"mribench_paper/{name}") == (PAPER / name).read_bytes()
        content.extractall(tmp_path / "installed")
    code = (
        "from mribench.plugins import load_tables\n"
        "(source,), _ = load_tables()\n"
        "print(source.beside('paper').about['published'], type(source).__module__)"
    )
    made = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path / "installed", check=True, capture_output=True, text=True
    )
    assert made.stdout.strip() == "paper mribench_paper.tables"
