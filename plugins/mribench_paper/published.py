"""Published results: a CSV file of printed means, and a YAML file of the same name that says what it is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mribench.errors import StoreError, did_you_mean
from mribench.validation import describe
from mribench.wording import printable
from mribench_paper.claims import Claim
from mribench_paper.rows import CELL, README, read_rows

_RIGHT = {"bold": "best", "underline": "second"}


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PublishedTable(_Part):
    """A table of the source."""

    title: str
    home: str = Field("", description="The site that was trained on.")


class RunTask(_Part):
    """The task of a benchmark file that is the same as a published one."""

    task: str = Field(description="Name of the task entry.")
    data: str = Field("", description="Name of the dataset entry of the published cohort.")


class Match(_Part):
    """What the published names are called in a run; a name that is not here is called the same."""

    tasks: dict[str, RunTask] = Field(default_factory=dict)
    sites: dict[str, list[str]] = Field(default_factory=dict)
    methods: dict[str, str] = Field(default_factory=dict)
    metrics: dict[str, dict[str, str]] = Field(
        default_factory=dict, description="Ids of metrics, each with what is not the same; empty: the same."
    )


class About(_Part):
    """The YAML file beside the CSV."""

    source: str = ""
    other: str = Field("other data, one training each", description="What differs from any run of one's own.")
    notes: list[str] = Field(default_factory=list)
    tables: dict[str, PublishedTable] = Field(default_factory=dict)
    match: Match = Field(default_factory=Match)
    baseline: str = Field("", description="The method that the others are compared with.")
    claims: list[Claim] = Field(default_factory=list)


@dataclass(frozen=True)
class Published:
    """Published means.

    Attributes:
        name: of the file.
        cells: one row per mean: the columns of the file, numbers as float64; ``decimals`` printed; ``home``,
            whether the site is the one that was trained on; ``mark``, the right one of the printed means:
            equal means share it.
        about: where they come from, and what the source claims.
    """

    name: str
    cells: pd.DataFrame
    about: About


def load_published(path: Path) -> Published:
    """Read published results.

    Args:
        path: of the CSV file; ``<stem>.yaml`` beside it is read where it is there.

    Raises:
        StoreError: when one cannot be read; with the line where it is wrong.
    """
    cells = read_rows(path)
    about = _about(path.with_suffix(".yaml"))
    methods = list(dict.fromkeys(cells["method"]))
    if about.baseline and about.baseline not in methods:
        said = f"baseline: {path.name} has no method '{printable(about.baseline, 40)}'"
        raise StoreError(f"{path.with_suffix('.yaml')}: {said}", did_you_mean(about.baseline, methods))
    homes = {name: table.home for name, table in about.tables.items()}
    cells["home"] = cells["site"].eq(cells["table"].map(homes)).astype(bool)
    cells["mark"] = _marks(cells)
    return Published(path.stem, cells, about)


def _marks(cells: pd.DataFrame) -> pd.Series:
    """Return the mark of each mean among the methods of its cell; one method alone has none."""
    better = cells["mean"].where(cells["higher_is_better"], -cells["mean"])
    families = better.groupby([cells[name] for name in CELL], sort=False)
    ranks = families.rank(method="min", ascending=False).where(families.transform("size") > 1)
    return ranks.map({1.0: "best", 2.0: "second"}).fillna("none")


def wrong_marks(published: Published) -> pd.DataFrame:
    """Return the cells whose printed mark is not the right one of the printed means, where it is known."""
    cells = published.cells
    printed = cells["printed_mark"].replace(_RIGHT)
    return cells[printed.ne("") & printed.ne(cells["mark"])]


def _about(path: Path) -> About:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else {}
        return About.model_validate(content or {})
    except ValidationError as error:
        wrong = describe(error, About)
        raise StoreError(f"{path}: {wrong.message}", wrong.hint or README) from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise StoreError(f"cannot read {path}: {printable(str(error), 160)}", README) from error
