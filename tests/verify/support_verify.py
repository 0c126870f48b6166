"""What the tests of ``verify`` share."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from safetensors.torch import load_file, save_file

PRETRAIN = "seqinv/pretrain/seed0"
ADAPT = "seqinv/frozen/tissue/T1w/100%/seed0"
EVALUATE = f"{ADAPT}/test/HH/T2w"
IDENTITY = "identity/denoise/test/HH/T1w"


@dataclass
class Done:
    """A done job and its folder."""

    name: str
    folder: Path

    def edit(self, file: str, change: Callable[[dict[str, Any]], object]) -> None:
        """Change a JSON file."""
        content = json.loads((self.folder / file).read_text())
        change(content)
        (self.folder / file).write_text(json.dumps(content))

    def set(self, file: str, column: str, value: Any, row: int = 0) -> None:
        """Change one value of a table."""
        table = pq.read_table(self.folder / file)
        rows = table.to_pylist()
        rows[row][column] = value
        pq.write_table(type(table).from_pylist(rows, schema=table.schema), self.folder / file)

    def drop(self, file: str, keep: Callable[[dict[str, Any]], bool]) -> None:
        """Drop rows of a table."""
        table = pq.read_table(self.folder / file)
        rows = [row for row in table.to_pylist() if keep(row)]
        pq.write_table(type(table).from_pylist(rows, schema=table.schema), self.folder / file)

    def add_to_weight(self, file: str, amount: float) -> str:
        """Change one weight; return the name of its tensor."""
        state = load_file(self.folder / file)
        name = max(state, key=lambda name: state[name].is_floating_point() and state[name].numel())
        state[name].view(-1)[0] += amount
        save_file(state, self.folder / file)
        return name
