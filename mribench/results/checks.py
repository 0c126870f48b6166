"""What a benchmark must show of itself: checks of its sensitivity, judged by ``mribench check``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import Discriminator, Field, Tag

from mribench.interfaces.fields import Word, Words
from mribench.interfaces.options import Options

_WHAT_ROWS = "Rows by the names that tables have, such as `base`, `base (finetune)`, `scratch`"


class SameCheck(Options):
    """Two rows that differ by chance alone are separated nowhere."""

    same: Annotated[Words, Field(min_length=2, max_length=2)] = Field(
        description=f"{_WHAT_ROWS}: two that must not be separated in any place of the leaderboard or of the "
        "transfer tables, such as one method twice, with a `seed_offset`."
    )

    def rows(self) -> list[str]:
        """Return the names of the rows that it is about."""
        return self.same


class _PlacedCheck(Options):
    test_sequences: Words | None = Field(
        None, description="Tests on these sequences, as tables name them; all where null."
    )


class BetterCheck(_PlacedCheck):
    """One row is separated from another, and better, in every place that is named."""

    better: Word = Field(description="The row that must be separated from the other, and better.")
    than: Word = Field(description="The other row.")
    tasks: Words | None = Field(None, description="In these tasks; all where null.")
    metrics: Words | None = Field(None, description="By these metrics, by id; all of the tasks where null.")

    def rows(self) -> list[str]:
        """Return the names of the rows that it is about."""
        return [self.better, self.than]


class LadderCheck(_PlacedCheck):
    """From rung to rung the mean does not fall, and the last rung stands above the first."""

    ladder: Annotated[Words, Field(min_length=2)] = Field(
        description=f"{_WHAT_ROWS}, from the lowest rung to the highest."
    )
    task: Word | None = Field(None, description="The task; it may be left out where there is one.")
    metric: Word | None = Field(None, description="The metric, by id; the task's first where null.")

    def rows(self) -> list[str]:
        """Return the names of the rows that it is about."""
        return self.ladder


def _find_kind(value: Any) -> str | None:
    """Return the key that says what a check is; None where there is none."""
    for kind in ("same", "better", "ladder"):
        if (kind in value) if isinstance(value, dict) else hasattr(value, kind):
            return kind
    return None


CheckSpec = Annotated[
    Annotated[SameCheck, Tag("same")]
    | Annotated[BetterCheck, Tag("better")]
    | Annotated[LadderCheck, Tag("ladder")],
    Discriminator(
        _find_kind,
        custom_error_type="check",
        custom_error_message="expected a mapping with one of the keys same, better, ladder",
    ),
]
"""A check, by the key that it begins with."""


def list_tasks(check: CheckSpec) -> Iterator[tuple[str, str]]:
    """Yield the key and the name of each task that a check names."""
    if isinstance(check, BetterCheck):
        yield from (("tasks", name) for name in check.tasks or ())
    elif isinstance(check, LadderCheck) and check.task is not None:
        yield "task", check.task
