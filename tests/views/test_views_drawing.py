"""The pictures: files that are really written, with the right voxels in the right places."""

from __future__ import annotations

import hashlib
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image
from support_views import made, shown, source

from mribench.config import load_benchmark, resolve
from mribench.errors import ConfigError, StoreError
from mribench.views.canvas import DPI, SUFFIXES, Canvas, check_path, replace_unprintable
from mribench.views.distributions import MOST_COLUMNS, draw_distributions
from mribench.views.samples import MadeSamples, Sample, draw_parameters, make_samples
from mribench.views.sheet import GREY, PLANES, draw_sheet, make_strips, take_central_slice
from mribench.views.sources import open_sources


def panels(canvas: Canvas) -> list[Axes]:
    return [axes for axes in canvas.figure.axes if axes.images]


def texts(canvas: Canvas) -> list[str]:
    return [text.get_text() for text in canvas.figure.texts]


def pixels(path: Path) -> np.ndarray:
    """Return grey values 0..1, rows from the top."""
    with Image.open(path) as image:
        return np.asarray(image.convert("L")) / 255


def part(picture: np.ndarray, axes: Axes) -> np.ndarray:
    """Return the pixels of a panel."""
    rows, columns = picture.shape
    box = axes.get_position()
    top, bottom = round((1 - box.y1) * rows), round((1 - box.y0) * rows)
    return picture[top:bottom, round(box.x0 * columns) : round(box.x1 * columns)]


# ---- the contact sheet ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def samples(sources):
    return [(sources[name], make_samples(sources[name], 2)) for name in ("base", "seqinv")]


def test_one_panel_for_each_view_and_none_is_blank(samples, tmp_path) -> None:
    canvas = draw_sheet(samples, "axial", "a note")
    canvas.save(tmp_path / "sheet.png")
    picture = pixels(tmp_path / "sheet.png")
    assert picture.shape == (
        pytest.approx(DPI * canvas.height, abs=1),
        pytest.approx(DPI * canvas.width, abs=1),
    )
    assert len(panels(canvas)) == 2 * 2 * 2
    found = [part(picture, axes) for axes in panels(canvas)]
    assert min(panel.std() for panel in found) > 0.05
    assert len({hashlib.sha256(panel.tobytes()).hexdigest() for panel in found}) == 8


@pytest.mark.parametrize("plane", PLANES)
def test_a_panel_shows_the_central_slice_in_the_fixed_window(samples, tmp_path, plane) -> None:
    canvas = draw_sheet(samples, plane, "a note")
    canvas.save(tmp_path / "sheet.png")
    picture = pixels(tmp_path / "sheet.png")
    views = [view for _, drawn in samples for view in drawn.views()]
    low, high = GREY
    for axes, view in zip(panels(canvas), views, strict=True):
        expected = np.clip((take_central_slice(view.image, plane) - low) / (high - low), 0, 1)
        panel = part(picture, axes)
        seen = np.asarray(Image.fromarray(np.uint8(panel * 255)).resize((20, 20), Image.Resampling.BOX)) / 255
        assert np.abs(seen - expected).mean() < 0.06
        assert np.corrcoef(seen.ravel(), expected.ravel())[0, 1] > 0.95


def test_planes_lie_as_radiologists_look_at_them() -> None:
    """The patient's left is on the right of the picture; anterior, or superior, is up."""
    volume = np.zeros((5, 7, 9))
    i, j, k = 2, 3, 4
    volume[0, j, k], volume[i, 6, k], volume[i, j, 8] = 1, 2, 3  # left, anterior, superior
    axial, coronal, sagittal = (take_central_slice(volume, plane) for plane in PLANES)
    assert (axial.shape, coronal.shape, sagittal.shape) == ((7, 5), (9, 5), (9, 7))
    assert axial[3, 4] == 1
    assert axial[0, 2] == 2
    assert coronal[4, 4] == 1
    assert coronal[0, 2] == 3
    assert sagittal[4, 0] == 2
    assert sagittal[0, 3] == 3


def test_captions_of_the_drawn_parameters_are_on_the_sheet(samples) -> None:
    written = texts(draw_sheet(samples, "axial", "small.yaml, training seed 3"))
    assert "base (views: mprage)   20 voxels of 8 mm" in written
    assert "small.yaml, training seed 3" in written
    for _, drawn in samples:
        for sample in drawn.samples:
            assert any(sample.views[0].subject in text for text in written)
            for number, view in enumerate(sample.views, start=1):
                assert f"view {number}: {view.sequence}" in written
                tr_ms = float(f"{1000 * view.parameters['tr_s']:.3g}")
                assert any(f"TR {tr_ms:g}" in text for text in written)
    foot = " ".join(written)
    assert "black -1.5, white 2.5 standard deviations" in foot
    assert "target" not in foot


def test_targets_are_drawn_below_their_views(samples) -> None:
    plain, more = (draw_sheet(samples, "axial", "", targets) for targets in (False, True))
    assert len(panels(more)) == 2 * len(panels(plain))
    assert more.height > plain.height
    image, target = panels(more)[:2]
    view = samples[0][1].samples[0].views[0]
    np.testing.assert_allclose(
        image.images[0].get_array(), np.clip(take_central_slice(view.image, "axial"), *GREY)
    )
    np.testing.assert_allclose(
        target.images[0].get_array(), np.clip(take_central_slice(view.target, "axial"), *GREY)
    )
    assert target.get_position().y1 < image.get_position().y0
    assert target.get_position().x0 == pytest.approx(image.get_position().x0)


def test_views_of_a_sample_stand_closer_than_samples(samples) -> None:
    boxes = [axes.get_position() for axes in panels(draw_sheet(samples, "axial", ""))[:4]]
    within, between = boxes[1].x0 - boxes[0].x1, boxes[2].x0 - boxes[1].x1
    assert 0 < 3 * within < between


def test_nothing_overlaps_and_nothing_leaves_the_paper(samples) -> None:
    canvas = draw_sheet(samples, "axial", "a note " * 40, True)
    boxes = [axes.get_position() for axes in panels(canvas)]
    for place, box in enumerate(boxes):
        assert 0 <= box.x0 < box.x1 <= 1
        assert 0 <= box.y0 < box.y1 <= 1
        assert not any(box.overlaps(other) for other in boxes[place + 1 :])
    renderer = FigureCanvasAgg(canvas.figure).get_renderer()
    inside = canvas.figure.bbox
    for text in canvas.figure.texts:
        extent = text.get_window_extent(renderer)
        assert extent.x1 <= inside.x1 + 1, text.get_text()
        assert extent.y0 >= -1, text.get_text()


def test_captions_do_not_run_into_the_next_panel(samples) -> None:
    canvas = draw_sheet(samples, "axial", "")
    renderer = FigureCanvasAgg(canvas.figure).get_renderer()
    panel = panels(canvas)[0].get_window_extent()
    wide = [t for t in canvas.figure.texts if t.get_text().startswith(("view", "TE", "TR", "rot"))]
    assert wide
    assert max(t.get_window_extent(renderer).width for t in wide) < 1.06 * panel.width


def test_many_samples_go_on_below() -> None:
    sample = Sample(0, 0, (shown(), shown()))
    parts = make_strips(MadeSamples((sample,) * 9, 18, 0))
    assert [(len(strip.samples), strip.first) for strip in parts] == [(4, 0), (4, 4), (1, 8)]
    crowd = Sample(0, 0, (shown(),) * 11)
    assert [len(strip.samples) for strip in make_strips(MadeSamples((crowd,) * 2, 22, 0))] == [1, 1]
    canvas = draw_sheet([(source("a"), MadeSamples((sample,) * 9, 18, 0))], "axial", "")
    assert len(panels(canvas)) == 18
    assert "sample 9: somebody:1" in texts(canvas)


def test_a_local_view_is_drawn_smaller(tmp_path) -> None:
    sample = Sample(0, 0, (shown(edge=8), shown(edge=4, role="local")))
    canvas = draw_sheet([(source("a", patch_vox=8), MadeSamples((sample,), 2, 0))], "axial", "")
    large, small = panels(canvas)
    assert large.get_xlim() == small.get_xlim() == (-4, 4)
    assert small.images[0].get_extent() == [-2, 2, -2, 2]
    canvas.save(tmp_path / "sheet.png")
    panel = part(pixels(tmp_path / "sheet.png"), small)
    edge = panel.shape[0] // 4 - 3
    assert panel[:edge].max() == 0
    assert panel[edge + 6 : -edge - 6].max() > 0.9


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38])
def test_images_with_impossible_values_are_drawn(tmp_path, value) -> None:
    view = shown(edge=6)
    view.image[2:4] = value
    draw_sheet([(source("a"), made(view))], "axial", "").save(tmp_path / "a.png")
    assert pixels(tmp_path / "a.png").max() > 0.5


def test_a_sheet_larger_than_a_picture_can_be_gets_fewer_dots(tmp_path) -> None:
    canvas = Canvas(600, 2, "black", "white")
    canvas.save(tmp_path / "wide.png")
    assert pixels(tmp_path / "wide.png").shape == (100, 30_000)


# ---- distributions -------------------------------------------------------------------------------------


def test_histograms_of_real_draws(sources, tmp_path) -> None:
    drawn = [(sources[name], draw_parameters(sources[name], 60)) for name in ("base", "seqinv")]
    canvas = draw_distributions(drawn, "a note")
    canvas.save(tmp_path / "draws.png")
    written = texts(canvas)
    for text in (
        "acquisition",
        "augmentation",
        "TE (ms)",
        "TI (ms)",
        "α (°)",
        "elastic_sd (mm)",
        "mprage  100 %",
    ):
        assert text in written
    bars = [axes for axes in canvas.figure.axes if axes.patches]
    assert len(bars) == len(canvas.figure.axes) > 30
    assert all(max(bar.get_height() for bar in axes.patches) > 0 for axes in bars)
    picture = pixels(tmp_path / "draws.png")
    assert min(part(picture, axes).std() for axes in bars) > 0.05


def test_heights_are_the_counts() -> None:
    views = [shown(n_echoes=count) for count in (1, 1, 1, 2, 4)]
    (axes,) = draw_distributions([(source("a"), made(*views))], "").figure.axes
    assert [bar.get_height() for bar in axes.patches] == [3, 1, 0, 1]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1", "4"]


def test_too_many_parameters_are_named() -> None:
    view = shown(**{f"p{i:02}": float(i) for i in range(MOST_COLUMNS + 3)})
    canvas = draw_distributions([(source("a"), made(view))], "")
    assert len(canvas.figure.axes) == MOST_COLUMNS
    assert "not drawn: p12, p13, p14" in texts(canvas)


def test_no_parameters_at_all(tmp_path) -> None:
    draw_distributions([(source("a"), made(shown()))], "a note").save(tmp_path / "none.png")
    assert pixels(tmp_path / "none.png").std() > 0


# ---- somebody else's generator, and hostile text -------------------------------------------------------


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_strange_parameters_are_drawn(file, strange_registry, tmp_path, suffix) -> None:
    resolved = resolve(load_benchmark(file, ["methods.twin.views=strange"]), strange_registry)
    (found,), _ = open_sources(resolved, strange_registry, methods=["twin"])
    sheet = draw_sheet([(found, make_samples(found, 2))], "axial", "$x^{ \x1b[31m \N{GRINNING FACE}")
    sheet.save(tmp_path / f"sheet{suffix}")
    histograms = draw_distributions([(found, draw_parameters(found, 9))], "$\\frac{")
    histograms.save(tmp_path / f"draws{suffix}")
    written = " ".join(texts(sheet))
    for text in ("TE 10/23.4 ms", "spoke_angle_deg 111", "spin_lock_hz 412", "flip_angle_deg variable"):
        assert text in written
    assert "\x1b" not in written
    titles = texts(histograms)
    assert "spin_lock (Hz)" in titles
    assert "n_boxes" in titles
    assert "huge" not in titles
    assert all((tmp_path / f"{name}{suffix}").stat().st_size > 5000 for name in ("sheet", "draws"))


def test_text_is_made_harmless() -> None:
    assert replace_unprintable("α 90° – TE…") == "α 90° – TE…"
    assert replace_unprintable("a\nb\x00\u65e5\ue000\u202e") == "a�b����"


# ---- files ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("suffix", "start"), [(".png", b"\x89PNG"), (".PNG", b"\x89PNG"), (".pdf", b"%PDF"), (".svg", b"<?xml")]
)
def test_formats_and_the_same_file_again(samples, tmp_path, suffix, start) -> None:
    paths = [tmp_path / "new" / f"{name}{suffix}" for name in "ab"]
    for path in paths:
        draw_sheet(samples, "axial", "note").save(path)
    first, again = (path.read_bytes() for path in paths)
    assert first.startswith(start)
    assert first == again
    assert sorted(paths) == sorted((tmp_path / "new").iterdir()), "no temporary file is left"


def test_the_users_own_style_changes_nothing(samples, tmp_path) -> None:
    draw_sheet(samples, "axial", "note").save(tmp_path / "a.png")
    with matplotlib.rc_context(
        {"text.usetex": True, "font.size": 30, "image.origin": "lower", "savefig.bbox": "tight"}
    ):
        before = dict(matplotlib.rcParams)
        draw_sheet(samples, "axial", "note").save(tmp_path / "b.png")
        assert dict(matplotlib.rcParams) == before
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


@pytest.mark.parametrize("name", ["views.jpg", "views", "views.png.gz", ".png"])
def test_other_suffixes_are_refused(name) -> None:
    with pytest.raises(ConfigError, match=r"expected a file name that ends in \.png, \.pdf or \.svg"):
        check_path(Path(name), "--out")


def test_places_that_cannot_be_written_to(tmp_path) -> None:
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="is a folder, expected a file"):
        check_path(tmp_path / "folder.png", "--out")
    with pytest.raises(ConfigError, match=r"file is no folder"):
        check_path(tmp_path / "file" / "a.png", "--out")
    check_path(tmp_path / "new" / "newer" / "a.png", "--out")
    with pytest.raises(StoreError, match="cannot write"):
        Canvas(1, 1, "black", "white").save(tmp_path / "file" / "a.png")
    with pytest.raises(StoreError, match="cannot write") as error:
        Canvas(1, 1, "black", "white").save(tmp_path / "folder.png")
    assert error.value.hint == "choose another place"
