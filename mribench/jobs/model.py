"""Encoders by where they come from, and an encoder with a task's head."""

from __future__ import annotations

import functools
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import torch
from pydantic import ValidationError
from torch import Tensor, nn
from torch.nn.modules.dropout import _DropoutNd

from mribench.arms import FROZEN_ARMS
from mribench.defects import ACTIVE_DROPOUT, ENCODER_CLIPPING
from mribench.errors import JobError
from mribench.interfaces.encoder import Encoder
from mribench.interfaces.input_contract import InputContract
from mribench.interfaces.task import Task
from mribench.interfaces.weights import GivenWeights
from mribench.jobs.context import Context
from mribench.jobs.embedding import embed_scan
from mribench.jobs.encoder_input import EncoderInput, ScanImage
from mribench.results.specification import AdaptSpec, EmbedSpec, EvaluateSpec, JobSpec, Weights
from mribench.seeding import derive_seed
from mribench.training.given_weights import load_given_weights
from mribench.training.hand_over import hand_over_decoder
from mribench.training.weights import load_weights, read_weights
from mribench.validation import describe

ENCODER_FILE = "encoder.safetensors"
DECODER_FILE = "decoder.safetensors"
_WINDOWS = 4
"""Windows of a volume that pass a network at a time."""


def new_encoder(spec: JobSpec, context: Context) -> Encoder:
    """Build a job's encoder with the start weights of its seed, the same for every method."""
    torch.manual_seed(derive_seed("encoder", spec.seed))
    encoder: Encoder = context.make(spec.encoder, spec.profile)
    return encoder


@dataclass(frozen=True)
class ArmEncoder:
    """The encoder that an arm starts from.

    Attributes:
        encoder: as wide as the images.
        account: what is said of weights that it has from outside; None where it has none.
        widened: what was done so that it takes several channels; None for one.
    """

    encoder: Encoder
    account: str | None = None
    widened: str | None = None


def arm_encoder(spec: AdaptSpec | EvaluateSpec | EmbedSpec, context: Context) -> ArmEncoder:
    """Build the encoder that an arm starts from: pretrained by another job, or with weights from a file.

    Raises:
        JobError: when the file is no longer the one that the job was planned with.
        DataError: when it does not fit the encoder.
    """
    encoder = new_encoder(spec, context)
    if spec.pretrain_key:
        load_weights(encoder, context.jobs / spec.pretrain_key / ENCODER_FILE)
    account = None if spec.weights is None else _load_given(encoder, spec.weights)
    return ArmEncoder(encoder, account, _widen(encoder, spec))


def _widen(encoder: Encoder, spec: AdaptSpec | EvaluateSpec | EmbedSpec) -> str | None:
    """Make an encoder take the channels of a job's images; say what was done."""
    n_channels = 1 if isinstance(spec, EmbedSpec) else len(spec.channels)
    return encoder.widen_input(n_channels) if n_channels > 1 else None


def _load_given(encoder: Encoder, given: Weights) -> str:
    """Load weights from a file into an encoder, and give account of them."""
    try:
        weights = GivenWeights.model_validate(given)
    except ValidationError as error:
        wrong = describe(error, GivenWeights)
        raise JobError(
            f"weights.{wrong.place}: {wrong.sentence}", "plan again: `mribench run FILE`"
        ) from error
    return load_given_weights(encoder, weights).sentence()


def scale_layers(encoder: Encoder, decay: float) -> dict[str, float]:
    """Return the learning rate of each parameter ``encoder.…`` in a layer, as a share of the usual one.

    Args:
        encoder: with or without layers.
        decay: rate of a layer, as a share of the next one's; the last layer's is that of the head times this.
    """
    names = {id(parameter): f"encoder.{name}" for name, parameter in encoder.named_parameters()}
    layers = encoder.layers()
    scales = {}
    for number, layer in enumerate(layers):
        for parameter in layer.parameters():
            scales[names[id(parameter)]] = decay ** (len(layers) - number)
    return scales


def is_clipped(parameter: str, defects: Collection[str]) -> bool:
    """Whether the gradient of a parameter is clipped, by its name."""
    return ENCODER_CLIPPING not in defects or parameter.startswith("encoder.")


class TaskModel(nn.Module):
    """An encoder and a task's head.

    Frozen means frozen: no gradient, no dropout, no statistics update in the encoder, whatever ``train``
    is called with; unless the defect ``active-dropout`` is switched on.

    Args:
        encoder: that the head is put on.
        task: builds the head.
        frozen: whether the encoder stays as it is.
        seed: of the head's start weights.
        defects: known defects that are switched on.
        wanted: what the encoder wants to see; None for images as the benchmark has them.
    """

    def __init__(
        self,
        encoder: Encoder,
        task: Task,
        *,
        frozen: bool,
        seed: int | None,
        defects: Collection[str] = (),
        wanted: InputContract | None = None,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.input = EncoderInput(wanted)
        torch.manual_seed(derive_seed("head", seed))
        self.head = task.build_head(encoder)
        self.frozen = frozen
        self._active_dropout = ACTIVE_DROPOUT in defects
        self._dense = task.dense
        if frozen:
            encoder.requires_grad_(False)
            encoder.eval()
        self.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]  # a third less time per step on a CPU

    def train(self, mode: bool = True) -> TaskModel:
        """Set the mode of the head, and of the encoder unless it is frozen."""
        super().train(mode)
        if self.frozen:
            self.encoder.eval()
        if mode and self.frozen and self._active_dropout:
            for module in self.encoder.modules():
                if isinstance(module, _DropoutNd):
                    module.train()
        return self

    def forward(self, image: Tensor, levels: Tensor | None = None) -> Tensor:
        """Map ``(B, 1, I, J, K)`` to the task's output.

        Args:
            image: in the benchmark's form.
            levels: of each sample, ``(B, 1, 4)``, or ``(1, 4)`` for all, where the encoder wants intensities
                otherwise (``EncoderInput.find_levels``).
        """
        shown = self.input.show(image, levels)
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            features: list[Tensor] | Tensor
            if self._dense:
                features = self.input.turn_back(self.encoder.feature_maps(shown))
            else:
                features = self.encoder.embed(shown)
        output: Tensor = self.head(features)
        return output

    def over_volume(
        self,
        image: Tensor,
        window_vox: tuple[int, ...],
        overlap: float,
        levels: Tensor | None = None,
        parts: int = 1,
    ) -> Tensor:
        """Map a whole volume ``(1, I, J, K)`` to ``(C, I, J, K)``.

        Windows overlap and are blended with Gaussian weights (MONAI's sliding window inference).

        Args:
            image: in the benchmark's form.
            window_vox: edges of the windows.
            overlap: of neighbours, as a share of an edge.
            levels: as for ``forward``.
            parts: in which the windows pass the network that else do so at a time; each needs less memory.

        Returns:
            The output on the model's device, float32.
        """
        device = next(self.parameters()).device
        from monai.inferers import sliding_window_inference  # only a job that predicts needs it

        most = max(1, _WINDOWS // parts)
        with torch.no_grad():
            output = sliding_window_inference(
                image[None].to(device), window_vox, sw_batch_size=_WINDOWS,
                predictor=functools.partial(self._in_parts, most=most, levels=levels), overlap=overlap,
                mode="gaussian",
            )  # fmt: skip
        return output[0].float()

    def _in_parts(self, windows: Tensor, most: int, levels: Tensor | None) -> Tensor:
        """Map windows ``(B, …)``, so many at a time, to what they are mapped to all at once.

        Where several are to pass the network, none passes it alone: a CPU rounds one window otherwise than
        two, and two as it does four. So the last one may pass it twice.
        """
        if len(windows) <= most:
            output: Tensor = self(windows, levels)
            return output
        parts = []
        for part in windows.split(most):
            absent = part[-1:].expand(most - len(part), *part.shape[1:])
            parts.append(self(torch.cat([part, absent]), levels)[: len(part)])
        return torch.cat(parts)

    def over_windows(self, scan: ScanImage, patch_vox: int) -> Tensor:
        """Map the mean embedding of the windows of a scan to ``(C,)``.

        Args:
            scan: in the benchmark's form.
            patch_vox: edge of the windows, as in training.
        """
        device = next(self.parameters()).device
        with torch.no_grad():
            embedding = embed_scan(self.encoder, self.input, scan, patch_vox, device).values
            output: Tensor = self.head(embedding[None].to(device))
        return output[0].float().cpu()


def start_from_decoder(model: TaskModel, task: Task, spec: AdaptSpec, context: Context) -> str:
    """Start a task's decoder from the one that was pretrained with the encoder, and return the account.

    Raises:
        JobError: when the pretraining handed over no decoder, or the task takes none.
        DataError: when it does not fit.
    """
    decoder = task.decoder_of(model.head)
    path = context.jobs / str(spec.pretrain_key) / DECODER_FILE
    if decoder is None or not path.exists():
        raise JobError(
            f"the arm '{spec.arm}' needs a pretrained decoder and a task that takes one",
            "plan again: `mribench run FILE`",
        )
    return f"decoder: {hand_over_decoder(decoder, read_weights(path)).sentence()}"


def adapted_model(spec: EvaluateSpec, context: Context, task: Task) -> TaskModel:
    """Rebuild what an adapt job trained: the head alone was kept where the encoder was frozen."""
    frozen = spec.arm in FROZEN_ARMS
    if frozen:
        encoder = arm_encoder(spec, context).encoder
    else:
        encoder = new_encoder(spec, context)
        _widen(encoder, spec)
    model = TaskModel(encoder, task, frozen=frozen, seed=spec.seed, wanted=spec.input)
    load_weights(model.head if frozen else model, list_weights(spec, context)[0])
    return model.to(context.device).eval()


def list_weights(spec: EvaluateSpec, context: Context) -> list[Path]:
    """Return the files of other jobs that ``adapted_model`` reads, that of the adapt job first."""
    folder = context.jobs / str(spec.adapt_key)
    if spec.arm not in FROZEN_ARMS:
        return [folder / "model.safetensors"]
    encoder = [context.jobs / spec.pretrain_key / ENCODER_FILE] if spec.pretrain_key else []
    return [folder / "head.safetensors", *encoder]
