"""What this package registers: the paper's tables, and published results beside a run's."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mribench import hookimpl
from mribench.interfaces.document import Document
from mribench.interfaces.entry import Entry
from mribench.interfaces.table_source import Beside, GridSpec, LayoutSpec, TableSource
from mribench_paper.against import beside
from mribench_paper.document import published_document
from mribench_paper.published import Published, load_published

NAME = "paper"
NUMBERS = Path(__file__).parent / "paper.csv"
"""The means that the paper prints; the YAML file beside says what they are, and what its text claims."""


class PaperTables(TableSource):
    """A table for each task as the paper has them, and published results: the paper's, or those of a file."""

    help = "paper-N for the N-th task"
    published = (NAME,)

    def specs(self, tasks: Sequence[str]) -> Sequence[GridSpec]:
        """Return a table for each task: site and sequence as rows; metric, fraction and method as columns."""
        specs = []
        for number, task in enumerate(tasks, start=1):
            layout = LayoutSpec(
                title=f"{task}: site and sequence",
                rows=["site", "sequence"],
                columns=["metric", "fraction", "method"],
                tasks=[task],
            )
            specs.append(GridSpec(f"{NAME}-{number}", layout))
        return specs

    def beside(self, given: str) -> Beside | None:
        """Return the paper's numbers, or those of a CSV file, beside a run's.

        Raises:
            StoreError: when the file cannot be read; with the line where it is wrong.
        """
        if given == NAME:
            return beside(load_published(NUMBERS))
        return beside(load_published(Path(given))) if _is_csv(Path(given)) else None

    def document(self, path: Path) -> Document[Published] | None:
        """Return the tables of a CSV file of published results.

        Raises:
            StoreError: when the file cannot be read; with the line where it is wrong.
        """
        return published_document(load_published(path)) if _is_csv(path) else None


def _is_csv(path: Path) -> bool:
    return path.suffix.lower() == ".csv"


@hookimpl
def mribench_entries() -> list[Entry]:
    """Return the tables of the seed paper."""
    return [
        Entry(
            "table", NAME, lambda _: PaperTables(), summary="the seed paper's tables, and published results"
        )
    ]
