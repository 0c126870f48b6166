"""The committed results belong to the benchmark files that are named beside them."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import yaml

PUBLISHED = Path(__file__).parent.parent / "results" / "published"
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
        assert mine[["low", "high"]].notna().all(axis=1).any(), name
    known = rows.dropna(subset=["low", "high"])
    assert (known["low"] <= known["high"]).all()


def test_the_grid_on_phantoms_has_transfer_sites_and_invariance() -> None:
    rows = cells("paper-on-phantom")
    transfer = rows[rows["table"] == "transfer"]
    assert set(transfer["task"]) == {"tissue", "lesion", "denoise"}
    crossed = transfer[transfer["train_sequence"] != transfer["test_sequence"]]
    assert set(crossed["task"]) == {"tissue", "lesion", "denoise"}
    assert {"Guys", "HH", "IOP"} <= set(transfer["test_site"])
    invariance = rows[rows["table"] == "invariance"]
    assert {"base", "seqaug", "seqinv", "random-frozen"} <= set(invariance["row"].str.strip("†‡§¶"))
    assert invariance["mean"].notna().any()
