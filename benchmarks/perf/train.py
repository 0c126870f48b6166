"""What the harness adds to a training and to an evaluation: the quickstart's jobs beside bare loops.

    python benchmarks/perf/train.py [--rounds 9] [--steps 45] [--kind adapt] [--set KEY=VALUE]

A bare loop does the same mathematics with what is drawn and read already: network, loss, clipping, AdamW; or
windows, probabilities on the scan's own grid, the most probable class, Dice. Seconds are of the CPU, of one
thread, by turns; ratios are taken within a round: median (least to largest).
"""

from __future__ import annotations

import argparse
import copy
import dataclasses
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn

from mribench.jobs import adapt as adapt_module
from mribench.jobs.adapted import AdaptedModel
from mribench.jobs.context import Context
from mribench.jobs.evaluate import run_evaluate
from mribench.jobs.pretrain import Pretraining
from mribench.jobs.volumes import TaskScans
from mribench.plugins import load_registry
from mribench.results.specification import AdaptSpec, EvaluateSpec, JobSpec, PretrainSpec, read_specification
from mribench.training import Trainee, train

QUICKSTART = Path(__file__).parents[1] / "quickstart.yaml"
SHORT = (
    "seeds=[0]", "methods={seqinv: {views: seqinv, objective: simclr-recon}}", "reference_arms=[]",
    "defaults.pretrain.steps=2", "tasks.tissue.adapt.steps=2", "tasks.denoise.adapt.steps=2",
)  # fmt: skip
Work = Callable[[], object]
Draw = Callable[[int], Any]
Loss = Callable[[Any, int], Tensor]


@dataclasses.dataclass(frozen=True)
class Turns:
    """What is timed by turns: the harness, its data alone, the bare loop; and how many steps each takes."""

    kind: str
    unit: str
    harness: Work
    data: Work
    bare: Work
    steps: int


class _CapturedError(Exception):
    """What a job was about to train."""


def make_jobs(folder: Path, sets: Sequence[str]) -> dict[str, tuple[JobSpec, Context]]:
    """Run the quickstart with few steps, and return a job of each kind, those of classes first."""
    from mribench.commands.run import run_file

    run_file(QUICKSTART, (*SHORT, *sets), folder, "inline", (), None, (), False, False, False)
    found: dict[str, tuple[JobSpec, Context]] = {}
    for file in sorted(folder.glob("quickstart/jobs/*/job.json")):
        spec = read_specification(file.parent).spec
        device = torch.device("cpu")
        context = Context(load_registry(), file.parent, file.parent.parent, device, lambda *_: None, 1e9)
        is_of_classes = "segmentation" in str(getattr(spec, "task", ""))
        if spec.kind not in found or is_of_classes:
            found[spec.kind] = spec, context
    return found


def lengthen(options: Mapping[str, Any], steps: int) -> dict[str, Any]:
    """Return the options of a training with another number of steps."""
    return {**options, "steps": steps}


def bare_training(module: nn.Module, options: Any, batches: Sequence[Any], loss: Loss) -> Work:
    """Return a loop that trains a module on batches that are drawn already."""
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]

    def work() -> None:
        optimiser = torch.optim.AdamW(trained, lr=options.lr, weight_decay=options.weight_decay)
        for step, batch in enumerate(batches):
            optimiser.zero_grad()
            value = loss(batch, step)
            value.backward()
            nn.utils.clip_grad_norm_(trained, options.clip_norm)
            optimiser.step()
            value.item()

    return work


def training(kind: str, trainee: Trainee, options: Any, steps: int, draw: Draw, make_loss: Any) -> Turns:
    """Return the turns of a training."""
    module = copy.deepcopy(trainee.module)
    batches = [draw(number) for number in range(steps)]
    return Turns(
        kind,
        "step",
        lambda: train(trainee, options, torch.device("cpu")),
        lambda: [draw(number) for number in range(steps)],
        bare_training(module, options, batches, make_loss(module)),
        steps,
    )


def pretraining(spec: PretrainSpec, context: Context, steps: int) -> Turns:
    """Return the turns of a pretraining; its checks of the embeddings count as the harness's."""
    job = Pretraining(dataclasses.replace(spec, pretrain=lengthen(spec.pretrain, steps)), context)
    job.check()  # its views are drawn once

    def make_loss(module: Any) -> Loss:
        def loss(views: Any, step: int) -> Tensor:
            terms = module.loss(views, step, steps)
            return sum(job.weights.get(name, 1.0) * value for name, value in terms.items())

        return loss

    return training("pretrain", job, job.options, steps, job.views, make_loss)


def adaptation(spec: AdaptSpec, context: Context, steps: int) -> Turns:
    """Return the turns of an adaptation."""

    def capture(trainee: Any, options: Any, *_: Any) -> None:
        raise _CapturedError(trainee, options)

    longer = dataclasses.replace(spec, adapt=lengthen(spec.adapt, steps))
    with mock.patch.object(adapt_module, "train", capture):
        try:
            adapt_module.run_adapt(longer, context)
        except _CapturedError as captured:
            trainee, options = captured.args
    task = context.make(spec.task, spec.profile)

    def make_loss(module: Any) -> Loss:
        def loss(batch: Any, _: int) -> Tensor:
            with torch.set_grad_enabled(not module.frozen):
                maps = module.encoder.feature_maps(batch["image"])
            return task.loss(module.head(maps), batch)

        return loss

    return training(
        "adapt", trainee, options, steps, lambda number: trainee.sampler.batch(number)[0], make_loss
    )


def evaluation(spec: EvaluateSpec, context: Context, _: int) -> Turns:
    """Return the turns of an evaluation, of a model that is loaded already."""
    from monai.inferers import sliding_window_inference

    task = context.make(spec.task, spec.profile)
    options = adapt_module.AdaptOptions.model_validate(spec.adapt)
    window_vox = options.windows_vox()
    model = AdaptedModel(spec, context, task, window_vox).model
    scans = TaskScans(spec, context, task, spec.subjects, options.spacing_mm)
    volumes = list(scans)

    def bare() -> list[float]:
        dice: list[float] = []
        for volume in volumes:
            with torch.no_grad():
                output = sliding_window_inference(
                    volume.image[None], window_vox, 4, model, overlap=options.overlap, mode="gaussian"
                )[0]
                classes = volume.to_native(output.softmax(0)).argmax(0).numpy()
            for number in range(1, len(output)):
                masks = classes == number, volume.native_label == number
                both = (masks[0] & masks[1]).sum()
                dice.append(float(2 * both / (masks[0].sum() + masks[1].sum())))
        return dice

    expected = [row["value"] for row in run_evaluate(spec, context).scores if row["metric"] == "dice"]
    if bare() != expected:
        raise SystemExit("evaluate: other scores than the harness's")
    return Turns(
        "evaluate", "scan", lambda: run_evaluate(spec, context), lambda: list(scans), bare, len(volumes)
    )


KINDS = {"pretrain": pretraining, "adapt": adaptation, "evaluate": evaluation}


def cpu_s(work: Work) -> float:
    """Return how long one call takes, of the CPU."""
    started = time.process_time()
    work()
    return time.process_time() - started


def describe(values: Sequence[float], digits: int = 2) -> str:
    """Return the median and the range."""
    middle = statistics.median(values)
    return f"{middle:.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def row(turns: Turns, rounds: int) -> str:
    """Return a line of the table; the first round warms up."""
    works = (turns.harness, turns.data, turns.bare)
    taken = [tuple(cpu_s(work) for work in works) for _ in range(1 + rounds)][1:]
    whole, data, bare = ([each[place] for each in taken] for place in range(3))
    shares = [
        [100 * part / total for part, total in zip(parts, whole, strict=True)] for parts in (data, bare)
    ]
    rest = [100 - sum(both) for both in zip(*shares, strict=True)]
    cells = [
        f"{turns.kind}, a {turns.unit}",
        describe([1e3 * value / turns.steps for value in whole], 1),
        describe([1e3 * value / turns.steps for value in bare], 1),
        describe([total / alone for total, alone in zip(whole, bare, strict=True)]),
        *(f"{statistics.median(values):.0f}" for values in (*shares, rest)),
    ]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--steps", type=int, default=45, help="of a training in each round")
    parser.add_argument("--kind", choices=KINDS, action="append")
    parser.add_argument("--set", action="append", default=[], help="changes the quickstart, as of mribench")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        os.environ.setdefault("MRIBENCH_CACHE", str(Path(name) / "cache"))
        jobs = make_jobs(Path(name), arguments.set)
        torch.set_num_threads(1)
        print("| what | harness, ms | bare loop, ms | ratio | data, % | compute, % | harness, % |")
        print("|:--|--:|--:|--:|--:|--:|--:|")
        for kind in arguments.kind or KINDS:
            print(row(KINDS[kind](*jobs[kind], arguments.steps), arguments.rounds), flush=True)


if __name__ == "__main__":
    main()
