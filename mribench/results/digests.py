"""Results of other splits, or of other versions of the files, are never shown beside each other."""

from __future__ import annotations

import functools
import logging
import operator
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import pyarrow as pa

from mribench.digests import digest_of
from mribench.errors import StoreError
from mribench.results.label_subsets import DRAW, draw_of
from mribench.results.reading import read_rows
from mribench.results.records import JOB_SCHEMA
from mribench.results.specification import find_specification

logger = logging.getLogger("mribench")

_SPLIT = "split_digest"


@dataclass(frozen=True)
class Recorded:
    """Who and what a job was computed from.

    Attributes:
        split: digest of the subjects; empty where the result does not record it.
        files: digest of each subject's files, by the place of its cohort and its id; empty where the result
            does not record them.
    """

    split: str = ""
    files: Mapping[tuple[int, str], str] = field(default_factory=dict, hash=False)

    @functools.cached_property
    def version(self) -> str:
        """One digest of all files; empty where the result does not record them."""
        return digest_of(sorted(self.files.items()), length=16) if self.files else ""

    def fits(self, other: Recorded) -> bool:
        """Whether the subjects are known to be the same, and no file is known to differ."""
        return self.split == other.split and not self.contradicts(other)

    def contradicts(self, other: Recorded) -> str:
        """Return what is known to differ, in words; empty where nothing is."""
        if self.split and other.split and self.split != other.split:
            return f"subjects differ (digests {self.split[:8]} and {other.split[:8]})"
        changed = [name for name, digest in self.files.items() if other.files.get(name, digest) != digest]
        return f"files differ for {len(changed)} of {len(self.files)} subjects" if changed else ""


@dataclass(frozen=True)
class Comparison:
    """Results that must come from the same subjects.

    Attributes:
        what: for people: ``test``, ``training`` or ``pretraining``.
        job: column of the cells with the key of the job whose subjects count.
        family: columns in which the results agree that are compared.
        label: of a family, filled with its columns.
    """

    what: str
    job: str
    family: tuple[str, ...]
    label: Callable[[pd.Series], str]


COMPARISONS = (
    Comparison(
        "test",
        "key",
        ("profile", "task", "dataset", "test_site", "test_sequence"),
        lambda row: f"{row['task']}, {row['test_site']}, {row['test_sequence']}",
    ),
    Comparison(
        "training",
        "adapt",
        ("profile", "task", "dataset", "train_site", "train_sequence", "fraction", DRAW),
        lambda row: f"{row['task']} trained on {row['train_sequence']}, {100 * row['fraction']:g} %",
    ),
    Comparison("pretraining", "pretrain", ("profile", "method"), lambda row: str(row["method"])),
)
"""Methods are compared on the same test and training subjects; each may be pretrained on its own."""


def of_one_split(
    cells: pd.DataFrame, identity: Sequence[str], directory: Path, written: Mapping[str, str]
) -> tuple[pd.DataFrame, dict[str, int]]:
    """Keep, of results that must not be mixed, those made like the newest one.

    Args:
        cells: candidates for the cells of a report, in the order in which they were planned.
        identity: columns that say which cell and seed a row is of.
        directory: ``<results>/<benchmark>``.
        written: when a done job was finished, by key.

    Returns:
        The rows that may be shown together; and, for each family of cells that lost some for which there
        is no other result, one sentence and the number of those.
    """
    made_of = functools.cache(lambda key: recorded(directory / "jobs" / key))
    cells = cells.assign(**{DRAW: draw_of(cells)})
    left_out: list[tuple[str, pd.DataFrame, pd.DataFrame]] = []
    for comparison in COMPARISONS:
        done = cells[cells["state"].eq("done") & cells[comparison.job].notna()]
        drop: list[Hashable] = []
        for _, family in done.groupby(list(comparison.family), dropna=False, sort=False):
            made = family[comparison.job].map(made_of)
            if made.nunique() == 1:
                continue
            ages = [(written[key], place) for place, key in enumerate(family["key"])]
            fits = made.map(made.iloc[max(ages)[1]].fits).astype(bool)
            if fits.all():
                continue
            drop.extend(family.index[~fits])
            splits = made.map(operator.attrgetter("split"))
            digest = splits if splits.nunique() > 1 else made.map(operator.attrgetter("version"))
            title = f"{comparison.label(family.iloc[0])}: {comparison.what} results"
            title += f" of {digest.nunique()} {'splits' if digest is splits else 'versions of the files'}"
            left_out.append((title, family[~fits].assign(digest=digest), family[fits].assign(digest=digest)))
        cells = cells.drop(index=drop)
    return cells.drop(columns=DRAW), dict(_sentences(left_out, cells, identity))


def recorded(folder: Path, split: object = None) -> Recorded:
    """Return what a job's folder says of its subjects and their files.

    Args:
        folder: of a done job.
        split: digest in its row of ``job.parquet``, where that was read already. It counts where
            ``job.json`` is gone.

    Raises:
        StoreError: where neither file can be read.
    """
    try:
        said = find_specification(folder)
    except StoreError as error:
        logger.warning("%s; its split is taken from its row", error.message)
        said = None
    if said is None:
        return Recorded(split if isinstance(split, str) else _read_split(folder))
    files = {
        (place, subject): digest
        for place, cohort in enumerate(said.content.cohorts)
        for subject, digest in cohort.fingerprints.items()
    }
    return Recorded(said.spec.split_digest, files)


def _read_split(folder: Path) -> str:
    schema = pa.schema([JOB_SCHEMA.field(_SPLIT)])
    (digest,) = read_rows(folder.parent, [folder.name], "job.parquet", schema)[_SPLIT]
    return digest if isinstance(digest, str) else ""


def _sentences(
    left_out: Sequence[tuple[str, pd.DataFrame, pd.DataFrame]], kept: pd.DataFrame, identity: Sequence[str]
) -> Iterator[tuple[str, int]]:
    done = kept[kept["state"].eq("done")]
    covered = set(done[list(identity)].astype(str).itertuples(index=False, name=None))
    for title, dropped, shown in left_out:
        names = dropped[list(identity)].astype(str).itertuples(index=False, name=None)
        lost = dropped[[name not in covered for name in names]]
        shown = shown[shown.index.isin(kept.index)]
        if lost.empty:
            continue
        methods = not set(lost["method"]) <= set(shown["method"])
        yield f"{title}; {_groups(lost, methods)} left out, {_groups(shown, methods)} shown", len(lost)


def _groups(rows: pd.DataFrame, methods: bool) -> str:
    """Return ``seeds 0, 1 (digest abc…) are``, with the methods where they matter."""
    texts = []
    for digest, group in rows.groupby("digest", sort=False):
        seeds = [f"{seed:g}" for seed in sorted(group["seed"].dropna().unique())]
        parts = [", ".join(dict.fromkeys(group["method"]))] if methods or not seeds else []
        parts += [f"seed{'s' if len(seeds) > 1 else ''} {', '.join(seeds)}"] if seeds else []
        texts.append(f"{' '.join(parts)} (digest {str(digest)[:8] or 'unknown'})")
    one = len(texts) == 1 and rows["seed"].nunique(dropna=False) == 1
    return f"{', '.join(texts)} {'is' if one else 'are'}"
