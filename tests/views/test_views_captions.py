"""The words under a view."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, strategies as st
from mribench_views.labels import LABELS
from support_views import shown

from mribench.interfaces import ParameterLabel
from mribench.views.captions import make_caption, make_captions
from mribench.views.numbers import number, value_text
from mribench.views.samples import Sample

MP2RAGE = {
    "sequence": "mp2rage", "tr_s": 5.3219, "ti1_s": 0.9704, "ti2_s": 3.0912, "tx_s": 0.006,
    "flip_angle1_deg": 5.5288, "flip_angle2_deg": 4.2081, "n_excitations": 150.0,
    "inversion_efficiency": 0.95,
}  # fmt: skip
AUGMENTED = {
    "rotation_deg": (-4.2345, 11.0, 0.5), "shear": (0.01,) * 6, "scale": (1.0, 1.0, 1.0),
    "flip": (True, False, True), "offset_vox": (1.0, 2.0, 3.0), "elastic_sd_mm": 1.234, "bias_sd": 0.0437,
    "gibbs_kept": (0.735, 1.0, 0.605), "noise_sigma": 0.0452,
    "dropout_cuboids_vox": (((0, 1), (0, 1), (0, 1)),) * 3,
}  # fmt: skip
PLAIN = {
    "rotation_deg": (0.0, 0.0, 0.0), "scale": (1.0, 1.0, 1.0), "flip": (False, False, False),
    "elastic_sd_mm": 0.0, "bias_sd": 0.0, "gibbs_kept": (1.0, 1.0, 1.0), "noise_sigma": 0.0,
    "dropout_cuboids_vox": (),
}  # fmt: skip


def words(parameters: dict, width: int = 29) -> str:
    return "\n".join(make_caption("view 1", parameters, LABELS, width).lines)


# ---- times and angles ----------------------------------------------------------------------------------


def test_times_are_in_ms_and_angles_in_degrees() -> None:
    text = words({"te_s": 0.0031084, "tr_s": 2.5979, "ti_s": 0.62699, "flip_angle_deg": 5.50879}, 80)
    assert text == "TE 3.11 · TR 2600 · TI 627 ms · α 5.51°"


def test_numbered_parameters_stand_together() -> None:
    assert words(MP2RAGE, 80) == "TR 5320 · TI 970/3090 ms · α 5.53/4.21°"


def test_several_echoes_of_one_parameter() -> None:
    assert words({"te_s": [0.005, 0.01, 0.015, 0.02]}) == "TE 5/10/15/… ms"


@pytest.mark.parametrize("value", ["minimum", None, [0.1, "x"], []])
def test_a_time_that_is_no_number_is_shown_as_it_is(value) -> None:
    assert words({"te_s": value}).startswith("te_s ")


def test_angle_without_times() -> None:
    assert words({"flip_angle_deg": 90}) == "α 90°"


# ---- augmentation --------------------------------------------------------------------------------------


def test_augmentation_in_short() -> None:
    assert words(AUGMENTED, 29).splitlines() == [
        "rot -4.2/11/0.5° · flip IK", "elastic 1.2 mm · bias 0.044", "gibbs 0.73/1/0.6",
        "noise σ 0.045 · 3 cuboids",
    ]  # fmt: skip


def test_what_was_not_done_is_not_said() -> None:
    assert words(PLAIN) == ""
    assert words({**PLAIN, "scale": (1.0, 0.9, 1.0)}) == "scale 1/0.9/1"
    assert words({**PLAIN, "dropout_cuboids_vox": ((0,),)}) == "1 cuboid"


def test_unknown_parameters_are_shown_as_they_are_named() -> None:
    text = words({"spoke_angle_deg": 111.246, "motion": "jerky", "k_order": None, "spoiled": True}, 200)
    assert text == "spoke_angle_deg 111 · motion jerky · k_order None · spoiled yes"


def test_without_labels_everything_is_shown_as_it_is_named() -> None:
    assert make_caption("view 1", {"te_s": 0.1, "flip": "yes", "shear": 0.5}, {}, 80).lines == (
        "te_s 0.1 · flip yes · shear 0.5",
    )


def test_labels_are_the_generators_own() -> None:
    labels = {
        "spin_lock_hz": ParameterLabel("SL", acquisition=True),
        "echo_mm": ParameterLabel("echo", acquisition=True),
        "delay_s": ParameterLabel("delay", neutral=0.0),
        "coil": ParameterLabel("coil", write=lambda value: f"coil no. {value}"),
    }
    drawn = {"coil": 3, "delay_s": 0.25, "echo_mm": 2, "spin_lock_hz": 412.34}
    assert make_caption("v", drawn, labels, 80).lines == (
        "SL 412 Hz · echo 2 mm",
        "coil no. 3 · delay 250 ms",
    )
    assert make_caption("v", {"delay_s": "none", "echo_mm": 1}, labels, 80).lines == (
        "echo 1 mm",
        "delay_s none",
    )


# ---- lines ---------------------------------------------------------------------------------------------


@given(st.dictionaries(st.text(min_size=1, max_size=60), st.one_of(
    st.floats(), st.integers(), st.text(max_size=90), st.booleans(), st.none(),
    st.lists(st.floats(), max_size=6)), max_size=30), st.integers(12, 60))  # fmt: skip
def test_no_line_is_too_long_and_there_are_not_too_many(parameters, width) -> None:
    found = make_caption("x" * 99, parameters, LABELS, width)
    assert len(found.title) <= width
    assert all(len(line) <= width for line in found.lines)
    assert len(found.lines) <= 9


def test_many_unknown_parameters_end_in_an_ellipsis() -> None:
    found = make_caption("view", {f"parameter_{i}": i for i in range(99)}, LABELS, 20)
    assert found.lines[0] == "parameter_0 0"
    assert found.lines[-1] == "…"


def test_views_are_numbered_and_roles_are_said_where_they_differ() -> None:
    alike = Sample(0, 0, (shown("fse", te_s=0.1), shown("", te_s=0.2)))
    assert [found.title for found in make_captions(alike, LABELS, 40)] == ["view 1: fse", "view 2: –"]
    assert [found.lines for found in make_captions(alike, LABELS, 40)] == [("TE 100 ms",), ("TE 200 ms",)]
    mixed = Sample(0, 0, (shown("fse"), shown("gre", role="local")))
    assert [found.title for found in make_captions(mixed, LABELS, 40)] == [
        "view 1 (global): fse",
        "view 2 (local): gre",
    ]


# ---- numbers -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"),
    [(10781.9, "10800"), (0.031234, "0.0312"), (2.5, "2.5"), (0.0, "0"), (-0.0, "0"), (99.96, "100"),
     (-4.1784, "-4.18"), (0.00033333, "0.000333"), (1e-9, "1e-09"), (1.5e12, "1.5e+12"), (math.inf, "inf"),
     (math.nan, "nan"), (999999.0, "1000000"), (1.0, "1")],
)  # fmt: skip
def test_numbers_as_people_write_them(value, text) -> None:
    assert number(value) == text


@given(st.floats(1e-4, 1e6) | st.floats(-1e6, -1e-4))
def test_a_number_is_within_half_a_unit_of_its_third_digit(value) -> None:
    assert float(number(value)) == pytest.approx(value, rel=0.00501)
    assert "e" not in number(value)


@pytest.mark.parametrize(
    ("value", "text"),
    [(True, "yes"), (10**40, "1" + "0" * 38 + "…"), ((), "none"), ("a" * 99, "a" * 39 + "…")],
)
def test_other_values(value, text) -> None:
    assert value_text(value) == text
