"""The table ``power``: how small a difference each place of the leaderboard could have seen."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import pandas as pd

from mribench.interfaces.document import TidyColumns
from mribench.interfaces.table import Cell, Header, PlacedCell, Sentence, Table, said, table_of, text_cell
from mribench.interfaces.table_source import ShownMetric
from mribench.report.material import Material
from mribench.report.power import PlacePower
from mribench.report.sentences import percent
from mribench.statistics.difference import ENOUGH_SEEDS
from mribench.statistics.power import POWER, find_detectable_difference, find_detectable_lead

_MORE_SEEDS = (5, 10, 20)
_MOST_SAID = 6
_WHAT = (
    f"The smallest true difference of two rows that {100 * POWER:g} % of repetitions, with new seeds and "
    "subjects, would separate after Holm's correction over all pairs; and the lead over all others that "
    "would leave one row alone in bold. From variance components of the differences here, pooled over pairs."
)
_SPREADS = (
    "SD: of the difference of two rows, between seeds, between subjects, and what is left; drawn from normal "
    "distributions, which skewed scores are not: there it is a guess."
)


POWER_COLUMNS: TidyColumns = {
    "n_rows": "Int64", "sd_seed": "float64", "sd_subject": "float64", "sd_residual": "float64",
    "lead": "float64", **{f"at_{n}_seeds": "float64" for n in _MORE_SEEDS},
}  # fmt: skip
"""The columns that other tables do not have."""
_COLUMNS = ["task", "fraction", "metric", "unit", "n_seeds", "n_subjects", "mean", *POWER_COLUMNS]


def power_frame(material: Material) -> pd.DataFrame:
    """Return one row per place of the leaderboard.

    Columns: ``task``, ``fraction``, ``metric``, ``unit``, ``n_rows``, ``n_seeds``, ``n_subjects``,
    ``sd_seed``, ``sd_subject``, ``sd_residual``, ``mean`` (the detectable difference of two rows; null below
    five seeds), ``lead``, and ``at_5_seeds``, ``at_10_seeds``, ``at_20_seeds``.
    """
    return pd.DataFrame([_tidy(power, material) for power in material.powers], columns=_COLUMNS)


def _tidy(power: PlacePower, material: Material) -> dict[str, object]:
    return {
        "task": power.task,
        "fraction": power.fraction,
        "metric": power.metric,
        "unit": material.metric(power.task, power.metric).unit,
        "n_rows": power.design.n_methods,
        "n_seeds": power.design.n_seeds,
        "n_subjects": power.design.n_subjects,
        "sd_seed": math.sqrt(power.components.seed),
        "sd_subject": math.sqrt(power.components.subject),
        "sd_residual": math.sqrt(power.components.residual),
        "mean": power.difference,
        "lead": find_detectable_lead(power.components, power.design),
        **{f"at_{n}_seeds": _with_seeds(power, n) for n in _MORE_SEEDS},
    }


def _with_seeds(power: PlacePower, n_seeds: int) -> float:
    return find_detectable_difference(power.components, replace(power.design, n_seeds=n_seeds))


def power_table(material: Material) -> list[Table]:
    """Return what each place could have seen: places × numbers; none where no two rows have two seeds."""
    powers = material.powers
    if not powers:
        return []
    few = any(power.design.n_seeds < ENOUGH_SEEDS for power in powers)
    return [
        table_of(
            "power", "How small a difference could have been seen", ("task", "labels", "metric"),
            [cell for power in powers for cell in _place(power, material)],
            said(
                Sentence(_WHAT, "what"),
                _SPREADS,
                f"Below {ENOUGH_SEEDS} seeds no row is separated from another, whatever they differ by."
                if few
                else "",
            ),
        )
    ]  # fmt: skip


def _place(power: PlacePower, material: Material) -> Iterator[PlacedCell]:
    metric = material.metric(power.task, power.metric)
    head: Header = (power.task, percent([power.fraction]), metric.label)
    counts = power.design
    for name, count in (
        ("rows", counts.n_methods), ("seeds", counts.n_seeds), ("subjects", counts.n_subjects)
    ):  # fmt: skip
        yield head, ("compared", name), text_cell(count)
    spreads = power.components
    for name, variance in (
        ("seed", spreads.seed), ("subject", spreads.subject), ("rest", spreads.residual)
    ):  # fmt: skip
        yield head, ("SD", name), _number(math.sqrt(variance), metric)
    yield head, ("detectable", "two rows"), _number(power.difference, metric)
    yield (
        head,
        ("detectable", "alone in bold"),
        _number(find_detectable_lead(power.components, power.design), metric),
    )
    for n_seeds in _MORE_SEEDS:
        yield head, ("two rows, with", f"{n_seeds} seeds"), _number(_with_seeds(power, n_seeds), metric)


def _number(value: float, metric: ShownMetric) -> Cell:
    return (
        text_cell("–")
        if math.isnan(value)
        else Cell(value, status="ok", scale=metric.scale, digits=metric.digits)
    )


def power_sentence(material: Material) -> Sentence:
    """Return what the leaderboard could have seen; empty where it tests nothing."""
    tested = [power for power in material.powers if power.design.is_tested]
    if not tested:
        return Sentence("")
    texts = [_say(power, material) for power in tested[:_MOST_SAID]]
    more = f"; {len(tested) - _MOST_SAID} more in the table power" if len(tested) > _MOST_SAID else ""
    return Sentence(
        f"Smallest difference of two rows that {100 * POWER:g} % of repetitions would separate: "
        f"{'; '.join(texts)}{more}.",
        "limit",
    )


def _say(power: PlacePower, material: Material) -> str:
    metric = material.metric(power.task, power.metric)
    value = say_difference(power.difference, metric)
    return f"{power.task} {percent([power.fraction])} {power.metric} {value}"


def say_difference(value: float, metric: ShownMetric) -> str:
    """Return a difference with its unit, a share's in points."""
    unit = "points" if metric.unit == "%" else metric.unit
    return f"{value * metric.scale:.{metric.digits}f} {unit}".strip()
