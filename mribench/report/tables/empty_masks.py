"""What captions say of empty masks: how they count, how many there are, and how good the rest is."""

from __future__ import annotations

from typing import Any

import pandas as pd

from mribench.results.cells import scale_of
from mribench.results.load import RunData
from mribench.results.merged import policy_of
from mribench.statistics.scores import Policy

_MOST = 6


def policies_sentence(frame: pd.DataFrame, run: RunData) -> str:
    """Return how the scores with an empty mask count, by the policies of the profiles."""
    both = int(frame["n_both_empty"].sum())
    left_out = f"left out: {both} rows" if both else "left out: none"
    policies = list(dict.fromkeys(policy_of(run.manifest, profile) for profile in run.manifest.profiles))
    texts = [_policy(policy, frame) for policy in policies]
    return f"Empty masks: {'; or, by profile, '.join(texts)}; both empty, {left_out}."


def failures_sentence(frame: pd.DataFrame) -> str:
    """Return the cells with failures in two parts, each with its 95 % interval; nothing without failures."""
    failed = frame[frame["failure_share"].gt(0)]
    if failed.empty:
        return ""
    texts = list(dict.fromkeys(_parts(cell) for cell in failed.itertuples(index=False)))
    more = f"; and {len(texts) - _MOST} more, in the data formats" if len(texts) > _MOST else ""
    return (
        "Failures: share of (seed, subject) pairs with an empty mask, and mean of the subjects without one, "
        "with 95 % intervals; the mean with penalties has none, as none would hold: "
        f"{'; '.join(texts[:_MOST])}{more}."
    )


def _parts(cell: Any) -> str:
    place = f"{cell.row}, {cell.task}"
    if pd.notna(cell.fraction):
        place += f" {100 * cell.fraction:g} %"
    scale, digits = scale_of(cell)
    share = f"{100 * cell.failure_share:.1f} %{_ends(cell.failure_low, cell.failure_high, 100, 1)}"
    if not cell.n_subjects_without:
        return f"{place}, {cell.metric}: {share}, no subject without"
    mean = (
        f"{cell.without_mean * scale:.{digits}f}{_ends(cell.without_low, cell.without_high, scale, digits)}"
    )
    return f"{place}, {cell.metric}: {share}, without {mean} (n={cell.n_subjects_without})"


def _ends(low: float, high: float, scale: float, digits: int) -> str:
    return "" if pd.isna(low) else f" [{low * scale:.{digits}f}, {high * scale:.{digits}f}]"


def _policy(policy: Policy, frame: pd.DataFrame) -> str:
    one, in_mm = int(frame["n_empty"].sum()), int(frame.loc[frame["unit"].eq("mm"), "n_empty"].sum())
    if policy == "penalty":
        return f"one empty counts as the metric's penalty{f' ({one} rows)' if one else ''}"
    what = {
        "dropped": "one empty drops out of metrics in mm (policy dropped)",
        "256mm": "in metrics in mm an empty prediction counts 256 mm and an empty reference drops out "
        "(policy 256mm)",
    }[policy]
    return f"{what}: {in_mm} rows; elsewhere it counts as the metric's penalty"
