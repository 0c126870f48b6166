"""Figures of a report, for a page and for papers.

Figures of views lie in ``views``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from mribench.report.figures.drawing import Drawing
from mribench.report.figures.efficiency import label_efficiency
from mribench.report.figures.elsewhere import domain_gap, transfer_matrices
from mribench.report.figures.embeddings import embedding_maps
from mribench.report.figures.ranks import critical_differences, rank_stability
from mribench.report.figures.rows import forest, subject_dots
from mribench.report.figures.scans import example_slices, views_seen
from mribench.report.figures.training import training_curves
from mribench.report.material import Material
from mribench.results.load import RunData
from mribench.results.places import writing

__all__ = ["FILE_FORMATS", "GROUPS", "Drawing", "Material", "drawings", "save_figures"]

FILE_FORMATS = ("svg", "pdf")
Maker = Callable[[Material], Sequence[Drawing]]
GROUPS: dict[str, tuple[Maker, ...]] = {
    "differences": (forest, rank_stability, critical_differences),
    "efficiency": (label_efficiency,),
    "domains": (domain_gap,),
    "transfer": (transfer_matrices,),
    "subjects": (subject_dots,),
    "embeddings": (embedding_maps,),
    "examples": (example_slices,),
    "views": (views_seen,),
    "training": (training_curves,),
}
"""The figures by part of the report; each maker returns those that the results allow."""
SHOW_SCANS = ("examples", "views")
"""Groups of slices of scans, which a benchmark file may leave out."""


def drawings(material: Material, group: str) -> list[Drawing]:
    """Return the figures of one of ``GROUPS``; none of scans where the benchmark file leaves those out."""
    if group in SHOW_SCANS and not shows_scans(material.run):
        return []
    return [drawing for make in GROUPS[group] for drawing in make(material)]


def shows_scans(run: RunData) -> bool:
    """Whether the benchmark file lets a report show slices of scans and ids of subjects."""
    return run.manifest.report.examples


def save_figures(material: Material, target: Path, formats: Sequence[str] = FILE_FORMATS) -> list[Path]:
    """Write every figure as ``<name>.svg`` and ``<name>.pdf``, for papers and talks; return their paths.

    What the seeds forbid to claim stands in the figure itself, the whole captions in ``captions.md``.

    Args:
        material: the results; without their directory embeddings, slices and curves are left out.
        target: the folder, made where it is not there.
        formats: file formats of matplotlib.

    Raises:
        StoreError: when they cannot be written.
    """
    claim = material.claim.text
    written, captions = [], []
    with writing(f"the figures to {target}", "give another --figures"):
        target.mkdir(parents=True, exist_ok=True)
        for drawing in (drawing for group in GROUPS for drawing in drawings(material, group)):
            said = [sentence for sentence in drawing.caption if sentence]
            captions.append(f"## {drawing.name}: {drawing.title}\n\n{' '.join(said)}\n")
            note = claim if claim in said else ""
            for file_format in formats:
                path = target / f"{drawing.name}.{file_format}"
                path.write_bytes(drawing.bytes(file_format, text_as_paths=True, note=note))
                written.append(path)
        if captions:
            (target / "captions.md").write_text("\n".join(captions), encoding="utf-8")
            written.append(target / "captions.md")
    return written
