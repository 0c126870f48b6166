"""From a head to images and maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import nibabel as nib
import numpy as np
import torch
from nibabel import orientations

from mribench.errors import DataError
from mribench.interfaces import MRISequence
from mribench.volumes import Volume
from mribench_datasets.phantom.head import NERVOUS, Head
from mribench_datasets.phantom.protocols import Protocol
from mribench_datasets.phantom.tissues import PROPERTIES, TISSUES, VALUES_3T, at_field

_TEXTURE = 0.06
_MAP_NOISE = {"PD": 1.0, "R1": 0.02, "R2s": 0.8, "MTsat": 0.04, "R2": 0.4}
_MOST_MAP_NOISE = 0.1  # as a share of the value
_BIAS_ORDER = 4
_LEAST_TISSUE = 0.3
_MEAN_ECHO_S = 0.010  # of a multi-echo FLASH readout


def tissue_signals(
    sequence: MRISequence, protocol: Protocol, values_3t: np.ndarray, tissues: Sequence[str] = TISSUES
) -> np.ndarray:
    """Return the signal of each row of tissue values.

    Args:
        sequence: its signal equation.
        protocol: parameters and field strength.
        values_3t: ``(tissues, properties)``.
        tissues: the name of each row.

    Raises:
        DataError: when the sequence finds the parameters impossible.
    """
    problem = sequence.invalid(dict(protocol.parameters))
    if problem:
        raise DataError(
            f"the phantom's {protocol.sequence} protocol does not suit '{sequence.name}': {problem}"
        )
    values = at_field(values_3t, protocol.field_t, tissues)
    maps = {
        name: torch.from_numpy(values[:, i].copy()).view(1, -1, 1, 1) for i, name in enumerate(PROPERTIES)
    }
    parameters = {
        name: torch.full((1, 1, 1, 1), value, dtype=torch.float64)
        for name, value in protocol.parameters.items()
    }
    signals: np.ndarray = sequence.signal(maps, parameters).numpy().reshape(-1)
    return signals


def acquire(head: Head, protocol: Protocol, sequence: MRISequence, generator: np.random.Generator) -> Volume:
    """Simulate a magnitude image.

    Signals add up over the tissues of a voxel (partial volume), are modulated by the subject's texture and
    the receive field, and get Rician noise (Gudbjartsson and Patz 1995, doi 10.1002/mrm.1910340618).

    Args:
        head: on the grid of the acquisition.
        protocol: how it is acquired.
        sequence: the signal equation.
        generator: of this scan: receive field and noise.

    Returns:
        Whole numbers in the protocol's orientation; white matter of mean values has the protocol's gain.
    """
    signals = tissue_signals(sequence, protocol, head.values_3t, head.tissues)
    unit = tissue_signals(sequence, protocol, np.array([VALUES_3T["wm"]]), ("wm",))[0]
    clean = head.mix(signals / unit) * (1 + _TEXTURE * head.texture)
    clean *= _receive_field(head.shape, protocol.bias, generator)
    real, imaginary = protocol.noise * generator.standard_normal((2, *head.shape), dtype=np.float32)
    image = np.rint(protocol.gain * np.hypot(clean + real, imaginary))
    return reorient(Volume(image, head.affine), protocol.orientation)


def quantitative_maps(head: Head, generator: np.random.Generator) -> dict[str, Volume]:
    """Return PD, R1, R2s, MTsat and R2 maps as a fit would give them, and noise.

    PD is the mean over a voxel; the others are means weighted by the water that is still seen after 10 ms
    of R2* decay, so that a little bone does not spoil a voxel of fluid. More water goes with slower
    relaxation, so the texture raises PD and lowers the rates and MTsat (Fatouros et al. 1991,
    doi 10.1002/mrm.1910170210). The noise has one standard deviation in all tissue, but at most a tenth of
    the value, so that it neither makes a fluid's map negative nor moves its mean. Air is zero.
    """
    values = head.values_3t.astype(np.float32)
    density = head.mix(values[:, 0])
    seen = values[:, 0] * np.exp(-_MEAN_ECHO_S * values[:, PROPERTIES.index("R2s")])
    weight = np.maximum(head.mix(seen), 1e-6)
    maps = {}
    for column, name in enumerate(PROPERTIES):
        if name == "PD":
            clean = density * (1 + _TEXTURE * head.texture)
        else:
            clean = head.mix(seen * values[:, column]) / weight * (1 - _TEXTURE * head.texture)
        clean = np.where(density > 1.0, clean, 0)
        sd = np.minimum(_MAP_NOISE[name], _MOST_MAP_NOISE * clean)
        noise = sd * generator.standard_normal(head.shape, dtype=np.float32)
        maps[name] = Volume(np.maximum(clean + noise, 0), head.affine)
    return maps


def posteriors(head: Head) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return grey matter (deep nuclei among it), white matter and CSF ``(I, J, K)``, as SPM's c1, c2, c3.

    Of a lesion, the cavity counts as CSF and the rim as white matter; the brain stem is white matter and
    the choroid plexus CSF.
    """
    gm = head.share("gm", "striatum", "thalamus", "pallidum")
    return gm, head.share("wm", "brainstem", "wm_lesion", "rim"), head.share("csf", "choroid", "cavity")


def lesion_mask(head: Head) -> np.ndarray:
    """Return where ``(I, J, K)`` most of the nervous tissue is lost, as a person would outline it.

    Voxels that are mostly CSF stay out; of a lesion too small to fill a voxel, the most affected one is kept.
    """
    lesion = head.share("cavity", "rim")
    tissue = lesion + head.share(*NERVOUS)
    mask: np.ndarray = (lesion >= 0.5 * tissue) & (tissue >= _LEAST_TISSUE)
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
