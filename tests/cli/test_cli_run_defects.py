"""A run says which known defects it reproduces."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from mribench.cli.benchmarks import run as command
from mribench.results.merged import profile_sentence

LABEL = "corrected+active-dropout+pooled-rows"


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (
            ["defects=[pooled-rows, active-dropout]"],
            f"Profile: {LABEL}, reproducing the known defects: active-dropout, pooled-rows.",
        ),
        (["defects=[]"], ""),
    ],
)
def test_it_prints_the_sentence_of_the_captions(
    repository: Path, tmp_path: Path, settings: list[str], sentence: str
) -> None:
    arguments = [
        str(repository / "tests" / "benchmarks" / "tiny.yaml"),
        "--dry-run",
        "--results",
        str(tmp_path),
    ]
    result = CliRunner().invoke(
        command, [*arguments, *(part for text in settings for part in ("--set", text))]
    )
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    said = [line for line in result.output.splitlines() if line.startswith("Profile:")]
    assert said == ([sentence] if sentence else [])
    if sentence:
        names = ["pooled-rows", "active-dropout"]
        assert profile_sentence({LABEL: names}) == sentence
