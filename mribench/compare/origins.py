"""Whether the results of two folders are of the same subjects and files, cell by cell and seed by seed."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Sequence
from typing import Any

from mribench.compare.rows import CELL, Key, Rows
from mribench.compare.sides import Pair, Side
from mribench.results.digests import Recorded, recorded
from mribench.statistics.scores import list_keys

_STAGES = {"test": "key", "training": "adapt"}
"""What must be of the same subjects, and the column of the cells with the job that says so."""
_OF = [*CELL, "seed"]
_TESTED = ("task", "dataset", "test_site", "test_sequence")


def keep_comparable(pair: Pair, sides: Sequence[Rows]) -> tuple[list[Rows], list[str]]:
    """Keep the cells and seeds of two results folders that were computed from the same subjects and files.

    Returns:
        The rows of each side, and one sentence for each place that was left out, and why.
    """
    bad = _contradictions(_jobs(pair.first), _jobs(pair.second))
    kept = [rows.kept([key not in bad for key in list_keys(rows.heads, _OF)]) for rows in sides]
    places: Counter[str] = Counter()
    for key, why in bad.items():
        where = dict(zip(_OF, key, strict=True))
        places[f"{where['task']}, {where['test_site']}, {where['test_sequence']}: {why}"] += 1
    return kept, [f"Left out: {text}; {count} results." for text, count in places.items()]


def _contradictions(
    first: dict[Key, dict[str, Recorded]], second: dict[Key, dict[str, Recorded]]
) -> dict[Key, str]:
    contradictions = {}
    for key in first.keys() | second.keys():
        jobs = [made.get(key, made.get(_untrained(key))) for made in (first, second)]
        if jobs[0] is None or jobs[1] is None:
            continue
        for stage in _STAGES:
            what = jobs[0][stage].contradicts(jobs[1][stage])
            if what:
                contradictions[key] = f"the {stage} {what}"
                break
    return dict(sorted(contradictions.items(), key=lambda item: str(item)))


def _untrained(key: Key) -> Key:
    """Return the cell on the same test subjects of a row that nothing was trained for."""
    return tuple(value if name in _TESTED else None for name, value in zip(_OF, key, strict=True))


def _jobs(side: Side) -> dict[Key, dict[str, Recorded]]:
    """Return what the jobs behind each done cell were computed from."""
    splits = side.run.jobs.drop_duplicates("job_key").set_index("job_key")["split_digest"].to_dict()
    made = functools.cache(lambda key: recorded(side.directory / "jobs" / key, splits.get(key)))

    def record_of(job: Any) -> Recorded:
        return made(job) if isinstance(job, str) else Recorded()

    done = side.cells[side.cells["state"].eq("done")]
    columns = [done[column].map(record_of) for column in _STAGES.values()]
    return {
        key: dict(zip(_STAGES, records, strict=True))
        for key, *records in zip(list_keys(done, _OF), *columns, strict=True)
    }
