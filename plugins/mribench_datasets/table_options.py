"""Options of the dataset ``table``: where it is, and what its columns are called."""

from __future__ import annotations

import re
import string
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from mribench.interfaces import Options
from mribench_datasets.folders import FolderOptions, absolute

Role = Literal["subject", "session", "site", "sequence"]
"""What a column can say of an image besides its file."""
_ROLES = ("subject", "session", "site", "sequence")


class Columns(Options):
    """The column of each thing: its name, or several in braces (``{dataset}/{participant_id}``)."""

    subject: str = Field(
        "subject", min_length=1, description="who was scanned; 'sub-' before a name is dropped"
    )
    session: str = Field("session", min_length=1, description="session; 'ses-' before a name is dropped")
    site: str = Field("site", min_length=1, description="where the subject was scanned")
    sequence: str = Field("sequence", min_length=1, description="T1w, FLAIR …, as tasks name it")
    image: str = Field(
        "image", min_length=1, description="path of the image, from the table's folder or from 'root'"
    )

    @field_validator("*")
    @classmethod
    def _is_a_template(cls, value: str) -> str:
        names_in(value)
        return value


def names_in(template: str) -> list[str]:
    """Return the columns that a template names; a text without braces is a column's name itself.

    Raises:
        ValueError: when its braces do not match.
    """
    try:
        names = [name for _, name, *_ in string.Formatter().parse(template) if name is not None]
    except ValueError as error:
        raise ValueError(f"expected a column, or columns in braces ({error})") from None
    if "" in names:
        raise ValueError("expected the name of a column in each pair of braces")
    return names or [template]


def filled_in(template: str, cells: dict[str, str]) -> str:
    """Return the text of a template for a line; empty where a cell of it is empty."""
    if "{" not in template:
        return cells.get(template, "")
    if not all(cells.get(name) for name in names_in(template)):
        return ""
    return "".join(
        before + (cells[name] if name is not None else "")
        for before, name, *_ in string.Formatter().parse(template)
    )


class TableOptions(FolderOptions):
    """Where a table of scans is, and how it is read."""

    table: Path = Field(
        description="file with one line for each image (.csv, .tsv, .json, .jsonl); relative to 'root' where "
        "that is given, else to the folder in which mribench is started"
    )
    columns: Columns = Field(Columns(), description="what the columns are called")
    labels: dict[str, str | list[str]] = Field(
        default_factory=dict,
        description="column of each label's file, or a list with one for each class's share; by default the "
        "columns 'label' and 'label_<name>'",
    )
    covariates: list[str] | None = Field(
        None, description="columns that describe the subjects (age, sex); by default all others that can"
    )
    pattern: str = Field(
        "",
        description="regular expression with the groups subject, session, site or sequence, which are found "
        "in the image's path where a line has no such cell",
    )
    fill: dict[Role, str] = Field(
        default_factory=dict, description="what is meant where neither a cell nor the pattern says anything"
    )

    @model_validator(mode="before")
    @classmethod
    def _has_a_root(cls, values: Any) -> Any:
        """Take the table's folder for the root where none is given: another may then take its place."""
        if not isinstance(values, dict) or not isinstance(values.get("table"), str | Path):
            return values
        if values.get("root") not in (None, ""):
            return values
        table = absolute(Path(values["table"]))
        return {**values, "root": table.parent, "table": table.name}

    @field_validator("table")
    @classmethod
    def _has_a_home(cls, value: Path) -> Path:
        return absolute(value) if str(value).startswith("~") else value

    @field_validator("labels", mode="after")
    @classmethod
    def _have_columns(cls, value: dict[str, Any]) -> dict[str, Any]:
        for name, columns in value.items():
            if not name.strip() or not columns:
                raise ValueError(f"expected a label's name and its column, got '{name}': {columns!r}")
        return value

    @field_validator("pattern")
    @classmethod
    def _has_groups(cls, value: str) -> str:
        try:
            groups = re.compile(value).groupindex
        except re.error as error:
            raise ValueError(f"expected a regular expression ({error})") from None
        unknown = [name for name in groups if name not in _ROLES]
        if unknown or (value and not groups):
            raise ValueError(
                f"expected the groups {', '.join(_ROLES)} (?P<subject>…), got {unknown or 'none'}"
            )
        return value
