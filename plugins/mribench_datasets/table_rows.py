"""What each line of a table of scans means, and what is wrong with it."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mribench.errors import DataError, did_you_mean
from mribench_datasets.files import one_line, what_is
from mribench_datasets.table_lines import Line, Lines
from mribench_datasets.table_options import Columns, TableOptions, filled_in, names_in

LABEL_COLUMN = "label"
"""Column of a label, and with an underscore the beginning of those of labels with names."""
_MISSING = ("", "n/a", "na", "nan", "none", "null", "-")
_SHOWN = 3


@dataclass(frozen=True)
class Row:
    """A line that can be used.

    Attributes:
        number: of the line.
        subject: who was scanned.
        session: empty where there is one only.
        site: empty where nobody says.
        sequence: of the image.
        image: path, whether or not there is such a file.
        labels: the paths of each label.
        covariates: text by column.
    """

    number: int
    subject: str
    session: str
    site: str
    sequence: str
    image: Path
    labels: Mapping[str, tuple[Path, ...]]
    covariates: Mapping[str, str]


@dataclass
class _Reader:
    """Turns lines into rows, and keeps what is wrong with lines, by their number."""

    options: TableOptions
    columns: Columns
    labels: Mapping[str, tuple[str, ...]]
    covariates: tuple[str, ...]
    folders: tuple[Path, ...]
    wrong: dict[int, str] = field(default_factory=dict)

    def rows(self, lines: Sequence[Line]) -> Iterator[Row]:
        """Yield a row for each line that can be used by itself."""
        pattern = re.compile(self.options.pattern) if self.options.pattern else None
        for line in lines:
            cells = dict(line.cells)
            image = filled_in(self.columns.image, cells)
            match = pattern.search(image.replace("\\", "/")) if pattern else None
            said = {
                "subject": self._say("subject", self.columns.subject, cells, match).removeprefix("sub-"),
                "session": self._say("session", self.columns.session, cells, match).removeprefix("ses-"),
                "site": self._say("site", self.columns.site, cells, match),
                "sequence": self._say("sequence", self.columns.sequence, cells, match),
            }
            problem = self._problem(image, said)
            if problem:
                self.wrong[line.number] = problem
                continue
            labels = {name: self._label_paths(names, cells) for name, names in self.labels.items()}
            yield Row(
                line.number,
                image=locate(image, self.folders),
                labels={name: paths for name, paths in labels.items() if paths},
                covariates={name: cells.get(name, "") for name in self.covariates},
                **said,
            )

    def _say(self, role: str, template: str, cells: dict[str, str], match: re.Match[str] | None) -> str:
        """Return what is said of an image: by its cell, else by its path, else for all."""
        text = filled_in(template, cells)
        if text.casefold() in _MISSING and match is not None:
            text = match.groupdict().get(role) or ""
        if text.casefold() in _MISSING:
            text = self.options.fill.get(role, "")  # type: ignore[call-overload]
        return unicodedata.normalize("NFC", text.strip())

    def _problem(self, image: str, said: Mapping[str, str]) -> str:
        if image.casefold() in _MISSING:
            return "names no image"
        if not image.endswith((".nii", ".nii.gz")):
            return f"names the image '{image}', expected a .nii or .nii.gz file"
        if _unset_variable(image):
            return f"names the image '{image}', and {_unset_variable(image)} is not set"
        odd = [role for role, text in {"image": image, **said}.items() if _has_control_character(text)]
        if odd:
            return f"has a control character in its {odd[0]}"
        absent = [role for role in ("subject", "sequence") if not said[role]]
        return f"has no {' and no '.join(absent)}" if absent else ""

    def _label_paths(self, columns: Sequence[str], cells: Mapping[str, str]) -> tuple[Path, ...]:
        given = [cells.get(column, "") for column in columns]
        paths = [locate(text, self.folders) for text in given if text.casefold() not in _MISSING]
        return tuple(paths) if len(paths) == len(columns) else ()


def read_rows(path: Path, lines: Lines, options: TableOptions, folders: tuple[Path, ...]) -> list[Row]:
    """Return a row for each line of a table; one that repeats another is left to the caller.

    Args:
        path: of the table.
        lines: what it holds.
        options: what its columns mean.
        folders: that relative paths may start from, the likeliest first.

    Raises:
        DataError: naming the first lines that are wrong by their numbers, or a column that is not there.
    """
    columns = _fit_columns(path, lines, options)
    labels = _fit_labels(path, lines, options)
    used = {name for template in columns.model_dump().values() for name in names_in(template)}
    used.update(name for names in labels.values() for name in names)
    others = tuple(name for name in lines.columns if name not in used)
    if options.covariates is not None:
        others = tuple(_fit(path, lines, "covariates", name) for name in options.covariates)
    reader = _Reader(options, columns, labels, others, folders, dict(lines.problems))
    rows = list(reader.rows(lines.lines))
    reader.wrong |= _contradictions(rows, lines.noun)
    if reader.wrong:
        first = [f"{lines.noun} {number} {text}" for number, text in sorted(reader.wrong.items())[:_SHOWN]]
        left = len(reader.wrong) - _SHOWN
        more = f" (and {left} more)" if left > 0 else ""
        raise DataError(
            f"{one_line(path)}, {'; '.join(first)}{more}",
            "correct the table; 'columns', 'pattern' and 'fill' say what it does not",
        )
    return rows


def _contradictions(rows: Sequence[Row], noun: str) -> dict[int, str]:
    """Return what lines say that others deny: one image for two scans, one subject at two sites."""
    wrong: dict[int, str] = {}
    images: dict[Path, Row] = {}
    sites: dict[str, Row] = {}
    for row in rows:
        if any(row.image in paths for paths in row.labels.values()):
            wrong[row.number] = f"names its image as a label too: {row.image.name}"
        first = images.setdefault(row.image, row)
        if (first.subject, first.session, first.sequence) != (row.subject, row.session, row.sequence):
            wrong[row.number] = f"names the image of {noun} {first.number}, as another scan: {row.image.name}"
        at = sites.setdefault(row.subject, row) if row.site else row
        if at.site != row.site:
            wrong.setdefault(
                row.number,
                f"puts subject '{row.subject}' at site '{row.site}', and {noun} {at.number} at '{at.site}'",
            )
    return wrong


def locate(text: str, folders: Sequence[Path]) -> Path:
    """Return the path that a cell means, from the first folder that has such a file.

    Backslashes, a variable at the beginning, and letters with accents written in either way are understood.
    """
    expanded = os.path.expandvars(text) if text.startswith("$") else text
    forms = (unicodedata.normalize(form, expanded) for form in ("NFC", "NFD"))
    spellings = dict.fromkeys([expanded, expanded.replace("\\", "/"), *forms])
    places = [_joined(folder, spelling) for spelling in spellings for folder in folders]
    return next((place for place in places if not what_is(place)), places[0])


def _joined(folder: Path, text: str) -> Path:
    """Return an absolute path without ``..`` where that does not cross a link."""
    path = folder / Path(text).expanduser() if text.startswith("~/") else folder / text
    return Path(os.path.normpath(path))


def _has_control_character(text: str) -> bool:
    return any(unicodedata.category(character) == "Cc" for character in text)


def _unset_variable(text: str) -> str:
    """Return the variable that a path begins with, if it is not set."""
    match = re.match(r"\$(?:\{(\w+)\}|(\w+))", text)
    name = (match[1] or match[2]) if match else ""
    return f"${name}" if name and name not in os.environ else ""


def _fit_columns(path: Path, lines: Lines, options: TableOptions) -> Columns:
    """Return the columns as the table spells them; those that need not be there may be missing."""
    groups = re.compile(options.pattern).groupindex
    fitted = {}
    for role, template in options.columns.model_dump().items():
        is_needed = role in options.columns.model_fields_set or role in ("image", "subject", "sequence")
        otherwise = role not in options.columns.model_fields_set and (role in groups or role in options.fill)
        text = template
        for name in names_in(template):
            if is_needed and not otherwise:
                actual = _fit(path, lines, f"columns.{role}", name)
            else:
                actual = _spelt(lines, name) or name
            text = text.replace(f"{{{name}}}", f"{{{actual}}}") if "{" in text else actual
        fitted[role] = text
    return Columns(**fitted)


def _fit_labels(path: Path, lines: Lines, options: TableOptions) -> dict[str, tuple[str, ...]]:
    """Return the columns of each label as the table spells them."""
    if not options.labels:
        own = [name for name in lines.columns if name.casefold().startswith(f"{LABEL_COLUMN}_")]
        plain = _spelt(lines, LABEL_COLUMN)
        found = {name[len(LABEL_COLUMN) + 1 :]: (name,) for name in own if name[len(LABEL_COLUMN) + 1 :]}
        return {**({LABEL_COLUMN: (plain,)} if plain else {}), **found}
    fitted = {}
    for label, given in options.labels.items():
        names = [given] if isinstance(given, str) else given
        fitted[label] = tuple(_fit(path, lines, f"labels.{label}", name) for name in names)
    return fitted


def _spelt(lines: Lines, name: str) -> str:
    """Return a column as the table spells it, whatever the case; empty where there is none."""
    if name in lines.columns:
        return name
    alike = [column for column in lines.columns if column.casefold() == name.strip().casefold()]
    return alike[0] if len(alike) == 1 else ""


def _fit(path: Path, lines: Lines, option: str, name: str) -> str:
    actual = _spelt(lines, name)
    if not actual:
        raise DataError(
            f"{one_line(path)} has no column '{name}' ({option})",
            f"{did_you_mean(name, lines.columns)}; say by '{option.partition('.')[0]}' what it is called",
        )
    return actual
