"""Samples of several channels: which tasks and encoders can have them."""

from __future__ import annotations

from mribench.config import TaskSpec
from mribench.errors import ConfigError
from mribench.interfaces.encoder import Encoder
from mribench.interfaces.input_contract import InputContract
from mribench.interfaces.task import Task
from mribench.registry import Resolved


def check_channels(where: str, spec: TaskSpec, task: Task) -> None:
    """Refuse several channels for a task that cannot have them.

    Raises:
        ConfigError: naming the channels.
    """
    several = [channels.name for channels in spec.trained_on if len(channels) > 1]
    if several and (not task.multichannel or spec.embed is not None):
        raise ConfigError(
            f"{where}.train_sequences: the task '{spec.task.name}' takes images of one channel, got"
            f" {several[0]}",
            "write each sequence for itself, in no list of its own",
        )
    if task.target_sequence is not None:
        for channels in (*spec.trained_on, *spec.all_tested_on(())):
            if task.target_sequence in channels.sequences:
                raise ConfigError(
                    f"{where}.train_sequences: {channels.name} has the image that the task"
                    f" '{spec.task.name}' is to predict, {task.target_sequence}",
                    "leave it out, or name another target",
                )


def check_widening(spec: TaskSpec, encoder: Resolved, wanted: InputContract) -> None:
    """Refuse several channels for an encoder that cannot be widened.

    Raises:
        ConfigError: when it wants intensities on a scale of its own, which is that of one image.
        PluginError: when nobody can tell which of its layers read the image.
    """
    for number in sorted({len(channels) for channels in spec.trained_on} - {1}):
        if wanted.intensity is not None:
            raise ConfigError(
                f"the encoder '{encoder.name}' wants intensities on a scale of its own, and that is known of"
                f" one channel only, not of {number}",
                "train on one sequence at a time, or take the intensity out of the method's input",
            )
        made: Encoder = encoder.make()
        made.widen_input(number)
