"""What the text of a source may claim about its numbers, and how each kind of claim is checked."""

from __future__ import annotations

from typing import Annotated, Literal

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

Verdict = Literal["holds", "understated", "does not hold", "cannot be told"]
"""``understated``: the numbers say more than the text does."""
_EXACT = 6
"""Decimals to which differences of printed numbers are exact."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Where(_Part):
    """Cells that a claim is about; what is not given is not asked."""

    table: list[str] = Field(default_factory=list)
    site: list[str] = Field(default_factory=list)
    sequence: list[str] = Field(default_factory=list)
    fraction: list[float] = Field(default_factory=list)
    metric: list[str] = Field(default_factory=list)
    domain: Literal["in", "out"] | None = Field(None, description="On the site trained on, or on the others.")

    def of(self, cells: pd.DataFrame) -> pd.DataFrame:
        """Return the rows that are meant."""
        keep = pd.Series(True, index=cells.index)
        for name in ("table", "site", "sequence", "fraction", "metric"):
            asked = getattr(self, name)
            if asked:
                keep &= cells[name].isin(asked)
        if self.domain is not None:
            keep &= cells["home"] == (self.domain == "in")
        return cells[keep]


def gains(cells: pd.DataFrame, method: str, against: str) -> pd.DataFrame:
    """Return one row per cell that both methods have, with ``gain``: above 0 where the method is better."""
    keys = ["table", "task", "site", "sequence", "fraction", "metric", "home", "higher_is_better"]
    sides = [cells.loc[cells["method"] == name, [*keys, "mean"]] for name in (method, against)]
    both = sides[0].merge(sides[1], on=keys, suffixes=("", "_against"))
    sign = both["higher_is_better"].map({True: 1.0, False: -1.0}).astype(float)
    return both.assign(gain=((both["mean"] - both["mean_against"]) * sign).round(_EXACT))


def place(cell: pd.Series) -> str:
    """Return where a cell stands: ``HH T1w 1 %``."""
    return f"{cell['site']} {cell['sequence']} {100 * cell['fraction']:g} %"


def tally(gain: pd.Series) -> str:
    """Return ``11 wins, 1 tie, 15 losses``."""
    counts = {"win": (gain > 0).sum(), "tie": (gain == 0).sum(), "loss": (gain < 0).sum()}
    ends = {"win": "wins", "tie": "ties", "loss": "losses"}
    return ", ".join(f"{n} {name if n == 1 else ends[name]}" for name, n in counts.items())


class _Compared(_Part):
    method: str
    against: str
    where: Where = Field(default_factory=Where)

    def gains(self, cells: pd.DataFrame, where: Where | None = None) -> pd.DataFrame:
        return gains((where or self.where).of(cells), self.method, self.against)


class Largest(_Compared):
    """The largest gain is the one stated; understated where it is more."""

    kind: Literal["largest"]
    gain: float

    def check(self, cells: pd.DataFrame) -> tuple[Verdict, str]:
        """Return the verdict and the numbers."""
        found = self.gains(cells)
        if found.empty:
            return _NOTHING
        best = found[found["gain"] == found["gain"].max()].iloc[0]
        said = f"largest {best['gain']:+.1f} ({place(best)}), smallest {found['gain'].min():+.1f}"
        if best["gain"] > self.gain:
            return "understated", said
        return ("holds" if best["gain"] == self.gain else "does not hold"), said


class Gain(_Compared):
    """The gain in a cell is the one stated."""

    kind: Literal["gain"]
    gain: float

    def check(self, cells: pd.DataFrame) -> tuple[Verdict, str]:
        """Return the verdict and the numbers."""
        found = self.gains(cells)
        if found.empty:
            return _NOTHING
        said = ", ".join(f"{value:+.1f}" for value in found["gain"])
        return ("holds" if found["gain"].eq(self.gain).all() else "does not hold"), said


class Always(_Compared):
    """The method is better in every cell."""

    kind: Literal["always"]

    def check(self, cells: pd.DataFrame) -> tuple[Verdict, str]:
        """Return the verdict and the numbers."""
        found = self.gains(cells)
        if found.empty:
            return _NOTHING
        return ("holds" if found["gain"].gt(0).all() else "does not hold"), tally(found["gain"])


class OnAverage(_Compared):
    """The mean gain is above 0."""

    kind: Literal["on-average"]

    def check(self, cells: pd.DataFrame) -> tuple[Verdict, str]:
        """Return the verdict and the numbers."""
        found = self.gains(cells)
        if found.empty:
            return _NOTHING
        mean = found["gain"].mean()
        return ("holds" if mean > 0 else "does not hold"), f"mean {mean:+.2f}; {tally(found['gain'])}"


class More(_Compared):
    """The mean gain is larger in some cells than in each of several others."""

    kind: Literal["more"]
    than: list[Where] = Field(min_length=1)

    def check(self, cells: pd.DataFrame) -> tuple[Verdict, str]:
        """Return the verdict and the numbers."""
        here, *others = (self.gains(cells, where)["gain"] for where in (self.where, *self.than))
        if here.empty or any(there.empty for there in others):
            return _NOTHING
        larger = all(round(here.mean() - there.mean(), _EXACT) > 0 for there in others)
        means = ", ".join(f"{there.mean():+.2f}" for there in others)
        return ("holds" if larger else "does not hold"), f"mean {here.mean():+.2f} against {means}"


class Oftener(_Compared):
    """The method is better in a larger share of some cells than of others."""

    kind: Literal["oftener"]
    than: Where

    def check(self, cells: pd.DataFrame) -> tuple[Verdict, str]:
        """Return the verdict and the numbers."""
        here, there = self.gains(cells)["gain"], self.gains(cells, self.than)["gain"]
        if here.empty or there.empty:
            return _NOTHING
        holds = here.gt(0).mean() > there.gt(0).mean()
        return ("holds" if holds else "does not hold"), f"{tally(here)} against {tally(there)}"


class Best(_Part):
    """The method is the best, or shares it, in every cell."""

    kind: Literal["best"]
    method: str
    where: Where = Field(default_factory=Where)

    def check(self, cells: pd.DataFrame) -> tuple[Verdict, str]:
        """Return the verdict and the numbers."""
        mine = self.where.of(cells)
        mine = mine[mine["method"] == self.method]
        if mine.empty:
            return _NOTHING
        best = int(mine["mark"].eq("best").sum())
        return ("holds" if best == len(mine) else "does not hold"), f"best in {best} of {len(mine)} cells"


class Values(_Part):
    """The means in a cell are those stated, by method."""

    kind: Literal["values"]
    where: Where
    means: dict[str, float]

    def check(self, cells: pd.DataFrame) -> tuple[Verdict, str]:
        """Return the verdict and the numbers."""
        here = self.where.of(cells)
        found = here[here["method"].isin(self.means)]
        if set(found["method"]) != set(self.means):
            return _NOTHING
        right = found["mean"].eq(found["method"].map(self.means)).all()
        said = ", ".join(f"{row.method} {row.mean:g}" for row in found.itertuples())
        return ("holds" if right else "does not hold"), said


class Untold(_Part):
    """The numbers cannot say."""

    kind: Literal["untold"]
    why: str

    def check(self, cells: pd.DataFrame) -> tuple[Verdict, str]:  # noqa: ARG002
        """Return the verdict and why."""
        return "cannot be told", self.why


_NOTHING: tuple[Verdict, str] = ("cannot be told", "there are no such cells")
Check = Annotated[
    Largest | Gain | Always | OnAverage | More | Oftener | Best | Values | Untold, Field(discriminator="kind")
]


class Claim(_Part):
    """A claim of the text, in words of our own."""

    name: str = Field(description="A few words.")
    section: str = Field(description="Where the text says so.")
    says: str = Field(description="The claim, one sentence.")
    check: Check
