"""Published results as tables: theirs, what each method gains, and what the text claims."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, get_args

import pandas as pd

from mribench.interfaces.document import Document, TableSpec, TidyColumns
from mribench.interfaces.table import Cell, Column, Row, Sentence, Table, said, text_cell
from mribench_paper.claims import Verdict, gains, place
from mribench_paper.published import Published, wrong_marks

SCHEMA = 1
"""Version of the JSON."""
GAINS, CLAIMS = "gains", "claims"
_TIDY = {"site": "test_site", "sequence": "test_sequence"}
_MEANS: TidyColumns = {
    "table": "string", "row": "string", "method": "string", "task": "string", "fraction": "float64",
    "train_sequence": "string", "test_sequence": "string", "test_site": "string", "metric": "string",
    "unit": "string", "higher_is_better": "boolean", "mean": "float64", "se": "float64", "mark": "string",
    "printed_mark": "string",
}  # fmt: skip
_GAINS: TidyColumns = {
    "against": "string", "wins": "Int64", "ties": "Int64", "losses": "Int64", "gain_largest": "float64",
    "largest_at": "string", "gain_in_domain": "float64", "gain_out_of_domain": "float64",
}  # fmt: skip
_CLAIMS: TidyColumns = dict.fromkeys(("section", "claim", "verdict", "numbers"), "string")


def published_document(published: Published) -> Document[Published]:
    """Return the tables of published results and their cells."""
    return Document(
        title=f"{published.name}: published results",
        source=published,
        specs=tuple(map(_spec, table_names(published))),
        columns=_MEANS,
        about={
            "schema": SCHEMA,
            "published": published.name,
            "source": published.about.source,
            "notes": list(published.about.notes),
        },
    )


def table_names(published: Published) -> list[str]:
    """Return the names of the tables that these results make: ``table-1`` …, ``gains``, ``claims``."""
    names = [f"table-{name}" for name in dict.fromkeys(published.cells["table"])]
    names += [GAINS] if published.about.baseline else []
    return [*names, *([CLAIMS] if published.about.claims else [])]


def _spec(name: str) -> TableSpec[Published]:
    columns: TidyColumns = {GAINS: _GAINS, CLAIMS: _CLAIMS}.get(name, {})
    return TableSpec(
        name, "results", lambda source: [_build(source, name)], lambda source: _tidy(source, name), columns
    )


def _tidy(published: Published, name: str) -> pd.DataFrame:
    """Return one row per value, gain or claim of a table."""
    if name == GAINS:
        return pd.DataFrame(gain_rows(published))
    if name == CLAIMS:
        return pd.DataFrame(claim_rows(published))
    cells = published.cells.rename(columns=_TIDY)
    cells = cells.assign(row=cells["method"], train_sequence=cells["test_sequence"])
    return cells[cells["table"] == name.removeprefix("table-")]


def gain_rows(published: Published) -> Iterator[dict[str, Any]]:
    """Yield, for each table, metric, method and fraction, what it gains over the baseline."""
    cells, baseline = published.cells, published.about.baseline
    kinds = cells[["table", "metric", "unit", "higher_is_better", "task"]].drop_duplicates()
    for kind in kinds.itertuples(index=False):
        mine = cells[(cells["table"] == kind.table) & (cells["metric"] == kind.metric)]
        for method in [name for name in dict.fromkeys(mine["method"]) if name != baseline]:
            for fraction, found in gains(mine, method, baseline).groupby("fraction"):
                gain = found["gain"]
                best = found[gain == gain.max()].iloc[0]
                yield {
                    "table": kind.table, "task": kind.task, "metric": kind.metric, "unit": kind.unit,
                    "higher_is_better": kind.higher_is_better, "row": method, "method": method,
                    "against": baseline, "fraction": fraction, "mean": gain.mean(),
                    "wins": int((gain > 0).sum()), "ties": int((gain == 0).sum()),
                    "losses": int((gain < 0).sum()), "gain_largest": best["gain"],
                    "largest_at": f"{best['site']} {best['sequence']}",
                    "gain_in_domain": gain[found["home"]].mean(),
                    "gain_out_of_domain": gain[~found["home"]].mean(),
                }  # fmt: skip


def claim_rows(published: Published) -> Iterator[dict[str, Any]]:
    """Yield each claim with its verdict and numbers."""
    for claim in published.about.claims:
        verdict, numbers = claim.check.check(published.cells)
        yield {
            "row": claim.name,
            "section": claim.section,
            "claim": claim.says,
            "verdict": verdict,
            "numbers": numbers,
        }


def _build(published: Published, name: str) -> Table:
    if name == GAINS:
        return _gains(published)
    if name == CLAIMS:
        return _claims(published)
    return _values(published, name.removeprefix("table-"))


def metric_title(cell: Any) -> str:
    """Return a published metric with its unit and direction, as headers have it: ``DSC % ↑``."""
    return " ".join(part for part in (cell.metric, cell.unit, "↑" if cell.higher_is_better else "↓") if part)


def _values(published: Published, number: str) -> Table:
    frame = published.cells[published.cells["table"] == number]
    at = {(_row(cell), _column(cell)): cell for cell in frame.itertuples(index=False)}
    ordered = frame.assign(metrics=pd.factorize(frame["metric"])[0]).sort_values(
        ["metrics", "fraction"], kind="stable"
    )
    rows = list(dict.fromkeys(row for row, _ in at))
    columns = list(dict.fromkeys(_column(cell) for cell in ordered.itertuples(index=False)))
    known = published.about.tables.get(number)
    return Table(
        name=f"table-{number}",
        title=f"{published.name}: table {number}" + (f", {known.title}" if known else ""),
        row_names=("site", "sequence"),
        rows=tuple(Row(row) for row in rows),
        columns=tuple(Column(column) for column in columns),
        cells=tuple(_cells(at, row, columns) for row in rows),
        sentences=_caption(published, number),
    )


def _row(cell: Any) -> tuple[str, ...]:
    return (cell.site, cell.sequence)


def _column(cell: Any) -> tuple[str, ...]:
    return (metric_title(cell), f"{100 * cell.fraction:g} %", cell.method)


def _cells(at: Mapping[Any, Any], row: Any, columns: Sequence[Any]) -> tuple[Cell | None, ...]:
    return tuple(_cell(at.get((row, column))) for column in columns)


def _cell(cell: Any) -> Cell | None:
    if cell is None:
        return None
    return Cell(cell.mean, cell.se, status="ok", mark=cell.mark, digits=cell.decimals)


def _caption(published: Published, number: str) -> tuple[Sentence, ...]:
    table = published.about.tables.get(number)
    wrong = wrong_marks(published)
    differing = [
        f"{cell['method']} on {place(cell)} is printed as {_named(cell['printed_mark'])} and is"
        f" {_named(cell['mark'])}"
        for _, cell in wrong[wrong["table"] == number].iterrows()
    ]
    return said(
        Sentence("Mean ± SE as published.", "what"),
        Sentence(
            "Bold: best; underlined: second; by the published means, which are rounded: equal ones share a"
            " mark.",
            "marks",
        ),
        f"Trained on: {table.home}." if table and table.home else "",
        f"Marks that were printed otherwise: {'; '.join(differing)}." if differing else "",
        *published.about.notes,
        f"Source: {published.about.source}" if published.about.source else "",
    )


def _named(mark: str) -> str:
    return {"bold": "best", "underline": "second", "none": "neither best nor second"}.get(mark, mark)


def _gains(published: Published) -> Table:
    rows = list(gain_rows(published))
    columns = ("wins / ties / losses", "largest gain", "mean in domain", "mean out of domain")
    return Table(
        name=GAINS,
        title=f"{published.name}: gains over {published.about.baseline}",
        row_names=("table", "metric", "method", "fraction"),
        rows=tuple(
            Row(
                (
                    row["table"],
                    f"{row['metric']} {row['unit']}".strip(),
                    row["method"],
                    _per_cent(row["fraction"]),
                )
            )
            for row in rows
        ),
        columns=tuple(Column((name,)) for name in columns),
        cells=tuple(
            (
                text_cell(f"{row['wins']} / {row['ties']} / {row['losses']}"),
                text_cell(f"{row['gain_largest']:+.1f} ({row['largest_at']})"),
                _signed(row["gain_in_domain"]),
                _signed(row["gain_out_of_domain"]),
            )
            for row in rows
        ),
        sentences=said(
            "Gain: difference of two published means, above 0 where the method is better.",
            "In domain: on the site trained on; wins, ties and losses over all sites and sequences.",
            "Differences of rounded numbers, not tested.",
            f"Source: {published.about.source}",
        ),
    )


def _claims(published: Published) -> Table:
    rows = list(claim_rows(published))
    counts: dict[Verdict, int] = dict.fromkeys(get_args(Verdict), 0)
    for row in rows:
        counts[row["verdict"]] += 1
    counted = "; ".join(f"{name}: {count}" for name, count in counts.items())
    return Table(
        name=CLAIMS,
        title=f"{published.name}: what the text says, against its own numbers",
        row_names=("claim", "section"),
        rows=tuple(Row((row["row"], row["section"])) for row in rows),
        columns=(Column(("verdict",)), Column(("numbers",))),
        cells=tuple((text_cell(row["verdict"]), text_cell(row["numbers"])) for row in rows),
        sentences=said(
            f"{counted}.",
            "A verdict is about the printed means only: none says whether a difference is more than chance.",
            *(["Understated: the printed means say more than the text."] if counts["understated"] else []),
            *(f"{row['row']}: {row['claim']}" for row in rows),
            f"Source: {published.about.source}",
        ),
    )


def _per_cent(fraction: float) -> str:
    return f"{100 * fraction:g} %"


def _signed(value: float) -> Cell:
    return Cell(value, status="ok", text="–" if math.isnan(value) else f"{value:+.2f}")
