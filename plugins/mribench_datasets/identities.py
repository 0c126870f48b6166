"""Other names of the same people: an archive's own spellings of an id, and what users declare."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from mribench.errors import DataError
from mribench.interfaces import Exclusion
from mribench_datasets.files import Found, one_line
from mribench_datasets.tables import read_text_table

_IXI = re.compile(r"(?<![A-Za-z0-9])IXI[-_ ]?0*(\d{1,3})(?!\d)", re.IGNORECASE)
_ARC = re.compile(r"(?<![A-Za-z0-9])M0*(\d{4})(?!\d)", re.IGNORECASE)

Aliases = Mapping[str, str | Sequence[str]]


def archive_ids(namespace: str, name: str) -> tuple[str, ...]:
    """Return the id that an archive would write for a name: ``ixi14``, ``sub-IXI014-Guys`` are IXI014.

    IXI's names are found in any namespace: nobody else has such names, and maps made of IXI's scans keep
    them. ARC's (``M2001``) are plain enough to be somebody else's, and count in ARC's namespace only.
    """
    found = []
    if match := _IXI.search(name):
        found.append(f"ixi:IXI{int(match[1]):03d}")
    if namespace.casefold() == "arc" and (match := _ARC.search(name)):
        found.append(f"arc:M{match[1]}")
    return tuple(found)


def add_archive_ids(found: Found) -> None:
    """Give each subject whose name is another spelling of an archive's id that id as an alias."""
    for place, subject in enumerate(found.subjects):
        ids = [alias for alias in archive_ids(subject.namespace, subject.name) if alias != subject.id]
        if ids:
            found.subjects[place] = replace(subject, aliases=(*subject.aliases, *ids))


def add_aliases(found: Found, namespace: str, given: Aliases | Path | None) -> None:
    """Give the subjects the aliases that the user declares; remark those of nobody.

    Args:
        found: whose subjects they are.
        namespace: of aliases that name none.
        given: by name, with or without ``sub-``, or a table of them.

    Raises:
        DataError: when the table cannot be read: the leakage gate would not know what it says.
    """
    declared = _from_table(given) if isinstance(given, Path) else given or {}
    named = {name.removeprefix("sub-"): value for name, value in declared.items()}
    for place, subject in enumerate(found.subjects):
        value = named.pop(subject.name.removeprefix("sub-"), ())
        aliases = [_full(alias, namespace) for alias in ([value] if isinstance(value, str) else value)]
        if aliases:
            found.subjects[place] = replace(subject, aliases=(*subject.aliases, *aliases))
    for name in named:
        reason = f"aliases: '{name}' is no subject of the cohort"
        found.remarks.append(Exclusion("", reason, "alias of nobody"))


def _full(alias: str, namespace: str) -> str:
    """Return an alias with its namespace, spelt as its archive does."""
    owner, _, name = alias.rpartition(":")
    owner = owner.strip() or namespace
    return next(iter(archive_ids(owner, name)), f"{owner}:{name.strip()}")


def _from_table(path: Path) -> dict[str, list[str]]:
    table = read_text_table(path)
    if not {"name", "alias"} <= set(table):
        raise DataError(
            f"{one_line(path)} has no columns name and alias", "write one row for each alias of a subject"
        )
    found: dict[str, list[str]] = {}
    for name, alias in zip(table["name"], table["alias"], strict=True):
        if name and alias:
            found.setdefault(name, []).append(alias)
    return found
