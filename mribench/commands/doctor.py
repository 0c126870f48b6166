"""What ``mribench doctor`` does."""

from __future__ import annotations

import os
import platform

import click
import psutil
import torch

from mribench.execute.provenance import versions
from mribench.plugins import load_registry
from mribench.volumes.cache import cache_dir


def describe_machine() -> int:
    """Say what this machine has, for a question or a bug report."""
    registry = load_registry()
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    click.echo(f"python    {platform.python_version()} on {platform.platform()}")
    click.echo(f"versions  {versions()}")
    click.echo(f"cores     {os.cpu_count()}, memory {psutil.virtual_memory().total / 2**30:.0f} GiB")
    click.echo(f"GPUs      {', '.join(gpus) or 'none: everything runs on the CPU'}")
    click.echo(f"cache     {cache_dir()}")
    click.echo(f"entries   {len(list(registry))}")
    for problem in registry.problems:
        click.secho(f"skipped   {problem}", fg="yellow")
    return 1 if registry.problems else 0
