"""Any cohort, as a table with one line for each image lists it."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from mribench.interfaces import Exclusion, Scan, Subject, TableDraft
from mribench_datasets.files import LOST_LINK, Found, leave_out_files, one_line, sorted_scans, what_is
from mribench_datasets.own import OwnDataset
from mribench_datasets.people import column_values, people
from mribench_datasets.table_draft import draft_table
from mribench_datasets.table_lines import read_lines
from mribench_datasets.table_options import TableOptions
from mribench_datasets.table_rows import Row, read_rows


class Table(OwnDataset):
    """The images that a table names, one a line: whose they are, their sequence, session, site and labels.

    Attributes:
        table: path of the file.
    """

    name = "table"
    title = "table of scans"
    source = "the files that your table names"

    def __init__(self, options: TableOptions) -> None:
        super().__init__(options)
        self._columns = options
        self.table = options.table if self.root is None else self.root / options.table

    def missing(self) -> str:
        """Return one sentence on what is not there, or an empty string."""
        if self.root is not None and not self.root.is_dir():
            return f"{self.title}: there is no folder {one_line(self.root)}; check 'root' and 'table'"
        if what_is(self.table):
            return f"{self.title}: there is no file {one_line(self.table)}; check 'root' and 'table'"
        return ""

    def where(self) -> str:
        """Return the table."""
        return str(self.table)

    @classmethod
    def draft_table(cls, folder: Path) -> TableDraft:
        """Return a table of the NIfTI files in a folder, guessed from their names.

        Raises:
            DataError: when there is none.
        """
        return draft_table(folder)

    def find(self, root: Path, found: Found) -> None:
        """Note what the table names.

        Raises:
            DataError: when a line is wrong, with its number.
        """
        lines = read_lines(self.table, self._columns.columns.image)
        rows = read_rows(self.table, lines, self._columns, (self.table.parent, root))
        rows = self._that_are_there(root, rows, lines.noun, found)
        by_subject: dict[str, list[Row]] = defaultdict(list)
        for row in rows:
            by_subject[row.subject].append(row)
        covariates = self._covariates(rows, found)
        for name, mine in by_subject.items():
            site = next((row.site for row in mine if row.site), self.namespace)
            about = covariates.get(name, {})
            scans = sorted_scans(_scans(mine, lines.noun, found))
            found.subjects.append(Subject(self.namespace, name, site, scans, covariates=dict(about)))

    def _that_are_there(self, root: Path, rows: Sequence[Row], noun: str, found: Found) -> list[Row]:
        """Return the rows whose image is there once, with those labels that are there."""
        labels = [path for row in rows for paths in row.labels.values() for path in paths]
        named = list(dict.fromkeys([*(row.image for row in rows), *labels]))
        wanted = set(leave_out_files(root, named, found))
        first: dict[Path, int] = {}
        kept = []
        for row in rows:
            where = f"{one_line(self.table)}, {noun} {row.number}"
            if row.image not in wanted:
                continue
            if row.image in first:
                reason = f"{where} repeats {noun} {first[row.image]}"
                found.excluded.append(Exclusion(row.subject, reason, f"{noun} that repeats another"))
                continue
            first[row.image] = row.number
            if _is_file(row.image, where, row.subject, "", found):
                kept.append(replace(row, labels=_labels_there(row, where, wanted, found)))
        return kept

    def _covariates(self, rows: Sequence[Row], found: Found) -> Mapping[str, Mapping[str, object]]:
        """Return what the table says of each subject, in the columns that describe subjects."""
        names = list(rows[0].covariates) if rows else []
        columns = {}
        for name in names:
            columns[name] = column_values([row.covariates[name] for row in rows])
        if self._columns.covariates is None:
            varying = [name for name, values in columns.items() if _differs_within(rows, values)]
            columns = {name: values for name, values in columns.items() if name not in varying}
            if varying:
                reason = (
                    f"{one_line(self.table)}: {', '.join(varying)} differ(s) within subjects: no covariate"
                )
                found.remarks.append(Exclusion("", reason, "columns that do not describe subjects"))
        said: dict[str, list[dict[str, object]]] = defaultdict(list)
        for place, row in enumerate(rows):
            values = {name: column[place] for name, column in columns.items() if column[place] is not None}
            if values not in said[row.subject]:
                said[row.subject].append(values)
        once = ((name, values) for name, several in said.items() for values in _merged(several))
        return people(once, self.table, found)


def _merged(rows: Sequence[dict[str, object]]) -> list[dict[str, object]]:
    """Return one row of those that do not contradict each other, else all."""
    together: dict[str, object] = {}
    for row in rows:
        if any(key in together and together[key] != value for key, value in row.items()):
            return list(rows)
        together |= row
    return [together]


def _differs_within(rows: Sequence[Row], values: Sequence[object]) -> bool:
    """Return whether a column has two values for one subject."""
    known: dict[str, object] = {}
    for row, value in zip(rows, values, strict=True):
        if value is not None and known.setdefault(row.subject, value) != value:
            return True
    return False


def _is_file(path: Path, where: str, subject: str, then: str, found: Found) -> bool:
    """Return whether a file is there; else note that its line names what is not."""
    what = what_is(path)
    if not what:
        return True
    is_absent = what == LOST_LINK and not os.path.lexists(path)
    reason = f"{where} names {one_line(path)}, which is {'not there' if is_absent else what}{then}"
    kind = "file that is not there" if is_absent else "no file that can be read"
    found.excluded.append(Exclusion(subject, reason, kind))
    return False


def _labels_there(row: Row, where: str, wanted: set[Path], found: Found) -> dict[str, tuple[Path, ...]]:
    """Return the labels of a row all of whose files are there, and note the others."""
    labels = {}
    for name, paths in row.labels.items():
        if not wanted.issuperset(paths):
            continue
        then = f": the scan has no label '{name}'"
        there = [path for path in paths if _is_file(path, where, row.subject, then, found)]
        if len(there) == len(paths):
            labels[name] = paths
    return labels


def _scans(rows: Sequence[Row], noun: str, found: Found) -> list[Scan]:
    """Return the scans of a subject; images of one session and sequence are runs, in the table's order."""
    runs: Counter[tuple[str, str]] = Counter()
    scans = []
    for row in rows:
        runs[row.session, row.sequence] += 1
        run = runs[row.session, row.sequence]
        session = row.session
        if run > 1:
            session = "_".join(part for part in (row.session, f"run-{run}") if part)
            reason = f"{noun} {row.number}: {run} {row.sequence} images of one session: taken for runs"
            found.remarks.append(Exclusion(row.subject, reason, "several images of one session and sequence"))
        scans.append(Scan(row.sequence, {"image": row.image}, session=session, labels=row.labels))
    return scans
