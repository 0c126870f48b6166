"""What captions say of empty masks: how they count, how many there are, and how good the rest is."""

from __future__ import annotations

from typing import Any

import pandas as pd

from mribench.interfaces.entry import EmptyMaskPolicy
from mribench.results.cells import scale_of
from mribench.results.load import RunData
from mribench.results.merged import policy_of

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


def _policy(policy: EmptyMaskPolicy | None, frame: pd.DataFrame) -> str:
    if policy is None:
        rows = int(frame["n_empty"].sum())
        shown = f" ({rows} rows)" if rows else ""
        return f"one empty counts as the metric's penalty{shown}"
    rows = int(frame.loc[frame["unit"].eq(policy.unit), "n_empty"].sum())
    what = f"{_counts(policy)} (policy {policy.name})"
    return f"{what}: {rows} rows; elsewhere it counts as the metric's penalty"


def _counts(policy: EmptyMaskPolicy) -> str:
    if policy.prediction is None and policy.reference is None:
        return f"one empty drops out of metrics in {policy.unit}"
    prediction, reference = (
        "drops out" if count is None else f"counts {count:g} {policy.unit}"
        for count in (policy.prediction, policy.reference)
    )
    return f"in metrics in {policy.unit} an empty prediction {prediction} and an empty reference {reference}"
