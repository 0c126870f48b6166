"""Drawn parameters as numbers: the table and the histograms."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest
from mribench_views.labels import LABELS
from support_views import made, shown, source

from mribench.views.histograms import make_cell, make_title, split_distributions
from mribench.views.parameters import (
    COLUMNS,
    compute_sequence_shares,
    count_parameters,
    count_redraws_per_100_views,
    is_of_acquisition,
    list_numbers,
    list_values,
    write_table,
)
from mribench.views.samples import draw_parameters

BOXES = "dropout_cuboids_vox"


def table(*drawn) -> pd.DataFrame:
    file = io.StringIO()
    rows = write_table(file, drawn)
    found = pd.read_csv(io.StringIO(file.getvalue()), keep_default_na=False)
    assert len(found) == rows
    return found


# ---- the table -----------------------------------------------------------------------------------------


def test_one_row_for_each_number() -> None:
    views = (
        shown("fse", te_s=0.1, flip=(True, False), motion="a,b\n"),
        shown("gre", te_s=0.01, offset_vox=(1, 2), k_order=None),
    )
    found = table((source("a", "b"), made(*views)))
    assert tuple(found.columns) == COLUMNS
    assert found[["methods", "views", "step", "sample", "view", "role", "subject_id"]].drop_duplicates(
        ignore_index=True
    ).values.tolist() == [
        ["a b", "seqinv", 0, 0, 1, "global", "somebody:1"], ["a b", "seqinv", 0, 1, 1, "global", "somebody:1"]
    ]  # fmt: skip
    assert found[["sequence", "parameter", "value"]].values.tolist() == [
        ["fse", "te_s", "0.1"], ["fse", "flip[0]", "1"], ["fse", "flip[1]", "0"], ["fse", "motion", "a,b\n"],
        ["gre", "te_s", "0.01"], ["gre", "k_order", ""],
    ]  # fmt: skip


def test_lists_of_boxes_are_counted_also_where_there_are_none() -> None:
    drawn = made(shown(**{BOXES: ()}), shown(**{BOXES: (((0, 1),), ((0, 2),))}))
    assert count_parameters(drawn) == {BOXES}
    found = table((source("a"), drawn))
    assert found.parameter.tolist() == ["n_dropout_cuboids"] * 2
    assert found.value.tolist() == [0, 2]


def test_every_digit_is_in_the_table() -> None:
    value = 0.1 + 0.2
    assert table((source("a"), made(shown(te_s=value)))).value.tolist() == [value]


def test_the_table_of_real_draws_is_what_was_drawn(sources) -> None:
    drawn = draw_parameters(sources["seqinv"], 12)
    found = table((sources["seqinv"], drawn))
    assert set(found.methods) == {"seqinv twin"}
    assert not found.parameter.str.contains("offset").any(), "depends on the size of the view"
    for sample in drawn.samples:
        for place, view in enumerate(sample.views, start=1):
            own = found[
                (found.step == sample.step) & (found["sample"] == sample.place) & (found.view == place)
            ]
            values = dict(zip(own.parameter, own.value, strict=True))
            assert values["tr_s"] == view.parameters["tr_s"]
            assert [values[f"rotation_deg[{i}]"] for i in range(3)] == list(view.parameters["rotation_deg"])
            assert values["n_dropout_cuboids"] == len(view.parameters[BOXES])
            assert set(own.sequence) == {view.sequence}


# ---- numbers -------------------------------------------------------------------------------------------


def test_only_numbers_that_can_be_drawn_are_counted() -> None:
    view = shown(
        a=1, b=True, c="x", d=float("nan"), e=float("inf"), f=10**400, g=[1, "x", 2.5], h=None, i=-1e29
    )
    assert list_numbers(view, frozenset()) == {"a": [1.0], "b": [1.0], "g": [1.0, 2.5], "i": [-1e29]}
    assert ("f", 10**400) in list(list_values(view, frozenset()))


def test_what_belongs_to_the_acquisition() -> None:
    drawn = [
        ("fse", ["te_s", "tr_s", "rotation_deg", "noise_sigma"]),
        ("gre", ["te_s", "flip_angle_deg", "tr_s", "rotation_deg", "noise_sigma", "spokes"]),
    ]
    assert is_of_acquisition(drawn, LABELS) == {"te_s", "tr_s", "flip_angle_deg", "spokes"}
    assert is_of_acquisition(drawn[:1], LABELS) == {"te_s", "tr_s"}
    names = ["ti1_s", "n_excitations", "inversion_efficiency", "delay_s"]
    assert is_of_acquisition([("a", names)], LABELS) == {"ti1_s", "n_excitations", "inversion_efficiency"}


def test_shares_and_redraws() -> None:
    drawn = made(shown("b"), shown("a"), shown("b"), shown("b"), redraws=3)
    assert compute_sequence_shares(drawn) == {"a": 0.25, "b": 0.75}
    assert list(compute_sequence_shares(drawn)) == ["a", "b"]
    assert count_redraws_per_100_views(drawn) == 75


# ---- histograms ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "title", "factor"),
    [("te_s", "TE (ms)", 1000), ("ti2_s", "TI (ms)", 1000), ("tx_s", "TX (ms)", 1000),
     ("flip_angle1_deg", "α (°)", 1), ("rotation_deg", "rotation (°)", 1),
     ("elastic_sd_mm", "elastic_sd (mm)", 1), ("delay_s", "delay (ms)", 1000), ("spokes", "spokes", 1),
     ("_s", "_s", 1), ("spin_lock_hz", "spin_lock (Hz)", 1)],
)  # fmt: skip
def test_titles(name, title, factor) -> None:
    assert make_title(name, LABELS) == (title, factor)


def spread(count: int) -> list:
    """Views of two sequences with known numbers; half of them without an elastic deformation."""
    return [
        shown(
            ("fse", "mp2rage")[i % 2],
            **({"te_s": 0.002 * 1.1**i} if i % 2 == 0 else {"ti1_s": 0.7, "ti2_s": 2.5 + i / 100}),
            tr_s=2.0 + i / count,
            elastic_sd_mm=0.0 if i % 4 < 2 else i / 50,
            n_echoes=i % 5,
        )
        for i in range(count)
    ]


def test_rows_by_sequence_and_columns_by_kind_of_parameter() -> None:
    acquisition, augmentation = split_distributions([(source("a"), made(*spread(80)))])
    assert [(row.sequence, row.share) for row in acquisition.rows] == [("fse", 0.5), ("mp2rage", 0.5)]
    assert [column.title for column in acquisition.columns] == ["TE (ms)", "TR (ms)", "TI (ms)"]
    assert [column.title for column in augmentation.columns] == ["elastic_sd (mm)", "n_echoes"]
    fse, mp2rage = (row.values for row in acquisition.rows)
    np.testing.assert_allclose(fse["TE (ms)"], 2 * 1.1 ** np.arange(0, 80, 2))
    assert "TI (ms)" not in fse
    assert len(mp2rage["TI (ms)"]) == 80, "both inversion times"
    assert len(augmentation.rows[0].values["n_echoes"]) == 80
    assert acquisition.columns[0].log
    assert not acquisition.columns[1].log


def test_every_number_is_in_one_bin_or_said_apart() -> None:
    for part in split_distributions([(source("a"), made(*spread(80)))]):
        for row in part.rows:
            for column in part.columns:
                if column.title in row.values:
                    values = row.values[column.title]
                    cell = make_cell(values, column)
                    assert cell.counts.sum() + round(cell.share * len(values)) == len(values)
                    np.testing.assert_array_equal(
                        cell.counts, np.histogram(values[values != cell.often], column.edges)[0]
                    )


def test_what_was_not_applied_is_said_apart() -> None:
    _, augmentation = split_distributions([(source("a"), made(*spread(80)))])
    elastic, echoes = augmentation.columns
    cell = make_cell(augmentation.rows[0].values[elastic.title], elastic)
    assert (cell.often, cell.share) == (0.0, 0.5)
    assert cell.counts[0] < 5
    counts = make_cell(augmentation.rows[0].values[echoes.title], echoes)
    assert counts.often is None
    assert counts.counts.tolist() == [16] * 5, "one bin for each whole number"
    assert echoes.ticks == (0.0, 4.0)


@pytest.mark.parametrize("value", [0.0, 1.0, -3.5, 1e29, 1e-300])
def test_a_constant_has_one_bin_and_one_tick(value) -> None:
    (part,) = split_distributions([(source("a"), made(*(shown(constant=value) for _ in range(9))))])
    (column,) = part.columns
    assert column.ticks == (value,)
    assert sorted(make_cell(part.rows[0].values["constant"], column).counts)[-2:] == [0, 9]


def test_an_axis_about_zero_has_zero_in_its_middle() -> None:
    views = [shown(rotation_deg=angle) for angle in np.linspace(-15, 14.999, 99).tolist()]
    (part,) = split_distributions([(source("a"), made(*views))])
    assert part.columns[0].ticks == (-15.0, 0.0, pytest.approx(14.999))


def test_generators_that_augment_alike_share_a_row(sources) -> None:
    drawn = [(sources[name], draw_parameters(sources[name], 30)) for name in ("base", "seqinv")]
    acquisition, augmentation = split_distributions(drawn)
    assert [row.label for row in augmentation.rows] == ["base (views: mprage) · seqinv, twin (views: seqinv)"]
    assert {row.label for row in acquisition.rows} == {"base (views: mprage)", "seqinv, twin (views: seqinv)"}
    assert [row.sequence for row in acquisition.rows[1:]] == sorted({v.sequence for v in drawn[1][1].views()})


def test_generators_that_augment_otherwise_do_not() -> None:
    drawn = [(source("a"), made(shown(rotation_deg=1.0))), (source("b"), made(shown(rotation_deg=2.0)))]
    assert [row.label for row in split_distributions(drawn)[0].rows] == [
        "a (views: seqinv)",
        "b (views: seqinv)",
    ]


def test_nothing_to_count() -> None:
    assert split_distributions([(source("a"), made(shown(motion="jerky")))]) == []
