"""The layout of the seed paper's tables: one for each task."""

from __future__ import annotations

from collections.abc import Sequence

from mribench.interfaces.table_source import GridSpec, Question, TableSource

OWN_SEQUENCE = Question(own_sequence=True)


class PaperLayouts(TableSource):
    """Site and sequence as rows; metric, fraction and method as columns."""

    help = "paper-N for the N-th task"

    def specs(self, tasks: Sequence[str]) -> Sequence[GridSpec]:
        """Return a table for each task."""
        return [
            GridSpec(
                f"paper-{number}", f"{task}: site and sequence", ("site", "sequence"),
                ("metric", "fraction", "method"), OWN_SEQUENCE, tasks=(task,),
            )
            for number, task in enumerate(tasks, start=1)
        ]  # fmt: skip
