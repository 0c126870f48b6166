"""The section ``execution`` of a benchmark file: what it takes, and that it is what the command line has."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
import yaml

from mribench.cli import cli
from mribench.config import ExecutionSpec, digest_config, load_benchmark
from mribench.errors import ConfigError

TINY = Path(__file__).parent.parent / "benchmarks" / "tiny.yaml"


def load(folder: Path, execution: object) -> ExecutionSpec:
    file = folder / "tiny.yaml"
    file.write_text(yaml.safe_dump({**yaml.safe_load(TINY.read_text()), "execution": execution}))
    config = load_benchmark(file)
    assert digest_config(config) == digest_config(load_benchmark(TINY)), "it is no setting of a result"
    return config.execution


def test_what_a_file_says_is_read_and_the_command_line_goes_before_it(tmp_path: Path) -> None:
    text = """
    executor: {name: slurm, partition: gpu}
    jobs: 3
    gpus: [0, GPU-1]
    checkpoint_every: 300
    max_runtime: 12h
    """
    spec = load(tmp_path, yaml.safe_load(text))
    assert (spec.executor.name, spec.executor.options) == ("slurm", {"partition": "gpu"})
    assert (spec.jobs, spec.threads, spec.gpus) == (3, 1, [0, "GPU-1"])
    assert (spec.checkpoint_every, spec.max_runtime) == ("300", "12h")
    under = spec.under({"jobs": None, "threads": 2, "gpus": "1, 2", "max_runtime": "0"})
    assert (under.jobs, under.threads, under.gpus, under.max_runtime) == (3, 2, ["1", "2"], "0")
    assert under.executor == spec.executor


@pytest.mark.parametrize(
    ("execution", "message"),
    [
        ({"exekutor": "slurm"}, "execution.exekutor: unknown key"),
        ({"jobs": 0}, "execution.jobs: expected a number greater than 0"),
        ({"checkpoint_every": "soon"}, "expected a time such as 90s, 30m, 2h or 1d, got 'soon'"),
        ({"checkpoint_every": 0}, "expected more than nothing, got '0'"),
        ({"executor": {"partition": "gpu"}}, "of kind 'executor', got no name"),
    ],
)
def test_what_it_does_not_take_is_said(execution: object, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        load(tmp_path, execution)
    assert message in error.value.message


def test_help_says_the_defaults_of_the_file() -> None:
    options = {each.name: each for each in cli.commands["run"].params if isinstance(each, click.Option)}
    default = ExecutionSpec()
    shown = {name: options[name].show_default for name in type(default).model_fields if name in options}
    assert options.keys() >= type(default).model_fields.keys()
    assert {name: text for name, text in shown.items() if text} == {
        "executor": default.executor.name,
        "threads": str(default.threads),
        "checkpoint_every": default.checkpoint_every,
        "max_runtime": default.max_runtime,
        "no_progress_timeout": default.no_progress_timeout,
    }
    assert (default.jobs, default.gpus) == (None, [])
