"""Figures: the right numbers, the same bytes, safe in a page, and none where nothing is to be seen."""

from __future__ import annotations

import math
import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from html_results import HOSTILE, SUBJECTS, TASKS, example, score, views
from report_tables import saved_figures
from scipy import stats
from support_html import Page
from synthetic_results import Benchmark, task

from mribench.errors import StoreError
from mribench.report import Material, load_run
from mribench.report.figures import GROUPS, Drawing, drawings
from mribench.report.figures.drawing import inline_svg
from mribench.report.figures.embeddings import project
from mribench.report.figures.ranks import critical_differences, why_no_diagram
from mribench.report.figures.scans import read_example, read_views
from mribench.report.figures.style import INK, focus, panels, plain_style, short, tag
from mribench.report.looks import COLOURS, looks, row_id
from mribench.report.material import read_parquet
from mribench.results.cells import LEADERBOARD, cell_frame
from mribench.statistics.difference import estimate_difference

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def material(results: Path) -> Material:
    return Material(load_run(results), results)


@pytest.fixture(scope="module")
def made(material: Material) -> dict[str, Drawing]:
    return {drawing.name: drawing for group in GROUPS for drawing in drawings(material, group)}


def write(root: Path, methods=("base", "seqinv"), tasks=None, **changes) -> Material:
    tasks = tasks or {"denoise": TASKS["denoise"]}
    changes = {"seeds": (0, 1), "subjects": SUBJECTS[:4], "labels": ("",)} | changes
    return Material(
        load_run(Benchmark(changes.pop("of", score), tasks, methods, **changes).write(root)), root
    )


def toy(text: str = "a label") -> Drawing:
    def draw():
        figure, (ax,) = panels(1, 1, 2.0, 1.5)
        ax.plot([0, 1], [0, 1], color=COLOURS[0], marker="o")
        ax.text(0.5, 0.5, text)
        ax.set_title(text)
        return figure

    return Drawing("toy", "Toy", "A line.", (), draw)


def title(ax) -> str:
    return ax.get_title(loc="left")


# What they show


def test_the_forest_shows_the_differences_of_the_statistics(material, made):
    means = material.of_panel(material.panels[0])
    groups = dict(iter(means.groupby("row")))
    for row in ("seqinv", HOSTILE, "scratch"):
        found = estimate_difference(groups[row], groups["base"])
        low, mean, high = (100 * value for value in (found.low, found.difference, found.high))
        assert f"{row} {mean:+.1f} ({low:.1f} to {high:.1f})" in made["forest"].alt


def test_the_dots_are_the_scores_averaged_over_seeds(material, made):
    (panel,) = [panel for panel in material.panels if panel.task == "denoise"]
    with plain_style():
        figure = made["subjects"].draw()
    (ax,) = [ax for ax in figure.axes if title(ax).startswith("denoise")]
    clouds = [np.asarray(points.get_offsets()) for points in ax.collections if len(points.get_offsets()) > 1]
    run = material.run.scores
    here = run[run["task"].eq("denoise") & run["test_site"].eq("Guys") & run["method"].eq("base")]
    expected = here.groupby("subject")["value"].mean().to_numpy()
    drawn = next(points[:, 0] for points in clouds if points[0, 1] == 0)
    np.testing.assert_allclose(np.sort(drawn), np.sort(expected * panel.scale))


def test_means_in_the_words_are_those_of_the_table(material, made):
    cells = cell_frame(material.run, LEADERBOARD)
    here = cells[cells["task"].eq("tissue") & cells["fraction"].eq(1.0) & cells["row"].eq("base")]
    assert f"base {100 * here['mean'].iloc[0]:.1f}" in made["subjects"].alt


def test_a_subject_without_every_seed_has_no_dot(material, made):
    with plain_style():
        figure = made["subjects"].draw()
    (ax,) = [ax for ax in figure.axes if title(ax).startswith("lesion") and "dice" in ax.get_xlabel()]
    clouds = [points.get_offsets() for points in ax.collections]
    base = [len(points) for points in clouds if len(points) > 1 and points[0][1] == 0]
    assert base == [len(SUBJECTS) - 1]


def test_components_of_a_set_are_no_dots(tmp_path):
    """A subject's component of an AUROC is no score of the subject, and may lie outside 0 to 1."""
    of_set = {"id": "auroc", "unit": "", "higher_is_better": True, "value_range": (0, 1), "of_set": True}
    both = write(tmp_path / "both", tasks={"denoise": TASKS["denoise"], "sex": task([of_set])})
    (drawing,) = drawings(both, "subjects")
    assert "denoise" in drawing.alt
    assert "auroc" not in drawing.alt
    assert not drawings(write(tmp_path / "one", tasks={"sex": task([of_set])}), "subjects")


def test_curves_have_every_fraction_in_order(made):
    with plain_style():
        figure = made["label-efficiency"].draw()
    (ax,) = [ax for ax in figure.axes if ax.get_visible()]
    assert ax.get_xscale() == "log"
    for line in (container.lines[0] for container in ax.containers):
        x = np.asarray(line.get_xdata(), dtype=float)
        assert len(x) == 2
        assert x[0] < x[1]
        np.testing.assert_allclose(x, [10, 100], rtol=0.2)


def test_the_dumbbell_goes_from_the_site_trained_on_to_the_others(made):
    alt = made["domain-gap"].alt
    found = [re.search(rf"base .*?{site} ([\d.]+)", alt) for site in ("Guys", "HH", "IOP")]
    inside, other, third = (float(each[1]) for each in found)
    assert inside > other
    assert inside > third


def test_an_axis_follows_long_intervals_no_farther_than_its_points_stay_apart():
    assert focus([1.0, 2.0], [-50.0, 2.5]) == pytest.approx((1 - 2 - 0.06 * 3.5, 2.5 + 0.06 * 3.5))
    low, high = focus([60.0, 70.0, math.nan], [math.nan, 60.0, 71.0])
    assert 59 < low < 60
    assert 71 < high < 72
    assert focus([], [1.0]) == (0.0, 1.0)
    low, high = focus([3.0], [])
    assert low < 3 < high
    low, high = focus([0.0], [])
    assert low < 0 < high


def test_a_bar_that_is_cut_ends_in_an_arrowhead_and_the_words_have_its_end(tmp_path):
    def of(cell, metric, subject, label):
        return 20 + int(subject[-2:]) / 10 + (15 * cell["seed"] - 15) * (cell["method"] == "base")

    material = write(tmp_path, of=of, seeds=(0, 1, 2))
    with plain_style():
        figure = drawings(material, "subjects")[0].draw()
    ax = figure.axes[0]
    low, high = ax.get_xlim()
    interval = material.interval("base", material.panels[0])
    assert interval.low < low
    assert interval.high > high
    heads = {line.get_marker() for line in ax.lines if line.get_marker() in "<>"}
    assert heads == {"<", ">"}
    assert "arrowhead" in " ".join(drawings(material, "subjects")[0].caption)


def test_a_matrix_is_best_on_its_diagonal(made):
    assert re.search(r"base: T1w: T1w (\d+\.\d), T2w (\d+\.\d); T2w: ", made["transfer-1"].alt)
    first = re.search(r"base: T1w: T1w (\d+\.\d), T2w (\d+\.\d)", made["transfer-1"].alt)
    one, other = map(float, first.groups())
    assert one > other


def test_a_single_training_sequence_makes_one_matrix_of_all_methods(made):
    with plain_style():
        axes = [ax for ax in made["transfer-2"].draw().axes if ax.get_visible()]
    assert [title(ax) for ax in axes] == ["trained on T1w"]


def test_embeddings_have_the_number_beside_them(made):
    with plain_style():
        axes = [ax for ax in made["embeddings-1-sequence"].draw().axes if ax.get_visible()]
    assert len(axes) == 4
    assert all(re.fullmatch(r"decodable \d+ %, chance 50 %", ax.get_xlabel()) for ax in axes)
    assert sum(len(points.get_offsets()) for points in axes[0].collections) == 2 * len(SUBJECTS)


def test_examples_name_whom_they_show_and_say_that_nobody_chose(made):
    caption = " ".join(made["examples-1"].caption)
    assert SUBJECTS[0] in caption
    assert "Nobody chose" in caption
    assert "dice % of the 3D scan, not of this slice" in caption


def test_equal_pictures_have_no_id_to_share(tmp_path):
    """Matplotlib names a picture after its pixels; methods that saw the same would share the name."""

    def draw():
        figure, axes = panels(2, 2, 1.0, 1.0)
        for ax in axes:
            ax.imshow(np.eye(4))
        return figure

    svg = inline_svg(Drawing("f", "F", "two equal pictures", (), draw).bytes("svg"), "f", "alt")
    found = ElementTree.fromstring(svg)  # noqa: S314 - our own
    assert sum(element.tag.endswith("image") for element in found.iter()) == 2
    ids = [element.attrib["id"] for element in found.iter() if "id" in element.attrib]
    assert len(ids) == len(set(ids))


def test_views_of_all_methods_stand_side_by_side_with_their_sequences(made):
    with plain_style():
        axes = [ax for ax in made["views"].draw().axes if ax.get_visible()]
    assert len(axes) == 4 * 3 * 2, "methods × subjects × views"
    titles = [ax.get_title(loc="left") for ax in axes[:6]]
    assert titles == [SUBJECTS[0], "", SUBJECTS[1], "", SUBJECTS[2], ""]
    assert [ax.get_xlabel() for ax in axes[2:4]] == ["mprage", "flair"]
    assert [ax.get_ylabel() for ax in axes[6:8]] == ["seqaug", ""]
    discs = [np.count_nonzero(ax.images[0].get_array()) for ax in axes[:6]]
    assert discs[0] < discs[2] < discs[4]
    assert "First step of the first seed" in " ".join(made["views"].caption)


@pytest.mark.parametrize(
    "change",
    [
        {"sequences": np.array([["fse", "fse"]])},
        {"view1": np.zeros((3, 4), np.uint8)},
        {"pixel_mm": np.ones(3)},
        {"subjects": np.array("one")},
        {"view0": np.zeros((3, 0, 4), np.uint8)},
        {"sequences": np.array([object()])},
    ],
)
def test_damaged_views_are_left_out(tmp_path, change):
    folder = tmp_path / "jobs" / "key"
    folder.mkdir(parents=True)
    assert read_views(tmp_path, "key") is None
    (folder / "views.npz").write_bytes(views("base"))
    assert read_views(tmp_path, "key").sequences[1] == ("mprage", "flair")
    with np.load(folder / "views.npz") as found:
        arrays = dict(found)
    np.savez(folder / "views.npz", **(arrays | change))
    assert read_views(tmp_path, "key") is None
    (folder / "views.npz").write_bytes(views("base")[:150])
    assert read_views(tmp_path, "key") is None


def test_every_figure_says_what_the_seeds_allow(made):
    silent = {name for name, drawing in made.items() if "too few seeds" not in " ".join(drawing.caption)}
    # these make no statement about methods
    kinds = {"embeddings", "examples", "views", "pretraining", "adaptation"}
    assert {name.split("-")[0] for name in silent} == kinds


# Critical differences


def test_the_diagram_shows_ranks_and_limits_of_the_statistics(material, made):
    panel = material.panels[0]
    means = material.of_panel(panel)
    trained = means[means["seed"].ge(0)]
    # seqaug has seeds 0 and 2 alone, so that all are compared on these
    table = trained[trained["seed"].ne(1)].groupby(["subject", "row"])["value"].mean().unstack()
    ranks = table.rank(axis=1, ascending=False).mean()
    alt = made["critical-difference"].alt
    assert f"{panel.task} · {panel.metric}, {len(table)} blocks" in alt
    for row, rank in ranks.items():
        assert f"{row} {rank:.2f}" in alt.partition(";")[0]
    count = table.shape[1]
    q = stats.studentized_range.ppf(0.95, count, np.inf) / math.sqrt(2)
    limit = q * math.sqrt(count * (count + 1) / (6 * len(table)))
    assert f"critical difference {limit:.2f}" in alt
    assert "identity" not in alt


def test_bars_join_what_is_not_separated_and_names_have_their_ranks(made):
    with plain_style():
        ax = made["critical-difference"].draw().axes[0]
    sets = re.search(r"not separated: (.*?)\.", made["critical-difference"].alt)[1].split("; ")
    thick = [line for line in ax.lines if line.get_linewidth() == 4]
    assert len(thick) == len(sets) == 3
    texts = {text.get_text() for text in ax.texts}
    assert "seqinv (1.00)" in texts
    assert any(text.startswith("CD 2.") for text in texts)
    assert any(text.startswith("<img") for text in texts)


def test_below_five_seeds_the_diagram_speaks_of_checkpoints(made):
    caption = " ".join(made["critical-difference"].caption)
    assert "Block: a test subject" in caption
    assert "not of methods" in caption
    assert "a train seed with" not in caption
    assert "too few seeds" in caption


def test_from_five_seeds_on_its_blocks_share_no_model(tmp_path):
    material = write(
        tmp_path, ("base", "seqaug", "seqinv"), seeds=tuple(range(6)), subjects=SUBJECTS, transfer=False
    )
    (found,) = critical_differences(material)
    assert "6 blocks" in found.alt
    caption = " ".join(found.caption)
    assert "Block: a train seed with test subjects of its own" in caption
    assert "these checkpoints" not in caption
    with plain_style():
        (ax,) = (ax for ax in found.draw().axes if ax.get_visible())
    assert ax.get_xlabel().startswith("6 blocks: seeds, each with its own subjects; Friedman p")


def test_few_blocks_make_no_diagram_and_a_sentence(tmp_path):
    material = write(tmp_path, ("base", "seqaug", "seqinv"))
    assert critical_differences(material) == []
    assert why_no_diagram(material).startswith(
        "No critical differences of denoise · psnr:range: 4 blocks, at least 5 are needed. A block is"
    )


def test_equal_methods_are_joined_by_one_bar(tmp_path):
    def of(cell, metric, subject, label):
        return 20 + (len(cell["method"]) * int(subject[-2:])) % 5  # no order that holds over subjects

    material = write(tmp_path, ("base", "seqaug", "other12"), subjects=SUBJECTS, of=of)
    (found,) = critical_differences(material)
    sets = re.search(r"not separated: (.*?)\.", found.alt)[1]
    assert ";" not in sets
    assert len(sets.split(", ")) == 3


# None where there is nothing to see


def test_one_site_one_sequence_one_fraction_make_fewer_figures(tmp_path):
    task = TASKS["denoise"] | {"sites": ["Guys"]}
    material = write(tmp_path, tasks={"denoise": task})
    found = {group: [drawing.name for drawing in drawings(material, group)] for group in GROUPS}
    assert "2 methods, Friedman's test needs 3" in why_no_diagram(material)
    shown = {group: names for group, names in found.items() if names}
    assert shown == {"differences": ["forest", "ranks"], "subjects": ["subjects"]}


def test_one_method_has_no_difference_and_no_rank(tmp_path):
    assert drawings(write(tmp_path, methods=("base",)), "differences") == []


def test_without_a_directory_there_is_nothing_of_files(material):
    alone = Material(material.run)
    groups = ("embeddings", "examples", "views", "training")
    assert [drawings(alone, group) for group in groups] == [[], [], [], []]


def test_files_that_are_gone_or_damaged_make_no_figure(results, tmp_path):
    assert read_example(tmp_path, "key") is None
    assert read_parquet(tmp_path, "key", "history.parquet").empty
    folder = tmp_path / "jobs" / "key"
    folder.mkdir(parents=True)
    (folder / "history.parquet").write_bytes(b"PAR1")
    assert read_parquet(tmp_path, "key", "history.parquet").empty
    whole = example({"method": "base", "seed": 0, "task": "tissue", "test_sequence": "T1w"})
    for content in (b"", b"no zip", whole[:-40], whole[:200]):
        (folder / "example.npz").write_bytes(content)
        assert read_example(tmp_path, "key") is None
    (folder / "example.npz").write_bytes(whole)
    assert read_example(tmp_path, "key").subject == SUBJECTS[0]


def test_planes_of_different_shapes_are_no_example(tmp_path):
    folder = tmp_path / "jobs" / "key"
    folder.mkdir(parents=True)
    np.savez(
        folder / "example.npz", input=np.zeros((3, 4), np.uint8), reference=np.zeros((3, 4), np.uint8),
        prediction=np.zeros((4, 4), np.uint8), classes=True, pixel_mm=np.ones(2), subject="s", session="",
        sequence="T1w",
    )  # fmt: skip
    assert read_example(tmp_path, "key") is None


# Projections


def test_a_projection_is_always_the_same_and_keeps_groups_apart():
    rng = np.random.default_rng(0)
    embeddings = rng.normal(size=(40, 8)) + np.repeat([0.0, 20.0], 20)[:, None]
    first = project(embeddings)
    np.testing.assert_array_equal(first, project(embeddings))
    one, other = first[:20], first[20:]
    apart = np.linalg.norm(one.mean(axis=0) - other.mean(axis=0))
    assert apart > one.std() + other.std()


@pytest.mark.parametrize("embeddings", [np.ones((20, 4)), np.random.default_rng(0).normal(size=(4, 3))])
def test_what_cannot_be_projected(embeddings):
    assert project(embeddings) is None


# As part of a page


def test_an_inline_svg_needs_no_style_and_follows_the_theme():
    text = inline_svg(toy().bytes("svg"), "toy", "A line.")
    page = Page(text)
    assert page.unclosed == []
    assert [
        e for e in page.elements if "style" in e.attributes or e.tag in ("style", "metadata", "script")
    ] == []
    colours = {e.attributes.get(name) for e in page.elements for name in ("stroke", "fill")}
    assert "var(--c0)" in colours
    assert not {COLOURS[0], INK} & colours
    (root,) = page.all("svg")
    assert root.attributes["aria-label"] == "A line."
    assert root.attributes["viewbox"]


def test_what_a_figure_shows_of_a_row_can_be_found_in_the_page_and_not_in_files():
    def draw():
        figure, (ax,) = panels(1, 1, 2.0, 1.5)
        tag(HOSTILE, *ax.plot([0, 1], [0, 1]))
        return figure

    drawing = Drawing("toy", "Toy", "A line.", (), draw)
    page = Page(inline_svg(drawing.bytes("svg"), "toy", ""))
    assert len(page.all("g", data_row=row_id(HOSTILE))) == 1
    assert re.fullmatch(r"[0-9a-f]{10}", row_id(HOSTILE))
    assert row_id(HOSTILE).encode() not in drawing.bytes("svg", text_as_paths=True)


def test_every_figure_of_methods_can_fade_each_of_them(made):
    names = ["forest", "ranks", "critical-difference", "label-efficiency", "domain-gap", "subjects"]
    names += ["transfer-1", "transfer-2", "embeddings-1-site", "examples-1", "views"]
    names += ["pretraining", "adaptation"]
    for name in names:
        page = Page(inline_svg(made[name].bytes("svg"), name, ""))
        assert page.all("g", data_row=row_id("seqinv")), name
        assert page.all("g", data_row=row_id(HOSTILE)), name


def test_two_inline_svgs_share_no_id():
    pages = [Page(inline_svg(toy().bytes("svg"), name, "")) for name in ("one", "two")]
    ids = [{e.attributes["id"] for e in page.elements if "id" in e.attributes} for page in pages]
    assert ids[0]
    assert not ids[0] & ids[1]


TEXTS = [HOSTILE, "</text><script>alert(1)</script>", "a & b", "$x^2$", "$unclosed", "日本"]


@pytest.mark.parametrize("text", TEXTS)
def test_any_text_is_text(text):
    page = Page(inline_svg(toy(text).bytes("svg"), "toy", text))
    assert text in {e.text for e in page.all("text")}
    assert page.all("script") == []
    assert page.all("img") == []
    assert page.all("svg")[0].attributes["aria-label"] == text


def test_what_is_no_svg_is_refused():
    with pytest.raises(ValueError, match="expected <svg>, got <html>"):
        inline_svg(b"<html></html>", "x", "")


@pytest.mark.parametrize(("file_format", "magic"), [("svg", b"<?xml"), ("pdf", b"%PDF"), ("png", b"\x89PNG")])
def test_a_drawing_has_the_same_bytes_every_time(file_format, magic):
    first = toy().bytes(file_format)
    assert first.startswith(magic)
    assert first == toy().bytes(file_format)


def test_drawing_leaves_matplotlib_as_it_was():
    import matplotlib

    before = dict(matplotlib.rcParams)
    toy().bytes("svg")
    assert dict(matplotlib.rcParams) == before


# For papers


def test_figures_are_saved_for_papers(tmp_path):
    material = write(tmp_path / "run")
    written = saved_figures(material.run, tmp_path / "run", tmp_path / "a" / "figures")
    names = {path.name for path in written}
    figures = ("forest", "ranks", "domain-gap", "subjects")
    assert names == {f"{n}.{e}" for n in figures for e in ("svg", "pdf")} | {"captions.md"}
    for path in written:
        assert path.stat().st_size > (1000 if path.suffix != ".md" else 100)
    captions = (tmp_path / "a" / "figures" / "captions.md").read_text(encoding="utf-8")
    assert [line.split(":")[0] for line in captions.splitlines() if line.startswith("## ")] == [
        f"## {name}" for name in figures
    ]
    assert captions.count(material.claim.text) == len(figures)
    saved = ElementTree.parse(tmp_path / "a" / "figures" / "forest.svg")  # noqa: S314 - our own
    texts = saved.iter(f"{SVG}text")
    assert list(texts) == [], "letters are drawn: no font is needed"


def test_a_note_stands_in_the_figure_and_only_where_it_is_asked_for():
    noted = toy().bytes("svg", note="2 seeds: too few seeds")
    assert b"2 seeds: too few seeds" in noted
    assert b"too few" not in toy().bytes("svg")


def test_a_folder_that_cannot_be_made_is_said(tmp_path):
    material = write(tmp_path / "run")
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot write the figures") as caught:
        saved_figures(material.run, None, tmp_path / "file")
    assert "--figures" in caught.value.hint


# Looks


def test_methods_can_be_told_apart_without_colour_too():
    found = looks([f"m{n}" for n in range(20)], ["scratch"])
    assert len({(look.colour, look.marker) for look in found.values()}) == 21


def test_rows_look_the_same_whatever_else_is_shown(material):
    assert material.looks["base"] == looks(["base"], [])["base"]
    assert material.looks["scratch"] == looks([], ["scratch", "identity"])["scratch"]


@pytest.mark.parametrize(
    ("count", "across", "expected"), [(1, 3, 1), (3, 3, 3), (4, 3, 2), (5, 3, 3), (7, 4, 4)]
)
def test_panels_leave_few_gaps(count, across, expected):
    with plain_style():
        figure, axes = panels(count, across, 2.0, 1.0)
    assert len(axes) == count
    assert figure.axes[0].get_gridspec().ncols == expected


def test_long_and_odd_names_are_shortened():
    assert len(short("x" * 100)) == 28
    assert short("a\nb\x07") == "a\\nb\\x07"


def test_intervals_are_those_of_the_statistics(material):
    panel = material.panels[0]
    interval = material.interval("base", panel)
    assert interval.n_seeds == 3
    assert interval.low < interval.mean < interval.high
    assert math.isnan(material.interval("nobody", panel).mean)
    untrained = [material.interval("identity", panel, fraction) for fraction in (0.1, 1.0)]
    assert untrained[0] == untrained[1]
    assert math.isfinite(untrained[0].mean)
