"""The layout in docs/report.md shows what the page says.

``PYTHONPATH=tests/report python tests/report/test_report_docs.py`` writes its output anew.
"""

from __future__ import annotations

import tempfile
import zlib
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import yaml
from click.testing import CliRunner
from synthetic_results import DICE, PSNR, Benchmark, Cell, task

from mribench.cli.results import report as command
from mribench.config import digest_config, load_benchmark
from mribench.interfaces.table_source import Dimension, LayoutSpec

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "report.md"
QUICKSTART = ROOT / "benchmarks" / "quickstart.yaml"
SEQUENCES = ("T1w", "T2w", "PDw")
NAME = "seen-unseen"


def noise(*key: object) -> float:
    return float(np.random.default_rng(zlib.crc32(repr(key).encode())).normal())


def score(cell: Cell, metric: str, subject: str, label: str) -> float:
    """Best is ``seqaug``, which the layout leaves out; unseen sequences cost ``base`` most."""
    method, tested = cell["method"], cell["test_sequence"]
    value = {"base": 0.62, "seqaug": 0.72, "seqinv": 0.66, "scratch": 0.5, "identity": 0.1}.get(method, 0.4)
    value -= 0.04 * (cell["test_site"] == "HH")
    value -= (0.25 if method == "base" else 0.1) * (tested != "T1w")
    return value + 0.02 * noise(subject, tested) + 0.005 * noise(method, cell["seed"], tested, subject, label)


BENCHMARK = Benchmark(
    score,
    tasks={
        "tissue": task([DICE], (0.1, 1.0), ("T1w",), ("Guys", "HH"), SEQUENCES),
        "denoise": task([PSNR], (1.0,), ("T1w",), ("Guys", "HH"), SEQUENCES),
    },
    methods=("base", "seqaug", "seqinv"),
    references=("scratch", "random-frozen", "identity"),
    subjects=("IXI001", "IXI002", "IXI003", "IXI004"),
    transfer=True,
)


def part(name: str) -> str:
    text = PAGE.read_text(encoding="utf-8")
    assert text.count(f"<!-- {name} -->\n") == 1
    return text.partition(f"<!-- {name} -->\n")[2].partition(f"<!-- /{name} -->")[0]


def layout() -> dict[str, Any]:
    body: dict[str, Any] = yaml.safe_load(part("layout").removeprefix("```yaml\n").removesuffix("```\n"))
    return body


def output(folder: Path) -> str:
    """Return what the command prints where the page's YAML stands in the quickstart's file after its run."""
    content = yaml.safe_load(QUICKSTART.read_text(encoding="utf-8"))
    before, file = folder / "before.yaml", folder / "quickstart.yaml"
    before.write_text(yaml.safe_dump(content), encoding="utf-8")
    BENCHMARK.write(folder / "results" / "quickstart", digest_config(load_benchmark(before)))
    file.write_text(yaml.safe_dump(content | layout()), encoding="utf-8")
    arguments = [str(file), "--results", str(folder / "results"), "--table", NAME]
    result = CliRunner(env={"COLUMNS": "110"}).invoke(command, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    lines = [line.rstrip() for line in result.stdout.strip("\n").splitlines()]
    text = "\n".join(lines)
    return f"```text\n$ mribench report benchmarks/quickstart.yaml --table {NAME}\n\n{text}\n```\n"


def test_the_output_is_what_is_printed(tmp_path: Path) -> None:
    """Again: PYTHONPATH=tests/report python tests/report/test_report_docs.py."""
    assert part("layout output") == output(tmp_path)


def test_the_output_shows_what_the_page_says_of_marks() -> None:
    text = part("layout output")
    assert "**" not in text.partition("Mean ± SE")[0], "the best is not shown"
    assert "5 rows, 3 of them not shown (seqaug, scratch, random-frozen)" in text


@pytest.mark.parametrize("name", [*LayoutSpec.model_fields, *get_args(Dimension), "own", "all", "averaged"])
def test_every_key_and_dimension_is_named(name: str) -> None:
    section = PAGE.read_text(encoding="utf-8").partition("## Layouts of your own\n")[2].partition("\n## ")[0]
    table = [line for line in section.splitlines() if line.startswith("| ")]
    assert any(f"`{name}`" in line for line in table)


def write() -> None:
    text = PAGE.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        shown = output(Path(folder))
    before, _, rest = text.partition("<!-- layout output -->\n")
    after = rest.partition("<!-- /layout output -->")[2]
    made = f"{before}<!-- layout output -->\n{shown}<!-- /layout output -->{after}"
    PAGE.write_text(made, encoding="utf-8")


if __name__ == "__main__":
    write()
