"""Best and second, as the field marks them."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from mribench.interfaces.table import Mark


def mark(values: Sequence[float], *, higher_is_better: bool) -> list[Mark]:
    """Mark the best and the second of some unrounded values.

    Equal values share a mark; two that share the best leave no second. NaN has no mark, and one value
    alone has none either: there is nothing to be better than.
    """
    ranks = pd.Series(list(values), dtype=float).rank(method="min", ascending=not higher_is_better)
    if ranks.notna().sum() < 2:
        return ["none"] * len(ranks)
    names: dict[float, Mark] = {1.0: "best", 2.0: "second"}
    return [names.get(rank, "none") for rank in ranks]
