"""Writes the table of parameters of docs/sequences.md: ``python docs/figures/sequence_ranges.py``."""

from __future__ import annotations

import math

from mribench_views.sampling import (
    TABLES,
    Constant,
    Distribution,
    LogUniform,
    Normal,
    TenToNormal,
    Uniform,
    WholeUniform,
)
from redraw_rates import PROFILES, replace_part

UNITS = {"_s": "s", "_deg": "degrees"}
MEANING = {
    "te_s": "echo time TE",
    "tr_s": "repetition time TR",
    "ti_s": "inversion time TI",
    "ti1_s": "first inversion time TI1",
    "ti2_s": "second inversion time TI2",
    "tx_s": "time between excitations TX",
    "flip_angle_deg": "flip angle α",
    "flip_angle1_deg": "flip angle of the first train α1",
    "flip_angle2_deg": "flip angle of the second train α2",
    "n_excitations": "excitations of a train n",
    "inversion_efficiency": "inversion efficiency η",
}


def notation(distribution: Distribution) -> str:
    """Return a distribution as the document writes it."""
    match distribution:
        case Constant(value):
            return f"{value:g}"
        case Uniform(low, high):
            return f"U({low:g}, {high:g})"
        case LogUniform(low, high):
            return f"logU({low:g}, {high:g})"
        case WholeUniform(low, high):
            return f"U{{{low:g} … {high:g}}}"
        case TenToNormal(median, sd):
            return f"10^N(log10 {median:g}, {sd:g})"
        case Normal(mean, sd, ceiling, whole):
            limited = "" if math.isinf(ceiling) else f", reflected at {ceiling:g}"
            return f"N({mean:g}, {sd:g}){limited}{', truncated' if whole else ''}"
    raise TypeError(f"no notation for {distribution}")


def unit(parameter: str) -> str:
    """Return the unit that a parameter's name ends in."""
    return next((text for ending, text in UNITS.items() if parameter.endswith(ending)), "–")


def table() -> str:
    """Return the table in Markdown."""
    rows = [
        "| sequence | parameter | meaning | unit | corrected | paper | as-released |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, profiles in TABLES.items():
        parameters = dict.fromkeys(key for profile in PROFILES for key in profiles[profile])
        for key in parameters:
            cells = [notation(profiles[p][key]) if key in profiles[p] else "–" for p in PROFILES]
            if (name, key) == ("mprage", "tx_s"):
                cells[-1] = "2 TE"
            rows.append(f"| {name} | `{key}` | {MEANING[key]} | {unit(key)} | {' | '.join(cells)} |")
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    replace_part("parameters", table())
