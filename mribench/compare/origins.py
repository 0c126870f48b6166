"""Whether the results of two folders are of the same subjects and files."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from mribench.compare.sides import Pair, Side
from mribench.store import read_json

_STAGES = {"test": "key", "training": "adapt"}
"""What must be of the same subjects, and the column of the cells with the job that says so."""


@dataclass(frozen=True)
class Made:
    """What a job was made of: digest of its subjects, and of each one's files where that is recorded."""

    split: str = ""
    files: Mapping[str, str] = field(default_factory=dict)

    def contradicts(self, other: Made) -> str:
        """Return what is not the same, in words; empty where nothing is known to differ."""
        if self.split and other.split and self.split != other.split:
            return f"subjects differ (digests {self.split[:8]} and {other.split[:8]})"
        changed = [name for name, digest in self.files.items() if other.files.get(name, digest) != digest]
        if changed:
            return f"files differ for {len(changed)} of {len(self.files)} subjects"
        return ""


class Origins:
    """Compares, cell by cell and seed by seed, what two sides were computed from.

    Args:
        pair: of two results folders.
        cell: columns that name a cell.
    """

    def __init__(self, pair: Pair, cell: list[str]) -> None:
        self._cell = [*cell, "seed"]
        self._pair = pair
        self._bad = self._contradictions()

    def comparable(self, scores: pd.DataFrame) -> pd.DataFrame:
        """Return the rows of cells and seeds without a contradiction."""
        if not self._bad:
            return scores
        number = scores.groupby(self._cell, dropna=False, observed=True, sort=False).ngroup().to_numpy()
        heads = scores.loc[~pd.Series(number).duplicated().to_numpy(), self._cell]
        good = [_key(row) not in self._bad for row in heads.itertuples(index=False)]
        return scores[[good[k] for k in number]]

    def sentences(self) -> list[str]:
        """Return one sentence for each place that was left out, and why."""
        found: dict[str, int] = {}
        for key, why in self._bad.items():
            where = dict(zip(self._cell, key, strict=True))
            text = f"{where['task']}, {where['test_site']}, {where['test_sequence']}: {why}"
            found[text] = found.get(text, 0) + 1
        return [f"Left out: {text}; {count} results." for text, count in found.items()]

    def _contradictions(self) -> dict[tuple[Any, ...], str]:
        first, second = (self._jobs(side) for side in (self._pair.first, self._pair.second))
        found = {}
        for key in first.keys() | second.keys():
            jobs = [made.get(key, made.get(self._untrained(key))) for made in (first, second)]
            if jobs[0] is None or jobs[1] is None:
                continue
            for stage in _STAGES:
                what = jobs[0][stage].contradicts(jobs[1][stage])
                if what:
                    found[key] = f"the {stage} {what}"
                    break
        return dict(sorted(found.items(), key=lambda item: str(item)))

    def _untrained(self, key: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return the cell on the same test subjects of a row that nothing was trained for."""
        tested = ("task", "dataset", "test_site", "test_sequence")
        return tuple(value if name in tested else None for name, value in zip(self._cell, key, strict=True))

    def _jobs(self, side: Side) -> dict[tuple[Any, ...], dict[str, Made]]:
        known = side.run.jobs.drop_duplicates("job_key").set_index("job_key")["split_digest"]
        made = functools.cache(lambda key: _made(side.directory / "jobs" / key, known.get(key)))
        cells = side.rows(side.run.cells)
        cells = cells[cells["state"].eq("done")]
        columns = [cells[column] for column in _STAGES.values()]
        return {
            _key(row): {
                stage: made(key) if isinstance(key, str) else Made()
                for stage, key in zip(_STAGES, keys, strict=True)
            }
            for row, *keys in zip(cells[self._cell].itertuples(index=False), *columns, strict=True)
        }


def specification(folder: Path) -> dict[str, Any]:
    """Return the ``job.json`` of a job; empty where it is gone."""
    path = folder / "job.json"
    found = read_json(path) if path.exists() else {}
    return found if isinstance(found, dict) else {}


def _made(folder: Path, recorded: Any) -> Made:
    found = specification(folder)
    split = found.get("payload", {}).get("split_digest") or recorded
    files = (found.get("content") or {}).get("fingerprints") or {}
    return Made(
        split if isinstance(split, str) else "",
        {name: json.dumps(value, sort_keys=True) for name, value in files.items()},
    )


def _key(row: Any) -> tuple[Any, ...]:
    return tuple(None if pd.isna(value) else value for value in row)
