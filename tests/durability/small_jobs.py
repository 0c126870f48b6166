"""Jobs that compute next to nothing, so that many of them can be killed in a short time.

All but the work is real: the queue, executors, processes, leases, checkpoints, commits. A pretraining leaves
weights, an adaptation goes on from them, an evaluation makes score rows of those: what is lost on the way, or
done twice, changes them.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn

from mribench.execute import local, retries, worker
from mribench.execute.scheduler import execute
from mribench.execute.watcher import Summary
from mribench.interfaces.executor import Resources
from mribench.interfaces.options import NoOptions
from mribench.jobs import Context, Outcome
from mribench.plan import Job
from mribench.results import Store
from mribench.results.sound import require_sound
from mribench.results.specification import AdaptSpec, EvaluateSpec, Provenance
from mribench.results.sweep import sweep

sys.path.append(str(Path(__file__).parents[2] / "benchmarks" / "perf"))
from jobs import Silence, make_jobs

JOBS, AT_A_TIME = 50, 3
STEPS, STEP_S = 12, 0.02
BACKOFF_S = (0.05, 0.2, 0.5)
"""Nobody waits for a machine to come to itself here."""
_WEIGHTS = "encoder.safetensors"


def work(spec: object, context: Context) -> Outcome:
    """Run a job of any kind."""
    if isinstance(spec, EvaluateSpec):
        return _evaluate(spec, context)
    network = nn.Linear(3, 3, bias=False)
    nn.init.eye_(network.weight)
    if isinstance(spec, AdaptSpec):
        network.load_state_dict(_load(context, spec.pretrain_key))
    optimiser = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
    checkpoint = context.checkpoint()
    begun, extra = checkpoint.restore(network, optimiser)
    losses = list(extra.get("losses", []))
    for step in range(begun, STEPS):
        loss = network(torch.full((1, 3), 1.0 + step)).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
        checkpoint.save(network, optimiser, step + 1, {"losses": losses})
        time.sleep(STEP_S)
        context.tick(step + 1, STEPS)
    history = [{"step": float(step), "loss": loss} for step, loss in enumerate(losses)]
    return Outcome(weights={_WEIGHTS: dict(network.state_dict())}, history=history)


def _evaluate(spec: EvaluateSpec, context: Context) -> Outcome:
    weight = _load(context, spec.adapt_key)["weight"]
    outcome = Outcome()
    for subject in range(4):
        time.sleep(STEP_S)
        context.tick(subject + 1, 4)
        outcome.scores.append(
            {
                "job_key": context.directory.name,
                "subject": f"{spec.subjects[0]}-{subject}",
                "session": "1",
                "label": "all",
                "metric": "sum",
                "value": weight.double().sum().item() + subject,
                "unit": "1",
                "status": "ok",
                "penalty": 0.0,
            }
        )
    return outcome


def _load(context: Context, key: str | None) -> dict[str, torch.Tensor]:
    path = context.jobs / str(key) / _WEIGHTS
    require_sound(path)
    return load_file(path)


def main(*arguments: object) -> None:
    """Run a job in a process of its own, as ``worker.main`` does."""
    worker.run_spec = work  # type: ignore[assignment]
    worker.main(*arguments)  # type: ignore[arg-type]


def run(root: Path, executor: str, compute: Callable[[object, Context], Outcome] = work) -> int:
    """Run all jobs that are not done; 1 where one failed.

    Args:
        root: of the results.
        executor: by name.
        compute: what a job does, of the executor ``inline``.
    """
    torch.set_num_threads(1)
    retries.BACKOFF_S = BACKOFF_S  # type: ignore[assignment]
    make = {"inline": local.InlineExecutor, "local": local.LocalExecutor}[executor]
    if executor == "inline":
        worker.run_spec = compute  # type: ignore[assignment]
    else:
        worker.main = main  # type: ignore[assignment]
    store = Store(root)
    store.open()
    sweep(store)
    summary = Summary()
    jobs: dict[str, Job] = make_jobs(JOBS)  # type: ignore[assignment]
    resources = Resources(jobs=AT_A_TIME, checkpoint_every_s=0.0)
    execute(jobs, store, make(NoOptions(), resources), Silence(), Provenance(), summary)  # type: ignore[arg-type]
    for name, reason in summary.failed.items():
        print(f"failed: {name}: {reason}")
    return 1 if summary.failed else 0
