"""How figures write the parameters of an acquisition and of an augmentation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mribench.interfaces import ParameterLabel

_AXES = "IJK"


def _axes_flipped(flips: Sequence[bool]) -> str:
    axes = "".join(axis for axis, flipped in zip(_AXES, flips, strict=True) if flipped)
    return f"flip {axes}" if axes else ""


def _cuboids(boxes: Sequence[object]) -> str:
    if not boxes:
        return ""
    return "1 cuboid" if len(boxes) == 1 else f"{len(boxes)} cuboids"


def _set_to(word: str, *, captioned: bool = True) -> ParameterLabel:
    return ParameterLabel(word, acquisition=True, captioned=captioned)


LABELS: Mapping[str, ParameterLabel] = {
    "te_s": _set_to("TE"),
    "tr_s": _set_to("TR"),
    "ti_s": _set_to("TI"),
    "ti1_s": _set_to("TI"),
    "ti2_s": _set_to("TI"),
    "tx_s": _set_to("TX", captioned=False),
    "flip_angle_deg": _set_to("α"),
    "flip_angle1_deg": _set_to("α"),
    "flip_angle2_deg": _set_to("α"),
    "n_excitations": _set_to("n_excitations", captioned=False),
    "inversion_efficiency": _set_to("inversion_efficiency", captioned=False),
    "rotation_deg": ParameterLabel("rot", neutral=0.0),
    "shear": ParameterLabel("shear", captioned=False),
    "scale": ParameterLabel("scale", neutral=1.0),
    "flip": ParameterLabel("flip", write=_axes_flipped),
    "offset_vox": ParameterLabel("offset", captioned=False),
    "elastic_sd_mm": ParameterLabel("elastic", neutral=0.0),
    "bias_sd": ParameterLabel("bias", neutral=0.0),
    "gibbs_kept": ParameterLabel("gibbs", neutral=1.0),
    "noise_sigma": ParameterLabel("noise σ", neutral=0.0),
    "dropout_cuboids_vox": ParameterLabel("cuboids", write=_cuboids),
}
"""By name of the parameter; those of the acquisition in the order in which they are written."""
