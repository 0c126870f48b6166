"""Tidy columns that the tables of a comparison share."""

from __future__ import annotations

from typing import Any

from mribench.compare.pairing import Place
from mribench.interfaces.document import TidyColumns

PLACE_COLUMNS: TidyColumns = {
    "task": "string", "fraction": "float64", "test_site": "string", "metric": "string", "unit": "string",
    "higher_is_better": "boolean",
}  # fmt: skip


def place_record(place: Place) -> dict[str, Any]:
    """Return where a place is and how its metric is read."""
    return {
        **place.where,
        "metric": place.metric,
        "unit": place.unit,
        "higher_is_better": place.higher_is_better,
    }
