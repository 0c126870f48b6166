"""What pretraining saw: the first views of each method."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mribench.report.figures.drawing import Drawing
from mribench.report.figures.files import Views, read_views
from mribench.report.figures.style import INK, MUTED, panels, short, tag
from mribench.report.material import Material

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MOST_COLUMNS = 8
_MOST_METHODS = 12


def views_seen(material: Material) -> list[Drawing]:
    """Return one figure: a line per method, the views of the first samples of its first step side by side."""
    by_method = _by_method(material)
    if not by_method:
        return []
    texts = []
    for name, views in by_method.items():
        samples = [" | ".join(sequences) for sequences in views.sequences if any(sequences)]
        texts.append(f"{name}: {'; '.join(samples)}")
    drawing = Drawing(
        "views",
        "Views of pretraining",
        "Middle axial slices, a line per method, the views of one subject side by side, below each its "
        f"sequence. {'; '.join(texts)}.",
        (
            "First step of the first seed: what the networks were given, with augmentation.",
            "Columns are the same subjects and crops for every method. Each slice is on its own grey scale.",
        ),
        lambda: _draw(by_method),
    )
    return [drawing]


def _by_method(material: Material) -> dict[str, Views]:
    run = material.run
    if material.directory is None or run.cells.empty:
        return {}
    trained = run.cells.dropna(subset=["pretrain", "seed"]).sort_values("seed", kind="stable")
    first = trained.drop_duplicates("method").set_index("method")["pretrain"]
    known = (
        (method.name, read_views(material.directory, str(first[method.name])))
        for method in run.manifest.methods
        if method.name in first.index
    )
    by_method = {name: views for name, views in known if views is not None}
    return dict(list(by_method.items())[:_MOST_METHODS])


def _draw(by_method: dict[str, Views]) -> Figure:
    most = max(len(views.planes) for views in by_method.values())
    samples = max(1, min(min(len(views.subjects) for views in by_method.values()), _MOST_COLUMNS // most))
    across = samples * most
    figure, axes = panels(across * len(by_method), across, 1.25, 1.42)
    for line, (name, views) in enumerate(by_method.items()):
        for place in range(across):
            ax = axes[line * across + place]
            sample, number = divmod(place, most)
            if number >= len(views.planes):
                ax.set_visible(False)
                continue
            tag(name, ax)
            ax.imshow(views.planes[number][sample], cmap="gray", vmin=0, vmax=255, interpolation="nearest")
            ax.set_xticks([])
            ax.set_yticks([])
            ax.grid(visible=False)
            for spine in ax.spines.values():
                spine.set_visible(False)
            if place == 0:
                ax.set_ylabel(short(name, 12), color=INK, fontweight="bold")
            if line == 0 and number == 0:
                ax.set_title(short(views.subjects[sample], 16), fontsize=8, loc="left")
            ax.set_xlabel(short(views.sequences[sample][number], 14), fontsize=8, color=MUTED, labelpad=2)
    return figure
