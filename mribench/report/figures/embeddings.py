"""Embeddings in two dimensions, by site and by sequence, each with a number beside it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from mribench.report.figures.drawing import Drawing
from mribench.report.figures.style import panels, short, tag
from mribench.report.looks import COLOURS, MARKERS
from mribench.report.material import Material, read_parquet
from mribench.results.cells import row_labels
from mribench.results.measures import DECODE_SEQUENCE, DECODE_SITE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_SCANS = 300
"""A projection of more takes long, and shows no more."""
PERPLEXITY = 30.0
_FEWEST = 5
_NUMBERS = {"site": DECODE_SITE, "sequence": DECODE_SEQUENCE}


@dataclass(frozen=True)
class Cloud:
    """The projected scans of one encoder.

    Attributes:
        row: label of its row.
        seed: of its training.
        scans: with the columns ``site``, ``sequence``, ``x`` and ``y``.
        said: by column, how well it can be decoded, as text.
    """

    row: str
    seed: int
    scans: pd.DataFrame
    said: dict[str, str]


def embedding_maps(material: Material) -> list[Drawing]:
    """Return, per cohort, a t-SNE of each encoder's embeddings (first seed), by site and by sequence."""
    run = material.run
    if run.embeds.empty:
        return []
    done = run.embeds[run.embeds["state"].eq("done") & ~run.embeds["superseded"].astype(bool)]
    done = done.assign(row=row_labels(done, run.manifest)).sort_values("seed", kind="stable")
    drawings = []
    for number, (dataset, jobs) in enumerate(done.groupby("dataset", sort=False)):
        first = jobs.drop_duplicates("row").set_index("row")
        seeds, keys = first["seed"].to_dict(), first["key"].to_dict()
        made = [
            _project_scans(material, row, int(seeds[row]), keys[row])
            for row in material.in_order(map(str, keys))
        ]
        clouds = [cloud for cloud in made if cloud is not None]
        sites = {site for cloud in clouds for site in cloud.scans["site"]}
        for by in ("site", "sequence") if len(sites) > 1 else ("sequence",):
            drawings += [_present(str(dataset), clouds, number, by)] if clouds else []
    return drawings


def _project_scans(material: Material, row: str, seed: int, key: str) -> Cloud | None:
    scans = read_parquet(material.directory, key, "embeddings.parquet")
    if scans.empty:
        return None
    scans = scans[scans["status"].eq("ok")].sort_values(["subject", "session", "sequence"], kind="stable")
    every = max(1, math.ceil(len(scans) / MOST_SCANS))
    # whole subjects, so that their sequences stay together
    kept = list(dict.fromkeys(scans["subject"]))[::every]
    scans = scans[scans["subject"].isin(kept)]
    placed = project(np.array(scans["embedding"].tolist(), dtype=np.float64)) if len(scans) else None
    if placed is None:
        return None
    sets = material.run.invariance
    mine = sets[sets["job_key"].eq(key) & sets["subject"].eq("")].set_index("measure")
    said = {name: _decodable(mine, measure) for name, measure in _NUMBERS.items()}
    return Cloud(row, seed, scans.assign(x=placed[:, 0], y=placed[:, 1]), said)


def _decodable(measures: pd.DataFrame, name: str) -> str:
    if name not in measures.index or measures.loc[name, "status"] != "ok":
        return "decodability not measurable"
    measure: Any = measures.loc[name]
    return f"decodable {100 * measure['value']:.0f} %, chance {100 * measure['chance']:.0f} %"


def project(embeddings: np.ndarray) -> np.ndarray | None:
    """Return t-SNE (van der Maaten and Hinton 2008) of embeddings ``(n, D)``: ``(n, 2)``, always the same.

    Perplexity 30, or a third of the points where there are fewer than 91; started from the first two
    principal components. None for fewer than five points, or where all coincide.
    """
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    if len(embeddings) < _FEWEST or np.ptp(embeddings, axis=0).max() < 1e-9:
        return None
    perplexity = min(PERPLEXITY, (len(embeddings) - 1) / 3)
    with threadpool_limits(limits=1):
        tsne = TSNE(perplexity=perplexity, init="pca", random_state=0)
        placed: np.ndarray = tsne.fit_transform(embeddings.astype(np.float32))
    return placed


def _present(dataset: str, clouds: list[Cloud], number: int, by: str) -> Drawing:
    texts = [f"{cloud.row}: {cloud.said[by]}" for cloud in clouds]
    counts = sorted({len(cloud.scans) for cloud in clouds})
    seeds = ", ".join(map(str, sorted({cloud.seed for cloud in clouds})))
    return Drawing(
        f"embeddings-{number + 1}-{by}",
        f"Embeddings of {short(dataset)} by {by}",
        f"Scatter plots of projected embeddings of test scans, one per method, coloured by {by}. "
        f"How well a linear classifier reads the {by} off them: {'; '.join(texts)}.",
        (
            (
                f"t-SNE of the embeddings of {'–'.join(map(str, counts))} test scans, train seed {seeds}; "
                "axes have no unit, and distances between groups mean little."
            ),
            (
                f"The number: how well a linear classifier reads the {by} off embeddings of subjects that it "
                "has not seen. An invariant encoder leaves it at chance; one that collapsed does too: see "
                "the table."
            ),
        ),
        lambda: _draw(clouds, by),
    )


def _draw(clouds: list[Cloud], by: str) -> Figure:
    figure, axes = panels(len(clouds), 5, 2.3, 2.45)
    groups = sorted({str(value) for cloud in clouds for value in cloud.scans[by]})
    for ax, cloud in zip(axes, clouds, strict=True):
        tag(cloud.row, ax)
        for place, group in enumerate(groups):
            mine = cloud.scans[cloud.scans[by].eq(group)]
            ax.scatter(
                mine["x"], mine["y"], s=18, marker=MARKERS[place % len(MARKERS)], linewidths=0, alpha=0.8,
                color=COLOURS[place % len(COLOURS)], label=short(group, 16),
            )  # fmt: skip
        ax.set_title(short(cloud.row, 22))
        ax.set_xlabel(cloud.said[by], fontsize=8)
        ax.set_xticks([])
        ax.set_yticks([])
        ax.spines[["top", "right"]].set_visible(True)
        ax.margins(0.1)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(8, len(labels)), handletextpad=0.1)
    return figure
