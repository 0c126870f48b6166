"""Which training subjects were labelled: each train seed's own draw, or fixed draws for all of them."""

from __future__ import annotations

from collections.abc import Hashable, Mapping

import pandas as pd

DRAW = "draw"
_SUBSET = "subset_seed"
_FAMILY = ["benchmark", "profile", "task", "dataset", "train_site", "train_sequence", "fraction"]
_OWN = (
    "each train seed has its own draw, the same for all rows, so that the spread over seeds has that of the "
    "draw in it"
)


def draw_of(cells: pd.DataFrame) -> pd.Series:
    """Return what drew the labelled subjects of each cell: its ``subset_seed``, else its train seed."""
    return cells[_SUBSET].fillna(cells["seed"])


def label_subsets(cells: pd.DataFrame) -> list[str]:
    """Return how the subjects of label fractions were drawn, in words; nothing where all were used."""
    subset_seeds = _drawn(cells)[_SUBSET]
    own = ["each train seed's own draw"] if subset_seeds.isna().any() else []
    return [*own, *(f"subset seed {seed:g}" for seed in sorted(subset_seeds.dropna().unique()))]


def subsets_sentence(cells: pd.DataFrame, shown: pd.DataFrame) -> str:
    """Return what the draw of the labelled subjects means for a table; nothing where all were used.

    Args:
        cells: the planned cells.
        shown: those of the table, with ``task``, ``fraction`` and ``n_seeds``.
    """
    places = set(zip(shown["task"], shown["fraction"], strict=True))
    drawn = _drawn(cells)
    drawn = drawn[[place in places for place in zip(drawn["task"], drawn["fraction"], strict=True)]]
    if drawn.empty:
        return ""
    one_seed = int(shown["n_seeds"].max()) < 2
    by_profile = drawn.groupby("profile", sort=False)
    said = {str(name): _meaning(rows, one_seed=one_seed) for name, rows in by_profile}
    texts = list(dict.fromkeys(said.values()))
    if len(texts) > 1:
        texts = [f"{name}: {text}" for name, text in said.items()]
    return f"Label subsets: {'; '.join(texts)}."


def _meaning(drawn: pd.DataFrame, *, one_seed: bool) -> str:
    fixed = drawn[_SUBSET].dropna().nunique()
    if not fixed and not one_seed:
        return _OWN
    if fixed > 1:
        return f"averaged over {fixed} of them, whose spread is in no SE, interval or p"
    sizes = sorted({int(n) for n in drawn["n_train_subjects"].dropna()})
    return (
        f"one draw, so given these n subjects (n={', '.join(map(str, sizes))}); what another draw would "
        "change is in no SE, interval or p"
    )


def of_one_choice(cells: pd.DataFrame, written: Mapping[str, str]) -> tuple[pd.DataFrame, dict[str, int]]:
    """Keep the newest result's kind where some are of each seed's own draw and others of fixed draws.

    Args:
        cells: candidates for the cells of a report, in the order in which they were planned.
        written: when a done job was finished, by key.

    Returns:
        The rows that may be shown together; and one sentence for each family that lost results, with the
        number of those.
    """
    drop: list[Hashable] = []
    said: dict[str, int] = {}
    for _, family in _drawn(cells).groupby(_FAMILY, dropna=False, sort=False):
        own = family[_SUBSET].isna()
        if own.nunique() < 2:
            continue
        done = family["state"].eq("done")
        ages = [written[key] if there else "" for key, there in zip(family["key"], done, strict=True)]
        _, newest = max((age, place) for place, age in enumerate(ages))
        other = own.ne(own.iloc[newest])
        drop.extend(family.index[other])
        if lost := int((done & other).sum()):
            said[_left_out(family.iloc[0], own=bool(own.iloc[newest]))] = lost
    return cells.drop(index=drop), said


def _drawn(cells: pd.DataFrame) -> pd.DataFrame:
    """Return the cells for which some of the training subjects were drawn."""
    return cells[cells["seed"].notna() & cells["fraction"].lt(1)]


def _left_out(cell: pd.Series, *, own: bool) -> str:
    shown, other = ("each seed's own", "fixed") if own else ("fixed", "each seed's own")
    where = f"{cell['task']} trained on {cell['train_sequence']}, {100 * cell['fraction']:g} %"
    return f"{where}: results of {shown} label subsets are shown, those of {other} ones left out"
