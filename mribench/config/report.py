"""The part of the benchmark file that is about its tables."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from mribench.config.fields import Fraction, Slug, Word, Words, ascending, unique
from mribench.interfaces.options import Options
from mribench.interfaces.table import Section
from mribench.interfaces.table_source import Dimension
from mribench.validation import problem

Dimensions = Annotated[list[Dimension], Field(min_length=1), AfterValidator(unique)]


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


class ReportSpec(Options):
    """What the report shows."""

    tables: Words = Field(["leaderboard"], description="Tables of the report, in order.")
    layouts: dict[Slug, LayoutSpec] = Field(
        default_factory=dict, description="Tables of your own, by name, for `tables` and `--table`."
    )
    examples: bool = Field(
        True,
        description="Whether jobs keep slices of scans and of their first views, and pages show those and "
        "the ids of subjects; false where these may not be passed on.",
    )
