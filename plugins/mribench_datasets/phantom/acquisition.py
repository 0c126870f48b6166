"""From a head to images and maps."""

from __future__ import annotations

from collections.abc import Mapping

import nibabel as nib
import numpy as np
import torch
from nibabel import orientations

from mribench.data.volumes import Volume
from mribench.errors import DataError
from mribench.interfaces import MRISequence
from mribench_datasets.phantom.anatomy import NERVOUS, Anatomy
from mribench_datasets.phantom.protocols import Protocol
from mribench_datasets.phantom.tissues import PROPERTIES, TISSUES, at_field

FIELD_OF_VIEW_MM = (208.0, 248.0, 224.0)
"""Holds every head that the warp can make."""

_TEXTURE = 0.06
_MAP_NOISE = {"PD": 1.0, "R1": 0.02, "R2s": 0.8, "MTsat": 0.04, "R2": 0.4}
_BIAS_ORDER = 4
_LEAST_TISSUE = 0.3


def native_grid(
    spacing_mm: float, edge_scale: tuple[float, float, float] = (1.0, 1.0, 1.0)
) -> tuple[np.ndarray, tuple[int, int, int]]:
    """Return the RAS grid of an acquisition: affine ``(4, 4)`` in mm and shape ``(I, J, K)``."""
    edges_mm = np.array(edge_scale) * spacing_mm
    i, j, k = np.ceil(np.array(FIELD_OF_VIEW_MM) / edges_mm).astype(int).tolist()
    affine = np.diag([*edges_mm, 1.0])
    affine[:3, 3] = -(np.array((i, j, k)) - 1) / 2 * edges_mm
    return affine, (i, j, k)


def tissue_signals(sequence: MRISequence, protocol: Protocol, values_3t: np.ndarray) -> np.ndarray:
    """Return the signal of each tissue in the order of ``TISSUES``.

    Args:
        sequence: its signal equation.
        protocol: parameters and field strength.
        values_3t: ``(tissues, properties)``.

    Raises:
        DataError: when the sequence finds the parameters impossible.
    """
    problem = sequence.invalid(dict(protocol.parameters))
    if problem:
        raise DataError(
            f"the phantom's {protocol.sequence} protocol does not suit '{sequence.name}': {problem}"
        )
    values = at_field(values_3t, protocol.field_t)
    maps = {
        name: torch.from_numpy(values[:, i].copy()).view(1, -1, 1, 1) for i, name in enumerate(PROPERTIES)
    }
    parameters = {
        name: torch.full((1, 1, 1, 1), value, dtype=torch.float64)
        for name, value in protocol.parameters.items()
    }
    signals: np.ndarray = sequence.signal(maps, parameters).numpy().reshape(-1)
    return signals


def acquire(
    anatomy: Anatomy,
    memberships: np.ndarray,
    texture: np.ndarray,
    affine: np.ndarray,
    protocol: Protocol,
    sequence: MRISequence,
    generator: np.random.Generator,
) -> Volume:
    """Simulate a magnitude image.

    Signals add up over the tissues of a voxel (partial volume), are modulated by the subject's texture and
    the receive field, and get Rician noise (Gudbjartsson and Patz 1995, doi 10.1002/mrm.1910340618).

    Args:
        anatomy: whose tissue values count.
        memberships: ``(tissues, I, J, K)``.
        texture: ``(I, J, K)``.
        affine: of both.
        protocol: how it is acquired.
        sequence: the signal equation.
        generator: of this scan: receive field and noise.

    Returns:
        Whole numbers in the protocol's orientation.
    """
    signals = tissue_signals(sequence, protocol, anatomy.values_3t)
    signals = (signals / signals[TISSUES.index("wm")]).astype(np.float32)
    clean = np.tensordot(signals, memberships, axes=1) * (1 + _TEXTURE * texture)
    clean *= _receive_field(clean.shape, protocol.bias, generator)
    real, imaginary = protocol.noise * generator.standard_normal((2, *clean.shape), dtype=np.float32)
    image = np.rint(protocol.gain * np.hypot(clean + real, imaginary))
    return reorient(Volume(image, affine), protocol.orientation)


def quantitative_maps(
    anatomy: Anatomy,
    memberships: np.ndarray,
    texture: np.ndarray,
    affine: np.ndarray,
    generator: np.random.Generator,
) -> dict[str, Volume]:
    """Return PD, R1, R2s, MTsat and R2 maps as a fit would give them: water-weighted means, and noise.

    More water goes with slower relaxation, so the texture raises PD and lowers the rates and MTsat
    (Fatouros et al. 1991, doi 10.1002/mrm.1910170210). Air is zero.
    """
    values = anatomy.values_3t.astype(np.float32)
    water = values[:, 0]
    density = np.tensordot(water, memberships, axes=1)
    maps = {}
    for column, name in enumerate(PROPERTIES):
        if name == "PD":
            clean = density * (1 + _TEXTURE * texture)
        else:
            weighted = np.tensordot(water * values[:, column], memberships, axes=1)
            clean = weighted / np.maximum(density, 1e-6) * (1 - _TEXTURE * texture)
        noise = _MAP_NOISE[name] * generator.standard_normal(density.shape, dtype=np.float32)
        maps[name] = Volume(np.where(density > 1.0, (clean + noise).clip(0), 0), affine)
    return maps


def posteriors(memberships: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return grey matter (deep nuclei among it), white matter and CSF ``(I, J, K)``, as SPM's c1, c2, c3.

    Of a lesion, the cavity counts as CSF and the rim as white matter.
    """
    share = dict(zip(TISSUES, memberships, strict=True))
    gm = share["gm"] + share["striatum"] + share["thalamus"] + share["pallidum"]
    return gm, share["wm"] + share["rim"], share["csf"] + share["cavity"]


def lesion_mask(memberships: np.ndarray) -> np.ndarray:
    """Return where ``(I, J, K)`` most of the nervous tissue is lost, as a person would outline it.

    Voxels that are mostly CSF stay out; of a lesion too small to fill a voxel, the most affected one is kept.
    """
    share = dict(zip(TISSUES, memberships, strict=True))
    lesion = share["cavity"] + share["rim"]
    tissue = lesion + np.sum([share[name] for name in NERVOUS], axis=0)
    mask = (lesion >= 0.5 * tissue) & (tissue >= _LEAST_TISSUE)
    if not mask.any():
        mask = (lesion == lesion.max()) & (lesion > 0)
    return mask


def reorient(volume: Volume, codes: str) -> Volume:
    """Return the same voxels with axes in another order, e.g. ``PSR``; world coordinates stay."""
    transform = orientations.ornt_transform(
        nib.io_orientation(volume.affine), orientations.axcodes2ornt(tuple(codes))
    )
    affine = volume.affine @ orientations.inv_ornt_aff(transform, volume.shape_vox)
    return Volume(orientations.apply_orientation(volume.data, transform), affine)


def signal_probe(
    sequences: Mapping[str, MRISequence], protocols: list[Protocol], values: np.ndarray
) -> list[str]:
    """Return the tissues' signals as short texts: two cohorts with other signals are other cohorts."""
    return [
        f"{signal:.6g}"
        for protocol in protocols
        for signal in tissue_signals(sequences[protocol.sequence], protocol, values)
    ]


def _receive_field(shape: tuple[int, ...], sd: float, generator: np.random.Generator) -> np.ndarray:
    """Return a smooth positive field ``(I, J, K)`` around 1: low cosines with random coefficients."""
    basis = [
        np.cos(np.pi * np.arange(_BIAS_ORDER)[:, None] * (np.arange(n) + 0.5) / n).astype(np.float32)
        for n in shape
    ]
    order = np.add.outer(np.add.outer(range(_BIAS_ORDER), range(_BIAS_ORDER)), range(_BIAS_ORDER))
    coefficients = generator.standard_normal(order.shape) / (1 + order)
    coefficients[0, 0, 0] = 0
    logarithm = np.einsum("abc,ai,bj,ck->ijk", coefficients, *basis, optimize=True)
    field: np.ndarray = np.exp(sd * logarithm / logarithm.std())
    return field
