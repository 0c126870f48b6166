"""What importing a report, a comparison and their statistics loads: nothing that takes seconds."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = (
    "scipy.stats", "torch", "monai", "matplotlib", "sklearn", "statsmodels", "scikit_posthocs", "nibabel",
)  # fmt: skip
MODULES = (
    "mribench.report",
    "mribench.compare",
    *(f"mribench.statistics.{name}" for name in (
        "effects", "findings", "checkpoints", "ranks", "blocks", "crossed", "difference", "ties",
    )),
)  # fmt: skip


def loaded(*modules: str) -> list[str]:
    """Return what of ``HEAVY`` importing some modules loads, in a fresh interpreter."""
    program = (
        "import importlib, sys\nheavy, modules = (words.split(',') for words in sys.argv[1:])\n"
        "for name in modules:\n    importlib.import_module(name)\n"
        "print(*[name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, ",".join(HEAVY), ",".join(modules)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.split()


@pytest.mark.parametrize("modules", [MODULES[:1], MODULES[1:2], MODULES[2:]])
def test_importing_loads_nothing_slow(modules: tuple[str, ...]) -> None:
    assert loaded(*modules) == []


def test_what_is_slow_is_seen() -> None:
    assert loaded("mribench.compare", "scipy.stats") == ["scipy.stats"]
