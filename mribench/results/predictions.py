"""What was predicted of test subjects, and their targets, as evaluate jobs of tasks about people store it."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from mribench.results.load import load_run
from mribench.results.reading import read_rows
from mribench.results.records import PREDICTION_SCHEMA, PREDICTIONS


def load_predictions(directory: Path, digest: str | None = None) -> pd.DataFrame:
    """Read the predictions behind the scores that a report shows: each cell and seed once.

    Args:
        directory: ``<results>/<benchmark>``.
        digest: of the settings, to read one plan; all plans when None.

    Returns:
        rows of ``PREDICTION_SCHEMA``, one for each test subject of each done job; none where no task is about
        people.

    Raises:
        StoreError: as ``load_run``.
    """
    cells = load_run(directory, digest).cells
    jobs = directory / "jobs"
    done = cells.loc[cells["state"].eq("done"), "key"]
    keys = [key for key in done if (jobs / key / PREDICTIONS).is_file()]
    return read_rows(jobs, keys, PREDICTIONS, PREDICTION_SCHEMA)
