"""The table ``settings``: what else differs between the two sides."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, astuple, dataclass, replace
from typing import Any

import pandas as pd

from mribench.compare.sides import Pair, Side
from mribench.interfaces.document import TidyColumns
from mribench.interfaces.input_file import by_content
from mribench.interfaces.table import Column, Row, Table, said, text_cell
from mribench.results.content import Content
from mribench.results.flags import flags
from mribench.results.specification import Specification, find_specification

NAME = "settings"
COLUMNS: TidyColumns = dict.fromkeys(("stage", "setting", "setting_first", "setting_second"), "string")
_NOT_SETTINGS = frozenset(
    {
        "adapt_key", "cell", "channels", "held_out", "is_trial", "pretrain_key", "seed", "sources",
        "split_digest", "subjects", "train", "trial_keys", "validation",
    }
)  # fmt: skip
"""What of a job says which one it is, or lists people; their digests are compared apart."""
_COSTS = {
    name: name.replace("_", " ")
    for name in ("steps", "views_seen", "voxels_seen", "parameters", "parameters_trained")
}
_LONGEST = 20
"""Characters of a value that a table shows."""
_MANY = 40
"""Rows that a table shows; all are in the other formats."""


@dataclass(frozen=True)
class DifferingSetting:
    """Something that differs: where, what, and its value on both sides as text."""

    stage: str
    key: str
    first: str
    second: str


def settings(pair: Pair) -> list[DifferingSetting]:
    """Return everything recorded that differs: settings, budgets, subjects, code, versions."""
    differing = [
        DifferingSetting("method", *values) for values in _differ(_method(pair.first), _method(pair.second))
    ]
    ways = [_stages(side) for side in (pair.first, pair.second)]
    for stage in dict.fromkeys([*ways[0], *ways[1]]):
        jobs = [way.get(stage) for way in ways]
        if jobs[0] is None or jobs[1] is None:
            texts = ["none" if job is None else "done" for job in jobs]
            differing.append(DifferingSetting(stage, "jobs", texts[0], texts[1]))
        else:
            both = _recorded(pair.first, jobs[0]), _recorded(pair.second, jobs[1])
            differing += [DifferingSetting(stage, *values) for values in _differ(*both)]
    return differing


def frame(rows: Sequence[DifferingSetting]) -> pd.DataFrame:
    """Return the tidy rows; ``first`` and ``second`` are scores in those of ``subjects``."""
    return pd.DataFrame([astuple(row) for row in rows], columns=list(COLUMNS))


def table(pair: Pair, rows: Sequence[DifferingSetting]) -> Table:
    """Return a row for everything that differs."""
    shown = rows[:_MANY]
    more = [f"And {len(rows) - _MANY} more: --format csv has all."] if len(rows) > _MANY else []
    return Table(
        name=NAME,
        title=f"{pair.first.name} and {pair.second.name}: what else differs",
        row_names=("stage", "setting"),
        rows=tuple(Row((row.stage, row.key)) for row in shown),
        columns=tuple(Column((name,)) for name in pair.names),
        cells=tuple((text_cell(_short(row.first)), text_cell(_short(row.second))) for row in shown),
        sentences=said(
            *more,
            *([] if rows else ["Nothing that is recorded differs but the results."]),
            (
                "Settings of each stage's first job; budgets are medians over its jobs. What is equal is"
                " not shown. A difference of scores is one of everything in this table together."
            ),
            *_notes(pair),
        ),
    )


def _method(side: Side) -> dict[str, str]:
    cells = side.cells
    about = {"arm": str(cells["arm"].iloc[0])}
    for method in side.run.manifest.methods:
        if method.name == str(cells["method"].iloc[0]):
            about |= {"views": method.views or "", "objective": method.objective or ""}
            about |= {"encoder": method.encoder}
            about |= {"weights": method.weights.sha256} if method.weights else {}
            about |= {"input": method.input.sentence()} if method.input else {}
            about |= {"own settings": ", ".join(method.overrides)} if method.overrides else {}
    return about


def _stages(side: Side) -> dict[str, list[str]]:
    """Return the keys of the done jobs of each stage: ``pretrain``, then ``adapt`` and ``test`` by task."""
    cells = side.cells
    cells = cells[cells["state"].eq("done")].sort_values(
        ["fraction", "seed"], ascending=[False, True], kind="stable"
    )
    by_stage: dict[str, dict[str, None]] = {}
    for cell in cells.itertuples(index=False):
        for stage, key in (
            ("pretrain", cell.pretrain),
            (f"adapt {cell.task}", cell.adapt),
            (f"test {cell.task}", cell.key),
        ):
            if isinstance(key, str):
                by_stage.setdefault(stage, {})[key] = None
    order = sorted(by_stage, key=lambda stage: ("pretrain", "adapt", "test").index(stage.split()[0]))
    return {stage: list(by_stage[stage]) for stage in order}


def _recorded(side: Side, keys: Sequence[str]) -> dict[str, str]:
    """Return what is recorded of the jobs of one stage, as texts by dotted key."""
    said = find_specification(side.directory / "jobs" / keys[0])
    test = said is not None and said.kind == "evaluate"
    texts = {**_asked(said), **_content(said.content)} if said else {}
    jobs = side.run.jobs[side.run.jobs["job_key"].isin(keys)].drop_duplicates("job_key")
    for column, name in _COSTS.items():
        median = jobs[column].median() if len(jobs) else float("nan")
        if not pd.isna(median):
            texts[f"budget: {name}"] = f"{median:,.0f}"
    for column in ("split_digest", "device", "versions"):
        values = sorted(set(jobs[column].dropna().astype(str)) - {""})
        if values and not test:
            texts[column.replace("_", " ")] = ", ".join(values)
    return texts


def _asked(said: Specification) -> dict[str, str]:
    """Return the settings of a job; of a test those that are not of the training behind it."""
    asked = said.spec.to_json()
    if said.kind == "evaluate":
        return dict(_flat({name: asked[name] for name in ("data", "task")}))
    told = {name: value for name, value in asked.items() if name not in _NOT_SETTINGS}
    told |= _numbered("source", [_without_people(source) for source in asked.get("sources", ())])
    return dict(_flat(by_content(told)))


def _without_people(source: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in source.items() if name not in _NOT_SETTINGS}


def _numbered(name: str, values: Sequence[Any]) -> dict[str, Any]:
    """Return one value under its name, several under numbered ones."""
    return {name if len(values) == 1 else f"{name} {place}": value for place, value in enumerate(values, 1)}


def _content(content: Content) -> dict[str, str]:
    codes = {
        f"code of {entry.kind} {entry.name}": json.dumps(asdict(entry), sort_keys=True)
        for entry in content.entries
    }
    reader = dict(_flat(_numbered("reader", [asdict(cohort.data) for cohort in content.cohorts])))
    return {**codes, **reader, "version of results": str(content.results)}


def _flat(value: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from _flat(inner, f"{prefix}.{key}" if prefix else str(key))
    elif prefix:
        yield prefix, value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def _differ(first: Mapping[str, str], second: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    for key in dict.fromkeys([*first, *second]):
        values = first.get(key, "–"), second.get(key, "–")
        if values[0] != values[1]:
            yield key, *values


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _notes(pair: Pair) -> list[str]:
    """Return the footnotes of a report that has nothing but these rows."""
    if pair.separate:
        return [
            f"{side.name}: {note}" for side in (pair.first, pair.second) for note in _flags(side.run, [side])
        ]
    return _flags(pair.first.run, [pair.first, pair.second])


def _flags(run: Any, sides: Sequence[Side]) -> list[str]:
    cells = pd.concat([side.cells for side in sides], ignore_index=True)
    return [sentence.text for sentence in flags(replace(run, cells=cells)).footnotes]
