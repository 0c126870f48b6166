"""``mribench plan`` says what is trained and tested on."""

from __future__ import annotations

from pathlib import Path

import pytest
from support_cli import Mribench

TINY = Path(__file__).parent.parent / "benchmarks" / "tiny.yaml"


@pytest.mark.parametrize(
    ("sequences", "said"),
    [
        ("same", "tissue: trained on T1w, T2w, each tested on its own sequence"),
        ("all", "tissue: trained on T1w, T2w, tested on T1w, T2w, PDw"),
        ("[PDw]", "tissue: trained on T1w, T2w, tested on PDw"),
    ],
)
def test_tested_sequences_are_named(mribench: Mribench, tmp_path: Path, sequences: str, said: str) -> None:
    made = mribench("run", TINY, "--results", tmp_path, "--executor", "inline", "--only", "identity/*/HH/*")
    assert made.code == 0, made  # the phantoms are there now
    trained = ("--set", "tasks.tissue.train_sequences=[T1w, T2w]")
    plan = mribench(
        "plan", TINY, "--results", tmp_path, *trained, "--set", f"tasks.tissue.test_sequences={sequences}"
    )
    assert said in plan.out.splitlines()
