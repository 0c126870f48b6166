"""Split rules: by subject over a cohort, by the site of scanning, or with sites left out altogether."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from pydantic import Field

from mribench.errors import DataError
from mribench.interfaces import Defect, ProtocolOptions, Split, SplitRule, Subject
from mribench.seeding import derive_seed

Amount = int | float
_AMOUNT = "how many subjects: a count (226), or a share of all (0.7)"


SORTED_PREFIXES = Defect(
    "sorted-prefix-splits",
    "subjects train, validate and test in the order of their names, so that the parts differ in scanner, "
    "date or site",
    "every training script of the released code",
)
TEST_IN_TRAINING = Defect(
    "test-in-training",
    "the test subjects train too, in place of as many others",
    "test_seg_stroke.py:159,167,175 and train_seg_stroke.py:55 of the released code",
)
DEFECTS = (SORTED_PREFIXES, TEST_IN_TRAINING)


class _SplitOptions(ProtocolOptions):
    train: Amount = Field(0.7, ge=0, description=_AMOUNT)
    validation: Amount = Field(0.1, ge=0, description=_AMOUNT)
    test: Amount = Field(0.2, ge=0, description=_AMOUNT)
    seed: int = Field(0, description="of the shuffle")


class SubjectSplitOptions(_SplitOptions):
    """Sizes of the three parts."""


class SubjectSplit(SplitRule):
    """Divides all subjects of a cohort, whatever their site; the test subjects are kept apart by site."""

    def __init__(self, options: SubjectSplitOptions) -> None:
        self.options = options

    def split(self, subjects: Sequence[Subject]) -> Split:
        """Return the split; the same subjects always give the same one, in any order.

        Raises:
            DataError: when there are too few subjects.
        """
        options = self.options
        train, validation, test = _divide(subjects, options, "the cohort")
        return _leaked(Split(_ids(train), _ids(validation), _by_site(test)), options, test)


class _SitesOptions(_SplitOptions):
    def shows(self, defect: str) -> bool:
        """Return whether a defect is switched on; the released code leaks where there is one site only."""
        if self.defects is None and defect == TEST_IN_TRAINING.name:
            return False
        return super().shows(defect)


class SiteSplitOptions(_SitesOptions):
    """One site trains, the others only test."""

    train_site: str = Field(description="where training, validation and in-domain test subjects come from")
    test_sites: list[str] = Field(default_factory=list, description="all subjects of these sites test")


class SiteSplit(SplitRule):
    """Trains at one site; tests on held-out subjects of it and on all of the other sites."""

    def __init__(self, options: SiteSplitOptions) -> None:
        self.options = options

    def sites(self) -> Sequence[str]:
        """Return the test sites, the training site first."""
        others = [site for site in self.options.test_sites if site != self.options.train_site]
        return [self.options.train_site, *others]

    def split(self, subjects: Sequence[Subject]) -> Split:
        """Return the split; the same subjects always give the same one, in any order.

        Raises:
            DataError: when a site is not there or has too few subjects.
        """
        options = self.options
        at = _at_sites(subjects, self.sites())
        train, validation, test = _divide(at[options.train_site], options, f"site '{options.train_site}'")
        held_out = {site: _ids(at[site]) for site in self.sites()[1:]}
        split = Split(_ids(train), _ids(validation), {options.train_site: _ids(test), **held_out})
        return _leaked(split, options, test)


class LeaveSitesOutOptions(_SitesOptions):
    """All sites but some train; those only test."""

    held_out: list[str] = Field(
        min_length=1, description="sites that only test; for leave-one-site-out one cohort for each site"
    )


class LeaveSitesOut(SplitRule):
    """Trains on all sites but some; tests on those, and on held-out subjects of the others (``in-domain``).

    Leave-one-site-out over k sites is k cohorts of the same folder in a benchmark file, each with another
    site held out.
    """

    IN_DOMAIN = "in-domain"

    def __init__(self, options: LeaveSitesOutOptions) -> None:
        self.options = options

    def sites(self) -> Sequence[str]:
        """Return the test sites: the sites that train together, then those held out."""
        return [self.IN_DOMAIN, *self.options.held_out]

    def split(self, subjects: Sequence[Subject]) -> Split:
        """Return the split; the same subjects always give the same one, in any order.

        Raises:
            DataError: when a site is not there, or nobody is left to train.
        """
        options = self.options
        at = _at_sites(subjects, options.held_out)
        others = [subject for subject in subjects if subject.site not in options.held_out]
        train, validation, test = _divide(others, options, "the sites that are not held out")
        held_out = {site: _ids(at[site]) for site in options.held_out}
        return _leaked(
            Split(_ids(train), _ids(validation), {self.IN_DOMAIN: _ids(test), **held_out}), options, test
        )


def _at_sites(subjects: Sequence[Subject], wanted: Sequence[str]) -> dict[str, list[Subject]]:
    """Return the subjects of each site, sorted by id.

    Raises:
        DataError: when a wanted site has none.
    """
    at: dict[str, list[Subject]] = defaultdict(list)
    for subject in sorted(subjects, key=lambda subject: subject.id):
        at[subject.site].append(subject)
    for site in wanted:
        if site not in at:
            known = ", ".join(sorted(at)) or "none"
            raise DataError(f"no subject was scanned at site '{site}'", f"sites of this cohort: {known}")
    return at


def _leaked(split: Split, options: _SplitOptions, test: Sequence[Subject]) -> Split:
    """Return the split as it is, or with the in-domain test subjects among as many training subjects."""
    if not options.shows(TEST_IN_TRAINING.name) or not test:
        return split
    known = _ids(test)[: len(split.train)]
    return replace(split, train=(*known, *split.train[: len(split.train) - len(known)]), leaks=True)


def _divide(subjects: Sequence[Subject], options: _SplitOptions, where: str) -> list[list[Subject]]:
    """Return train, validation and test subjects, shuffled by their ids and the seed."""
    unique = {subject.id: subject for subject in subjects}
    if len(unique) != len(subjects):
        raise DataError(f"{where} names a subject twice: {len(subjects)} entries, {len(unique)} subjects")
    # each subject's place depends on its own id alone, so one more subject hardly moves the others
    # people of one alias (draws of one anatomy) stay neighbours, so that a split by whole people is possible
    order = sorted(unique.values(), key=lambda s: (derive_seed("split", options.seed, _person(s)), s.id))
    train, validation, test = _counts((options.train, options.validation, options.test), len(order), where)
    if options.shows(SORTED_PREFIXES.name):
        by_name = sorted(unique.values(), key=lambda subject: subject.id)
        return [
            by_name[:train],
            by_name[train : train + validation],
            by_name[train + validation : train + validation + test],
        ]
    return [
        order[test + validation : test + validation + train],
        order[test : test + validation],
        order[:test],
    ]


def _person(subject: Subject) -> str:
    return min(subject.aliases, default=subject.id)


def _counts(amounts: tuple[Amount, Amount, Amount], total: int, where: str) -> list[int]:
    """Return how many subjects train, validate and test; what rounding leaves over trains."""
    for name, amount in zip(("train", "validation", "test"), amounts, strict=True):
        if isinstance(amount, float) and amount > 1:
            raise DataError(f"split: {name} is {amount}, expected a count (226) or a share up to 1 (0.7)")
    shares = [amount for amount in amounts if isinstance(amount, float)]
    if sum(shares) > 1 + 1e-9:
        raise DataError(f"split: the shares of {where} add up to {sum(shares):g}, more than 1")
    counts = [round(amount * total) if isinstance(amount, float) else amount for amount in amounts]
    all_shares = len(shares) == 3 and abs(sum(shares) - 1) < 1e-9
    if all_shares:
        counts[0] = total - counts[1] - counts[2]
    for place, name in ((0, "train"), (2, "test")):
        if amounts[place] > 0 and counts[place] < 1:
            raise DataError(
                f"split: {amounts[place]} of the {total} subjects of {where} leaves none to {name}"
            )
    if sum(counts) > total:
        train, validation, test = counts
        raise DataError(
            f"split: {train} train + {validation} validation + {test} test = {sum(counts)} subjects, "
            f"but {where} has {total}",
            "lower the counts, or write shares such as 0.7",
        )
    return counts


def _ids(subjects: Sequence[Subject]) -> tuple[str, ...]:
    return tuple(subject.id for subject in subjects)


def _by_site(subjects: Sequence[Subject]) -> dict[str, tuple[str, ...]]:
    """Return ids by site, the site with most test subjects first."""
    at: dict[str, list[Subject]] = defaultdict(list)
    for subject in sorted(subjects, key=lambda subject: subject.id):
        at[subject.site].append(subject)
    return {site: _ids(at[site]) for site in sorted(at, key=lambda site: (-len(at[site]), site))}
