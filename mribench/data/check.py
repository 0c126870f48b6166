"""What a cohort on disk has and lacks, counted for people to read before anything runs."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from mribench.data.label_numbers import find_number_problems
from mribench.data.reading import MapChanges, Progress, Reading, read_cohort
from mribench.data.twins import SeenImages
from mribench.data.uses import Use, find_unmet_needs
from mribench.errors import DataError, MRIBenchError
from mribench.interfaces.dataset import Dataset, Exclusion, Subject
from mribench.interfaces.split import Split, SplitRule


@dataclass(frozen=True)
class Group:
    """One row of the table: what was scanned at one site with one sequence."""

    site: str
    sequence: str
    subjects: int
    scans: int
    sessions: int
    labelled: Mapping[str, int]
    """Scans with a label of their own, by label."""


@dataclass(frozen=True)
class Reason:
    """Subjects about whom the same is to be said.

    Attributes:
        kind: what, without names.
        count: how often; a subject may be there more than once.
        names: of the subjects, each once, sorted.
        sentences: one for each time, naming files.
    """

    kind: str
    count: int
    names: tuple[str, ...]
    sentences: tuple[str, ...]


@dataclass(frozen=True)
class SplitCounts:
    """Subjects by role and site; ``problem`` says why there is no such split."""

    train: Mapping[str, int] = field(default_factory=dict)
    validation: Mapping[str, int] = field(default_factory=dict)
    test: Mapping[str, int] = field(default_factory=dict)
    problem: str = ""


@dataclass(frozen=True)
class CohortCheck:
    """Everything about one cohort of a benchmark file.

    Attributes:
        name: in the file.
        dataset: the entry that reads it.
        where: the folder, or empty.
        licence: of the data.
        source: where to get them.
        archives: MD5 sums of what is to be downloaded, by file name.
        missing: one sentence where the data are not there, else empty.
        read: whether the files were opened.
        subjects: number of people.
        scans: number of scans.
        groups: per site and sequence.
        lacking: subjects without a scan of a sequence, by sequence.
        excluded: left out, and why.
        remarks: odd, and used all the same.
        ignored: image files that are no inputs, by kind.
        problems: one sentence for everything that would make `mribench run` refuse.
        changes: clipped and repaired voxels by map, where the files were read.
        covariates: subjects that have each covariate.
        split: who trains, validates and tests; None where the file does not split the cohort.
        levels: by what volumes were taken for, the smallest and largest of their medians in the head.
    """

    name: str
    dataset: str
    where: str
    licence: str
    source: str
    archives: Mapping[str, str]
    missing: str
    read: bool
    subjects: int = 0
    scans: int = 0
    groups: tuple[Group, ...] = ()
    lacking: tuple[Reason, ...] = ()
    excluded: tuple[Reason, ...] = ()
    remarks: tuple[Reason, ...] = ()
    ignored: Mapping[str, int] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    changes: tuple[MapChanges, ...] = ()
    covariates: Mapping[str, int] = field(default_factory=dict)
    split: SplitCounts | None = None
    levels: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def usable(self) -> bool:
        """Whether a run can use the cohort as it is."""
        return not (self.missing or self.problems or (self.split is not None and self.split.problem))


def check_cohort(
    name: str,
    dataset: Dataset,
    *,
    entry: str = "",
    rule: SplitRule | None = None,
    uses: Sequence[Use] = (),
    reader: str = "",
    read: bool = True,
    progress: Progress | None = None,
    seen: SeenImages | None = None,
) -> CohortCheck:
    """Look at one cohort; what is wrong with it is in the result, never raised.

    Args:
        name: of the cohort in the benchmark file.
        dataset: reads it.
        entry: the name of the dataset entry.
        rule: how it is split.
        uses: what tasks ask for.
        reader: tells versions of the dataset's code apart.
        read: open every file, else go by names only.
        progress: told how far reading has come.
        seen: the images of the cohorts before, to find them under other names.
    """
    try:
        missing, wrong = dataset.missing(), ""
    except DataError as error:
        missing, wrong = "", _make_sentence(error)
    about = {
        "name": name, "dataset": entry or name, "where": dataset.where(), "licence": dataset.licence,
        "source": dataset.source, "archives": dict(dataset.archives), "missing": missing, "read": read,
    }  # fmt: skip
    if wrong:
        return CohortCheck(**about, problems=(wrong,))  # type: ignore[arg-type]
    if missing:
        return _check_sources(CohortCheck(**about), dataset, progress)  # type: ignore[arg-type]
    try:
        people = list(dataset.subjects())
    except DataError as error:
        left_out = _count_left_out(dataset)
        return CohortCheck(**about, problems=(_make_sentence(error),), **left_out)  # type: ignore[arg-type]
    split, counts = (None, None) if rule is None else _split(rule, people)
    unmet = (
        [] if split is None else [text for use in uses for text in find_unmet_needs(name, use, split, people)]
    )
    ids = Counter(person.id for person in people)
    needed = {sequence for use in uses for sequence in use.sequences()}
    reading = read_cohort(name, dataset, people, reader, progress) if read else Reading()
    if read and split is not None:
        unmet += _find_number_problems(dataset, reader, people, split, uses)
    images = SeenImages() if seen is None else seen
    odd = [*reading.odd, *(images.remarks(name, people) if read else ())]
    problems = list(dict.fromkeys(reading.problems))
    twice = [person for person, count in ids.items() if count > 1]
    return CohortCheck(
        **about,  # type: ignore[arg-type]
        **_count_left_out(dataset, odd),  # type: ignore[arg-type]
        subjects=len(people),
        scans=sum(len(person.scans) for person in people),
        groups=_group_people(people),
        lacking=_find_lacking(people, needed),
        problems=(*(f"{person} is there twice" for person in twice), *problems, *unmet),
        changes=reading.changes(),
        covariates=dict(Counter(key for person in people for key in person.covariates).most_common()),
        split=counts,
        levels=reading.levels,
    )


def _find_number_problems(
    dataset: Dataset, reader: str, people: Sequence[Subject], split: Split, uses: Sequence[Use]
) -> list[str]:
    """Return one sentence for each number of a label that a task does not know, and class of nobody."""
    return [
        f"task '{use.task}': {text}"
        for use in uses
        if use.numbers_of is not None
        for text in find_number_problems(use.numbers_of, dataset, reader, people, split.train)
    ]


def group_reasons(entries: Iterable[Exclusion]) -> tuple[Reason, ...]:
    """Group what is said about subjects by its kind, the most frequent first."""
    by_kind: dict[str, list[Exclusion]] = defaultdict(list)
    for entry in entries:
        by_kind[entry.kind or entry.reason].append(entry)
    reasons = [_summed(kind, alike) for kind, alike in by_kind.items()]
    return tuple(sorted(reasons, key=lambda reason: (-reason.count, reason.kind)))


def _summed(kind: str, entries: Sequence[Exclusion]) -> Reason:
    subjects = _sort_names(entry.subject for entry in entries)
    return Reason(kind, len(entries), subjects, tuple(entry.reason for entry in entries))


def _count_left_out(dataset: Dataset, more: Sequence[Exclusion] = ()) -> dict[str, object]:
    """Return the part of a check that a cohort without usable scans has too."""
    try:
        return {
            "excluded": group_reasons(dataset.excluded()),
            "remarks": group_reasons([*dataset.remarks(), *more]),
            "ignored": dict(dataset.ignored()),
        }
    except DataError:  # said by the subjects already
        return {}


def _group_people(people: Sequence[Subject]) -> tuple[Group, ...]:
    rows = [(person.site, scan.sequence, person.id, scan) for person in people for scan in person.scans]
    groups = []
    for site, sequence in sorted({(row[0], row[1]) for row in rows}):
        mine = [(person, scan) for at, what, person, scan in rows if (at, what) == (site, sequence)]
        labels = Counter(label for _, scan in mine for label in scan.labels)
        sessions = len({(person, scan.session) for person, scan in mine})
        ids = {person for person, _ in mine}
        groups.append(Group(site, sequence, len(ids), len(mine), sessions, dict(sorted(labels.items()))))
    return tuple(groups)


def _find_lacking(people: Sequence[Subject], needed: Iterable[str]) -> tuple[Reason, ...]:
    has: dict[str, set[str]] = defaultdict(set)
    for person in people:
        has[person.name].update(scan.sequence for scan in person.scans)
    reasons = []
    for sequence in sorted(set(needed).union(*has.values())):
        without = sorted(name for name, sequences in has.items() if sequence not in sequences)
        if without:
            reasons.append(Reason(sequence, len(without), tuple(without), ()))
    return tuple(reasons)


def _check_sources(check: CohortCheck, dataset: Dataset, progress: Progress | None) -> CohortCheck:
    """Look at what a cohort that is not made yet would be made of."""
    if not check.read:
        return check

    def tell(done: int, total: int) -> None:
        if progress:
            progress(f"reading what {check.name} is made of", done, total)

    problems = tuple(dataset.check_sources(tell))
    if not problems:
        return check
    return replace(check, missing="not made yet, and cannot be made as it is", problems=problems)


def _make_sentence(error: MRIBenchError) -> str:
    return f"{error.message} ({error.hint})" if error.hint else error.message


def _split(rule: SplitRule, people: Sequence[Subject]) -> tuple[Split | None, SplitCounts]:
    try:
        split = rule.split(people)
    except MRIBenchError as error:
        return None, SplitCounts(problem=_make_sentence(error).removeprefix("split: "))
    site_of = {person.id: person.site for person in people}

    def count(ids: Iterable[str]) -> dict[str, int]:
        return dict(sorted(Counter(site_of[i] for i in ids).items()))

    tested = {site: len(ids) for site, ids in split.test.items()}
    return split, SplitCounts(count(split.train), count(split.validation), tested)


def _sort_names(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted({name for name in names if name}))
