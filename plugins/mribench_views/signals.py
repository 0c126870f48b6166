"""Signal equations of the simulated sequences: pure functions of tensors.

Times in s, rates in 1/s, angles in **radians**, magnetisation transfer as a **fraction**; every argument
broadcasts. Each function returns the transverse magnetisation per unit of PD; the caller multiplies with
PD and B1⁻. Differences ``1 - exp(-x)`` are formed by ``expm1``, so float32 is enough. Exponentials overwrite
what they are taken of: these functions wait for memory, not for arithmetic.
"""

from __future__ import annotations

import torch
from torch import Tensor


def recovered(r1_per_s: Tensor, time_s: Tensor) -> Tensor:
    """Return ``1 - exp(-R1 t)``, the share of magnetisation that recovers in ``time_s``."""
    return -(r1_per_s * -time_s).expm1_()


def decayed(rate_per_s: Tensor, time_s: Tensor) -> Tensor:
    """Return ``exp(-R t)``, the share of magnetisation that is left after ``time_s``."""
    return (rate_per_s * -time_s).exp_()


def spin_echo(r1_per_s: Tensor, r2_per_s: Tensor, te_s: Tensor, tr_s: Tensor) -> Tensor:
    """Return the (fast) spin echo signal ``(1 - E(TR)) exp(-R2 TE)``."""
    return recovered(r1_per_s, tr_s) * decayed(r2_per_s, te_s)


def spoiled_gradient_echo(
    r1_per_s: Tensor, r2s_per_s: Tensor, mt_fraction: Tensor, te_s: Tensor, tr_s: Tensor, angle_rad: Tensor
) -> Tensor:
    """Return the spoiled gradient echo (Ernst) signal with MT saturation.

    Helms et al. 2008, doi 10.1002/mrm.21732: the saturation δ acts on the longitudinal magnetisation
    once every TR.
    """
    kept = 1 - mt_fraction
    recovery = recovered(r1_per_s, tr_s)
    steady = recovery / (1 - torch.cos(angle_rad) * kept * (1 - recovery))
    return torch.sin(angle_rad) * kept * steady * decayed(r2s_per_s, te_s)


def inversion_spin_echo(
    r1_per_s: Tensor, r2_per_s: Tensor, te_s: Tensor, tr_s: Tensor, ti_s: Tensor
) -> Tensor:
    """Return the **signed** inversion recovery signal ``exp(-R2 TE) (1 - 2 E(TI) + E(TR))``."""
    longitudinal = 2 * recovered(r1_per_s, ti_s) - recovered(r1_per_s, tr_s)
    return longitudinal * decayed(r2_per_s, te_s)


class ExcitationTrain:
    """A train of small excitations, TX apart, seen by the longitudinal magnetisation.

    After k excitations M becomes ``M qᵏ + g(k)`` with ``q = cos α E(TX)`` and
    ``g(k) = (1 - E(TX)) (1 - qᵏ) / (1 - q)`` (Marques et al. 2010, doi 10.1016/j.neuroimage.2009.10.002):
    it goes from M towards a steady state by the share ``1 - qᵏ``.

    Args:
        r1_tx: longitudinal rate times TX, the time between excitations.
        recovery: ``1 - E(TX)``; trains of one subject share it.
        angle_rad: flip angle, below 90 degrees.
    """

    def __init__(self, r1_tx: Tensor, recovery: Tensor, angle_rad: Tensor) -> None:
        cosine = torch.cos(angle_rad)
        self.sine = torch.sin(angle_rad)
        self.log_cosine = torch.log(cosine)
        self._log_q = self.log_cosine - r1_tx
        # 1 - cos α E(TX) without cancellation at small angles: 1 - cos α = sin² α / (1 + cos α)
        versine = self.sine**2 / (1 + cosine)
        self._steady = recovery / torch.addcmul(versine, cosine, recovery)

    def kept(self, excitations: Tensor) -> Tensor:
        """Return ``qᵏ``, what is left of a magnetisation after k excitations."""
        return (self._log_q * excitations).exp_()

    def after(self, magnetisation: Tensor, kept: Tensor) -> Tensor:
        """Return what becomes of a longitudinal magnetisation of which ``kept`` is left."""
        return torch.lerp(self._steady, magnetisation, kept)


class FreeRecovery:
    """Recovery without excitations, for times long enough that ``exp`` will do (it is much the cheapest).

    Args:
        r1_per_s: longitudinal rate.
        time_s: its duration.
    """

    def __init__(self, r1_per_s: Tensor, time_s: Tensor) -> None:
        self._kept = decayed(r1_per_s, time_s)
        self._equilibrium = r1_per_s.new_ones(())

    def of(self, magnetisation: Tensor) -> Tensor:
        """Return what becomes of a longitudinal magnetisation."""
        return torch.lerp(self._equilibrium, magnetisation, self._kept)

    def of_nothing(self) -> Tensor:
        """Return what becomes of no magnetisation."""
        return 1 - self._kept


def mprage(
    r1_per_s: Tensor,
    tr_s: Tensor,
    ti_s: Tensor,
    tx_s: Tensor,
    angle_rad: Tensor,
    n_excitations: Tensor,
    inversion_efficiency: Tensor,
) -> Tensor:
    """Return the **signed** MPRAGE signal without R2*: Marques et al. 2010, one train, read at ⌊n/2⌋.

    The magnetisation before the inversion, M, is that of the steady state: what one cycle makes of
    ``-η M`` is M again. doi 10.1016/j.neuroimage.2009.10.002.
    """
    half_s = n_excitations * tx_s / 2
    train = ExcitationTrain(r1_per_s * tx_s, recovered(r1_per_s, tx_s), angle_rad)
    preparation = FreeRecovery(r1_per_s, ti_s - half_s)
    rest = FreeRecovery(r1_per_s, tr_s - ti_s - half_s)
    cycle = rest.of(train.after(preparation.of_nothing(), train.kept(n_excitations)))
    memory = (n_excitations * train.log_cosine - r1_per_s * tr_s).exp_()
    inverted = cycle / (-1 / inversion_efficiency - memory)
    centre = train.after(preparation.of(inverted), train.kept(torch.floor(n_excitations / 2) - 1))
    return centre * train.sine


def mprage_as_printed(
    r1_per_s: Tensor, tr_s: Tensor, ti_s: Tensor, tx_s: Tensor, angle_rad: Tensor, n_excitations: Tensor
) -> Tensor:
    """Return what the paper's Table 4 prints for MPRAGE: no inversion, no R2*, hardly any contrast."""
    cosine = torch.cos(angle_rad)
    recovery = recovered(r1_per_s, tr_s)
    steady = torch.sin(angle_rad) * recovery / (1 - cosine * (1 - recovery))
    left = 1 - (cosine * decayed(r1_per_s, tx_s)) ** n_excitations
    delay_s = tr_s - ti_s - n_excitations * tx_s / 2
    kept = 1 - recovered(r1_per_s, delay_s)
    return (steady * left * kept + 1 - kept).abs()


def mp2rage(
    r1_per_s: Tensor,
    tr_s: Tensor,
    ti1_s: Tensor,
    ti2_s: Tensor,
    tx_s: Tensor,
    angle1_rad: Tensor,
    angle2_rad: Tensor,
    n_excitations: Tensor,
    inversion_efficiency: Tensor,
) -> Tensor:
    """Return the **signed** MP2RAGE ratio ``i1 i2 / (i1² + i2²)``, -0.5 to 0.5; 0 where there is no signal.

    Marques et al. 2010, doi 10.1016/j.neuroimage.2009.10.002. The second image is followed forward from
    the first, which equals the published propagation back from the end of the cycle, in the steady state,
    and does not lose float32's digits.
    """
    n = n_excitations
    half_s = n * tx_s / 2
    r1_tx, recovery = r1_per_s * tx_s, recovered(r1_per_s, tx_s)
    first = ExcitationTrain(r1_tx, recovery, angle1_rad)
    second = ExcitationTrain(r1_tx, recovery, angle2_rad)
    preparation = FreeRecovery(r1_per_s, ti1_s - half_s)
    between = FreeRecovery(r1_per_s, ti2_s - ti1_s - 2 * half_s)
    rest = FreeRecovery(r1_per_s, tr_s - ti2_s - half_s)

    whole_first = first.kept(n)
    waited = between.of(first.after(preparation.of_nothing(), whole_first))
    cycle = rest.of(second.after(waited, second.kept(n)))
    memory = (n * (first.log_cosine + second.log_cosine) - r1_per_s * tr_s).exp_()
    inverted = cycle / (-1 / inversion_efficiency - memory)

    before = preparation.of(inverted)
    m = torch.floor(n / 2)
    image1 = first.sine * first.after(before, first.kept(m - 1))
    waited = between.of(first.after(before, whole_first))
    image2 = second.sine * second.after(waited, second.kept(n - m))
    power = torch.addcmul(image1 * image1, image2, image2)
    return image1 * image2 / power.clamp_min(torch.finfo(power.dtype).tiny)
