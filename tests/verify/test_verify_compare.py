"""Comparing files: exact, by rows and tensors, with the largest difference and its place."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import save_file

from mribench.verify.compare import compare_folders, compare_job_rows, compare_tables, compare_weights

ROWS = [
    {"subject": "s:1", "label": "GM", "metric": "dice", "seed": 0, "value": 0.5, "status": "ok"},
    {"subject": "s:1", "label": "WM", "metric": "dice", "seed": 0, "value": 0.7, "status": "ok"},
    {"subject": "s:2", "label": "GM", "metric": "dice", "seed": 0, "value": math.nan, "status": "failed"},
]
SCHEMA = pa.schema(
    {"subject": pa.string(), "label": pa.string(), "metric": pa.string(), "seed": pa.int64(),
     "value": pa.float64(), "status": pa.string()}
)  # fmt: skip


def table(path: Path, rows: list[dict[str, Any]], schema: pa.Schema | None = SCHEMA) -> Path:
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), path)
    return path


def changed(place: int, **values: Any) -> list[dict[str, Any]]:
    return [row | values if i == place else row for i, row in enumerate(ROWS)]


def compared(tmp_path: Path, rows: list[dict[str, Any]], tolerance: float = 0.0) -> Any:
    return compare_tables(table(tmp_path / "records.parquet", ROWS), table(tmp_path / "b", rows), tolerance)


def test_equal_tables_are_the_same_in_any_order(tmp_path: Path) -> None:
    for rows in (ROWS, ROWS[::-1]):
        found = compared(tmp_path, rows)
        assert (found.same, found.largest, found.text) == (True, 0.0, "")


def test_the_smallest_difference_counts_and_is_placed(tmp_path: Path) -> None:
    found = compared(tmp_path, changed(1, value=math.nextafter(0.7, 1)))
    assert not found.same
    assert found.largest == pytest.approx(1.1e-16, rel=0.1)
    assert "records.parquet: 1 of 3 rows differ" in found.text
    assert found.text.endswith("(value of s:1, WM, dice)")


def test_a_tolerance_allows_differences_and_shows_them(tmp_path: Path) -> None:
    rows = changed(0, value=0.5 + 1e-4)
    assert compared(tmp_path, rows, 1e-3).same
    assert compared(tmp_path, rows, 1e-3).largest == pytest.approx(1e-4)
    assert not compared(tmp_path, rows, 1e-5).same


@pytest.mark.parametrize("change", [{"value": 0.1}, {"status": "ok"}])
def test_no_tolerance_covers_a_failure(tmp_path: Path, change: dict[str, Any]) -> None:
    found = compared(tmp_path, changed(2, **change), 1e9)
    assert (found.same, found.largest) == (False, math.inf)


def test_rows_that_come_or_go(tmp_path: Path) -> None:
    assert "1 rows are not made again" in compared(tmp_path, ROWS[:2]).text
    assert "1 rows are new" in compared(tmp_path, [*ROWS, ROWS[0]]).text
    renamed = compared(tmp_path, changed(0, label="CSF"), 1e9)
    assert not renamed.same
    assert "1 rows are not made again; 1 rows are new" in renamed.text


def test_columns_that_come_or_go_but_costs(tmp_path: Path) -> None:
    one = table(tmp_path / "records.parquet", [{"subject": "a", "wall_s": 1.0}], None)
    assert compare_tables(one, table(tmp_path / "b", [{"subject": "a", "wall_s": 2.0}], None), 0).same
    assert compare_tables(one, table(tmp_path / "b", [{"subject": "a"}], None), 0).same
    found = compare_tables(one, table(tmp_path / "b", [{"subject": "a", "more": 1}], None), 0)
    assert found.text == "records.parquet: columns more are on one side only"


def test_lists_of_numbers(tmp_path: Path) -> None:
    one = table(tmp_path / "a", [{"subject": "a", "v": [1.0, 2.0]}, {"subject": "b", "v": None}], None)
    assert compare_tables(one, one, 0).same
    for other, largest in (([1.0, 2.5], 0.5), ([1.0], math.inf), (None, math.inf)):
        rows = [{"subject": "a", "v": other}, {"subject": "b", "v": [0.0] if other is None else None}]
        found = compare_tables(one, table(tmp_path / "b", rows, None), 0)
        assert (found.same, found.largest) == (False, largest)


def test_empty_tables(tmp_path: Path) -> None:
    one = table(tmp_path / "a", [])
    assert compare_tables(one, table(tmp_path / "b", []), 0).same
    assert not compare_tables(one, table(tmp_path / "b", ROWS), 0).same


def weights(path: Path, **tensors: torch.Tensor) -> Path:
    save_file(tensors, path)
    return path


def test_weights_tensor_by_tensor(tmp_path: Path) -> None:
    state = {"conv": torch.arange(4.0), "bias": torch.tensor([math.nan, 1.0]), "n": torch.tensor(3)}
    one = weights(tmp_path / "encoder.safetensors", **state)
    assert compare_weights(one, weights(tmp_path / "b", **state), 0).same
    moved = state | {"conv": state["conv"] + torch.tensor([0.0, 0.0, 0.25, 0.0])}
    found = compare_weights(one, weights(tmp_path / "b", **moved), 0)
    assert found.text == "encoder.safetensors: 1 of 3 tensors differ, most by 0.25 (conv)"
    assert compare_weights(one, weights(tmp_path / "b", **moved), 0.25).same
    for odd in (torch.arange(5.0), torch.arange(4.0).double()):
        assert (
            compare_weights(one, weights(tmp_path / "b", **(state | {"conv": odd})), 1e9).largest == math.inf
        )
    found = compare_weights(one, weights(tmp_path / "b", conv=state["conv"]), 1e9)
    assert found.text == "encoder.safetensors: tensors bias, n are on one side only"


def test_job_rows_by_counts_and_digests(tmp_path: Path) -> None:
    row = {"steps": 4, "encoder_digest_after": "a", "wall_s": 1.0, "device": "cpu", "first_loss": 1.0}
    one = table(tmp_path / "job.parquet", [row], None)
    costs = table(tmp_path / "b", [row | {"wall_s": 9.0, "device": "gpu"}], None)
    assert compare_job_rows(one, costs, 0).same
    digest = table(tmp_path / "c", [row | {"encoder_digest_after": "b"}], None)
    assert compare_job_rows(one, digest, 0).text == "job.parquet: encoder_digest_after a → b"
    assert compare_job_rows(one, digest, 1e-6).same, "a digest knows no tolerance"
    assert not compare_job_rows(one, table(tmp_path / "d", [row | {"steps": 5}], None), 1e9).same


def test_folders_file_by_file(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for file in ("job", "history", "records"):
            table(tmp_path / name / f"{file}.parquet", ROWS)
        table(tmp_path / name / "other.parquet", ROWS)
    a, b = tmp_path / "a", tmp_path / "b"
    table(b / "history.parquet", [])
    assert all(found.same for found in compare_folders(a, b, 0))
    table(b / "other.parquet", ROWS[:1])
    (b / "records.parquet").unlink()
    weights(b / "head.safetensors", x=torch.zeros(1))
    texts = [found.text for found in compare_folders(a, b, 0) if not found.same]
    assert texts == [
        "other.parquet: 2 rows are not made again",
        "records.parquet was not made again",
        "head.safetensors is not among the results",
    ]
    (a / "head.safetensors").write_bytes(b"broken")
    assert any("head.safetensors cannot be read" in found.text for found in compare_folders(a, b, 0))


def test_a_job_table_without_a_row(tmp_path: Path) -> None:
    for name, rows in (("a", ROWS), ("b", [])):
        (tmp_path / name).mkdir()
        table(tmp_path / name / "job.parquet", rows)
    (found,) = compare_folders(tmp_path / "a", tmp_path / "b", 0)
    assert not found.same
    assert found.text == "job.parquet cannot be read: it has no row"
