"""What the page of a run shows: its sections, each with figures and tables, and where they come from."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from mribench.interfaces.document import TableSpec
from mribench.interfaces.table import Table
from mribench.report.catalogue import specs_of
from mribench.report.figures import GROUPS, SHOW_SCANS, drawings, shows_scans
from mribench.report.figures.drawing import inline_svg
from mribench.report.figures.ranks import critical_differences, why_no_diagram
from mribench.report.looks import COLOURS, GREYS
from mribench.report.material import Material
from mribench.report.people import data_sentence, without_names
from mribench.report.provenance import provenance
from mribench.report.render.html import PageContent, PageSection, Picture, render_page
from mribench.report.tables.failures import counts
from mribench.report.tables.gaps import why_no_gap
from mribench.report.tables.invariance_ratio import why_no_ratio
from mribench.report.tables.label_efficiency import why_no_area
from mribench.results.load import RunData

VIEWS = "views.png"
_MOST_BYTES = 1_500_000
_PNG = b"\x89PNG\r\n"
_PARTS = {
    "results": ("Results", "The tables of the benchmark file. Sort by a header, filter rows, hide tasks."),
    "differences": ("Differences", "Which differences between methods are more than chance?"),
    "efficiency": ("Label efficiency", "How much does a method get out of few labelled subjects?"),
    "domains": ("Other sites", "What is left on sites that a model was not trained on?"),
    "transfer": ("Other sequences", "What is left on sequences that a model was not trained on?"),
    "subjects": ("Subjects", "Is a mean made by all test subjects, or by few?"),
    "labels": ("Label by label", "Which tissue makes the difference?"),
    "embeddings": ("Embeddings", "Do encoders tell subjects apart, or scanners and sequences?"),
    "examples": ("Examples", "What do predictions look like?"),
    "views": ("Views", "What did pretraining see?"),
    "training": ("Training", "Did the losses fall, and what did it cost?"),
    "defects": ("Known defects", "What is each known defect worth on this benchmark?"),
    "failures": ("Failures", "What is missing, and why?"),
}
TITLES = {section: title for section, (title, _) in _PARTS.items()}
"""The heading of each section."""


def _no_diagram(material: Material) -> str:
    return "" if critical_differences(material) else why_no_diagram(material)  # else its caption says it


_WHY: dict[str, Callable[[Material], str]] = {
    "differences": _no_diagram, "efficiency": why_no_area, "domains": why_no_gap, "transfer": why_no_ratio,
}  # fmt: skip
"""What a part says of that which it does not show."""
_MISSING = {
    "differences": "no two methods have results of the same subjects",
    "efficiency": "no task was run at several fractions of labels",
    "domains": "no task was tested on several sites",
    "transfer": "no task was tested on several sequences",
    "embeddings": "the benchmark measures no invariance, or it is not done",
    "examples": "no job kept an example slice (results of an older mribench have none)",
    "views": "no pretrain job kept its first views (results of an older mribench have none)",
    "training": "there are no histories of trainings beside the results",
}

_LEFT_OUT = "the benchmark file leaves them out (report: examples: false)"


def page(material: Material, tables: Sequence[TableSpec[Material]] = ()) -> str:
    """Return the report of a run as one HTML file.

    Args:
        material: the results. Embeddings, example slices, training curves, versions and a contact sheet of
            ``mribench views`` (``report/views.png``) are in its directory; without one they are left out.
        tables: those of the benchmark's own; all that the results can make when empty.
    """
    shows_people = shows_scans(material.run)
    if not shows_people:
        material = replace(material, run=without_names(material.run))
    sections = tuple(_sections(material, _tables(material, tables)))
    there = {section.id for section in sections}
    reasons = _MISSING if shows_people else {**_MISSING, **dict.fromkeys(SHOW_SCANS, _LEFT_OUT)}
    return render_page(
        PageContent(
            title=material.benchmark,
            facts=tuple(_facts(material.run)),
            claim=material.claim.text,
            sections=sections,
            missing=tuple((TITLES[name], why) for name, why in reasons.items() if name not in there),
            methods=_methods(material),
            provenance=provenance(material.run, material.directory),
        )
    )


def _tables(material: Material, asked: Sequence[TableSpec[Material]]) -> dict[str, list[Table]]:
    """Return the tables of each part of the page: those that every page has, then those asked for."""
    known = list(specs_of(material).values())
    names = {spec.name for spec in asked}
    always = [spec for spec in known if spec.on_page and spec.name not in names]
    others = asked or [spec for spec in known if not spec.on_page]
    by_section: dict[str, list[Table]] = {}
    for spec in (*always, *others):
        made = spec.build(material)
        by_section.setdefault(spec.section, []).extend(table for table in made if table.planned or asked)
    return by_section


def _sections(material: Material, tables: dict[str, list[Table]]) -> Iterator[PageSection]:
    for name, (title, intro) in _PARTS.items():
        pictures = []
        for drawing in drawings(material, name) if name in GROUPS else ():
            svg = inline_svg(drawing.bytes("svg"), drawing.name, drawing.alt)
            caption = tuple(filter(None, drawing.caption))
            pictures.append(Picture(drawing.name, drawing.title, caption, svg=svg))
        if name == "views" and shows_scans(material.run):
            pictures += _read_sheet(material.directory)
        shown = tuple(tables.get(name, ()))
        if pictures or shown:
            note = _WHY[name](material) if name in _WHY else ""
            yield PageSection(name, title, intro, tuple(pictures), shown, (note,) if note else ())


def _methods(material: Material) -> dict[str, str]:
    """Return the rows that a reader may hide, each with its colour as a class of the style sheet."""
    classes = {colour: f"c{n}" for n, colour in enumerate(COLOURS)}
    classes |= {grey: f"g{n}" for n, grey in enumerate(GREYS)}
    return {row: classes[material.looks[row].colour] for row in material.rows}


def _read_sheet(directory: Path | None) -> list[Picture]:
    """Return the contact sheet of ``mribench views``, where there is one of a size that a page can carry."""
    path = directory / "report" / VIEWS if directory else None
    if path is None or not path.is_file() or path.stat().st_size > _MOST_BYTES:
        return []
    content = path.read_bytes()
    if not content.startswith(_PNG):
        return []
    return [
        Picture(
            "contact-sheet", "Contact sheet",
            (f"report/{VIEWS} in the results, made by mribench views: views and their parameters.",),
            png=f"data:image/png;base64,{base64.b64encode(content).decode()}",
            alt="Contact sheet: slices of the first views of every method, with their parameters as text.",
        )
    ]  # fmt: skip


def _facts(run: RunData) -> list[tuple[str, str]]:
    """Return the numbers at the top: what was compared, on what, and how much of it is done."""
    states = counts(run)
    done, planned = states.get("done", 0), sum(states.values())
    seeds = len(run.manifest.seeds)
    return [
        ("methods", str(len(run.manifest.methods))),
        ("references", str(len(run.manifest.reference_arms))),
        ("tasks", str(len(run.manifest.tasks))),
        ("seed" if seeds == 1 else "seeds", str(seeds)),
        ("test subjects", str(len(run.scores[["dataset", "subject"]].drop_duplicates()))),
        ("evaluations done", f"{done} / {planned}"),
        ("failed", str(states.get("failed", 0))),
        ("profile", ", ".join(run.manifest.profiles)),
        *([("data", data)] if (data := data_sentence(run.manifest.cohorts)) else []),
    ]
