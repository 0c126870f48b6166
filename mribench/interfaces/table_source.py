"""How a plugin adds tables to a report: an entry of the kind ``table``.

Reports are read without torch, so plugins of tables enter by an entry-point group of their own,
``mribench.tables``, which is all that a report imports::

    [project.entry-points."mribench.tables"]
    mine = "my_package.tables"

The module has the hook of every plugin. The entry's factory returns a ``TableSource``, whose tables have a
section of the page, a builder and tidy rows like those of mribench itself::

    @hookimpl
    def mribench_entries():
        return [Entry("table", "sizes", lambda _: Sizes(), summary="how many subjects stand behind a cell")]

    class Sizes(TableSource):
        help = "sizes"

        def specs(self, tasks):
            return [TableSpec("sizes", "results", _tables, _rows)]

A table of nothing but the run's cells is a ``GridSpec``: a named ``LayoutSpec``, as benchmark files declare
them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol

from pydantic import AfterValidator, Field, model_validator

from mribench.interfaces.fields import Fraction, Word, Words, ascending, unique
from mribench.interfaces.options import Options
from mribench.interfaces.table import Section
from mribench.validation import problem

if TYPE_CHECKING:
    import pandas as pd

    from mribench.interfaces.document import Document, TableSpec
    from mribench.interfaces.table import Sentence

Dimension = Literal["method", "task", "metric", "fraction", "site", "sequence", "trained-on"]
"""What rows and columns of a table may be; ``sequence`` is the one tested on."""
Dimensions = Annotated[list[Dimension], Field(min_length=1), AfterValidator(unique)]
PLACE = ("task", "fraction", "train_sequence", "test_sequence", "test_site")
"""What says where a cell stands, besides its row and metric."""


@dataclass(frozen=True)
class Question:
    """What a table asks of the results.

    Attributes:
        in_domain: only the site that was trained on.
        own_sequence: only the sequence that was trained on.
        average_sequences: average over sequences within a subject.
    """

    in_domain: bool = False
    own_sequence: bool = True
    average_sequences: bool = False

    @property
    def keys(self) -> tuple[str, ...]:
        """The columns of ``PLACE`` that tell its cells apart."""
        averaged = ("train_sequence", "test_sequence") if self.average_sequences else ()
        return tuple(name for name in PLACE if name not in averaged)

    @property
    def within(self) -> tuple[str, ...]:
        """The columns averaged within a subject."""
        return ("test_sequence", "subset_seed") if self.average_sequences else ("subset_seed",)


class LayoutSpec(Options):
    """A table: which cells it shows, and what stands in rows and columns."""

    rows: Dimensions = Field(description="Headers of rows, outermost first.")
    columns: Dimensions = Field(description="Headers of columns, outermost first.")
    title: Word | None = Field(None, description="Title of the table.")
    section: Section = Field("results", description="Section of the HTML page that it stands in.")
    sequences: Literal["own", "all", "averaged"] = Field(
        "own",
        description="Tests on the sequence trained on, on all sequences, or on the former and averaged.",
    )
    in_domain: bool = Field(False, description="Only the site trained on.")
    methods: Words | None = Field(None, description="Only these methods and reference arms.")
    tasks: Words | None = Field(None, description="Only these tasks.")
    metrics: Words | None = Field(None, description="Only these metrics, by id.")
    fractions: Annotated[list[Fraction], Field(min_length=1), AfterValidator(ascending)] | None = Field(
        None, description="Only these label fractions."
    )
    sites: Words | None = Field(None, description="Only these test sites.")

    @property
    def question(self) -> Question:
        """What it asks of the results."""
        return Question(
            in_domain=self.in_domain,
            own_sequence=self.sequences != "all",
            average_sequences=self.sequences == "averaged",
        )

    @model_validator(mode="after")
    def _fits(self) -> LayoutSpec:
        used = [*self.rows, *self.columns]
        both = sorted(set(self.rows) & set(self.columns))
        if both:
            raise problem("columns", f"expected each in rows or in columns, got {', '.join(both)} in both")
        if self.sequences == "averaged" and {"sequence", "trained-on"} & set(used):
            raise problem("sequences", "averaged sequences cannot be told apart in rows or columns")
        if self.sequences == "all" and "trained-on" not in used:
            raise problem("sequences", "expected 'trained-on' in rows or columns where all are shown")
        return self


@dataclass(frozen=True)
class GridSpec:
    """A table of the run's cells, with their marks and sentences.

    Attributes:
        name: as ``TableSpec`` has it.
        layout: which cells, and where they stand; without a title it has the benchmark's name and its own.
    """

    name: str
    layout: LayoutSpec

    @property
    def section(self) -> Section:
        """Section of the page."""
        return self.layout.section


@dataclass(frozen=True)
class RunTask:
    """A task of a run.

    Attributes:
        entry: name of its entry, such as ``tissue-segmentation``.
        dataset: name of the entry of the dataset that it read; empty where the results do not say.
    """

    entry: str
    dataset: str


@dataclass(frozen=True)
class ShownMetric:
    """How a metric is shown.

    Attributes:
        label: with unit and direction, as headers have it: ``dice % ↑``.
        unit: of what is shown: ``%`` for a share.
        scale: factor to what is shown, 100 for shares.
        digits: decimals shown.
    """

    label: str
    unit: str
    scale: float
    digits: int


class RunResults(Protocol):
    """The results of a run, as tables see them."""

    @property
    def benchmark(self) -> str:
        """Name of the benchmark."""

    @property
    def tasks(self) -> Mapping[str, RunTask]:
        """The tasks by name, in the order of the benchmark file."""

    def metric(self, task: str, metric: str) -> ShownMetric:
        """Return how a metric of a task, by its id, is shown."""

    def cells(self, question: Question) -> pd.DataFrame:
        """Return one row per cell, computed once for each question.

        Columns: ``row`` (its label), ``method``, ``arm``, ``profile``, those of ``PLACE`` (null where the
        question averages), ``metric``, ``unit``, ``higher_is_better``, ``value_range``, ``mean``, ``se``,
        ``low`` and ``high`` (95 % interval), ``seed_low`` and ``seed_high``, ``n_seeds``, ``n_subjects``,
        ``n_subjects_total``, ``jobs_expected``, ``jobs_done``, ``status``, ``mark``. Rows that nothing was
        trained for (arm ``identity``) stand at every fraction.
        """

    def profile_sentence(self) -> Sentence:
        """Return which profiles the rows are of, and the known defects that those reproduce."""


@dataclass(frozen=True)
class Beside:
    """A table that sets other results beside a run's.

    Attributes:
        spec: the table.
        about: what the other results are, for JSON and Parquet.
    """

    spec: TableSpec[RunResults]
    about: Mapping[str, str]


class TableSource(ABC):
    """Adds tables to every report; what the factory of an entry of the kind ``table`` returns."""

    help = ""
    """What ``--table`` may be, as the help of ``mribench report`` says it: ``size-N for the N-th task``."""
    published: Sequence[str] = ()
    """Names of results that it can set beside a run's, for ``--against``."""

    @abstractmethod
    def specs(self, tasks: Sequence[str]) -> Sequence[TableSpec[RunResults] | GridSpec]:
        """Return the tables.

        Args:
            tasks: names of the benchmark's tasks, in its order.
        """

    def beside(self, given: str) -> Beside | None:
        """Return the table of ``--against``: other results beside a run's; None for what it does not know.

        Args:
            given: one of ``published``, or the path of a file of another's results.
        """
        del given
        return None

    def document(self, path: Path) -> Document[Any] | None:
        """Return the tables of a file of results that are no run's; None for a file that it cannot read.

        Args:
            path: of the file.
        """
        del path
        return None
