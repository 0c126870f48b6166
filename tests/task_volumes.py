"""One scan as a task sees it, for tests."""

from __future__ import annotations

from mribench.data.prepare import Reader, make_task_recipe
from mribench.interfaces import Dataset, Scan, Subject, Task, TaskVolume


def load_task_volume(
    dataset: Dataset, subject: Subject, scan: Scan, task: Task, spacing_mm: float | None
) -> tuple[TaskVolume, str]:
    """Return one scan ready for a task, read anew, and where its label came from."""
    recipe = make_task_recipe(Reader(dataset), subject, scan, task, spacing_mm)
    return recipe.load(), recipe.source
