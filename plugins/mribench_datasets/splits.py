"""Split rules: by subject over a cohort, or by the site where a cohort was scanned."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from pydantic import Field

from mribench.errors import DataError
from mribench.interfaces import Options, Split, SplitRule, Subject
from mribench.seeding import derive_seed

Amount = int | float
_AMOUNT = "how many subjects: a count (226), or a share of all (0.7)"


class SubjectSplitOptions(Options):
    """Sizes of the three parts."""

    train: Amount = Field(0.7, ge=0, description=_AMOUNT)
    validation: Amount = Field(0.1, ge=0, description=_AMOUNT)
    test: Amount = Field(0.2, ge=0, description=_AMOUNT)
    seed: int = Field(0, description="of the shuffle")


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
        train, validation, test = _divide(
            subjects, (options.train, options.validation, options.test), options.seed, "the cohort"
        )
        return Split(_ids(train), _ids(validation), _by_site(test))


class SiteSplitOptions(Options):
    """One site trains, the others only test."""

    train_site: str = Field(description="where training, validation and in-domain test subjects come from")
    train: Amount = Field(0.7, ge=0, description=_AMOUNT)
    validation: Amount = Field(0.1, ge=0, description=_AMOUNT)
    test: Amount = Field(0.2, ge=0, description=_AMOUNT)
    test_sites: list[str] = Field(default_factory=list, description="all subjects of these sites test")
    seed: int = Field(0, description="of the shuffle")


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
        at: dict[str, list[Subject]] = defaultdict(list)
        for subject in subjects:
            at[subject.site].append(subject)
        for site in self.sites():
            if site not in at:
                known = ", ".join(sorted(at)) or "none"
                raise DataError(f"no subject was scanned at site '{site}'", f"sites of this cohort: {known}")
        train, validation, test = _divide(
            at[options.train_site],
            (options.train, options.validation, options.test),
            options.seed,
            f"site '{options.train_site}'",
        )
        held_out = {site: _ids(sorted(at[site], key=lambda s: s.id)) for site in self.sites()[1:]}
        return Split(_ids(train), _ids(validation), {options.train_site: _ids(test), **held_out})


def _divide(
    subjects: Sequence[Subject], amounts: tuple[Amount, Amount, Amount], seed: int, where: str
) -> list[list[Subject]]:
    """Return train, validation and test subjects, shuffled by their ids and the seed."""
    unique = {subject.id: subject for subject in subjects}
    if len(unique) != len(subjects):
        raise DataError(f"{where} names a subject twice: {len(subjects)} entries, {len(unique)} subjects")
    # each subject's place depends on its own id alone, so one more subject hardly moves the others
    order = sorted(unique.values(), key=lambda subject: (derive_seed("split", seed, subject.id), subject.id))
    counts = _counts(amounts, len(order), where)
    train, validation, test = counts
    return [
        order[test + validation : test + validation + train],
        order[test : test + validation],
        order[:test],
    ]


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
