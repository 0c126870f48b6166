"""Whether an encoder computes what the published code does: of one image the same embedding."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from mribench.errors import DataError, MRIBenchError, hint_for
from mribench.interfaces.encoder import Encoder
from mribench.interfaces.input_file import InputFile
from mribench.interfaces.weights import ParityVector


def check_parity(encoder: Encoder, parity: ParityVector, where: str) -> float:
    """Return the largest difference between an encoder's embedding and the one that was published.

    It is run once, on the CPU, in evaluation and without masks; nothing of it stays.

    Args:
        encoder: with its weights.
        parity: the image and its embedding.
        where: for the message.

    Raises:
        DataError: when the difference is larger than the tolerance, or the image cannot be embedded.
    """
    image, expected = _make_image(parity, where), _read_embedding(parity, where)
    training = encoder.training
    try:
        with torch.no_grad():
            found = encoder.eval().embed(image)[0].double()
    except MRIBenchError as error:
        raise DataError(f"{where}: parity: {error.message}", error.hint) from error
    finally:
        encoder.train(training)
    if found.shape != expected.shape:
        raise DataError(
            f"{where}: parity: the embedding has {found.numel()} numbers, and the published one"
            f" {expected.numel()}",
            "is it of this encoder, with these options?",
        )
    largest = float((found - expected).abs().max())
    if not largest <= parity.tolerance:
        raise DataError(
            f"{where}: parity: the embedding differs from the published one by up to {largest:.3g}, and"
            f" {parity.tolerance:g} is allowed",
            "the tensors fit, and the encoder computes something else: check its options and the renaming",
        )
    return largest


def _make_image(parity: ParityVector, where: str) -> Tensor:
    if parity.image is not None:
        return _read_tensor(parity.image.path, "image", where)
    if parity.seed is None or parity.shape is None:
        raise RuntimeError("a parity vector was made that has no image")
    return torch.randn(parity.shape, generator=torch.Generator().manual_seed(parity.seed))


def _read_embedding(parity: ParityVector, where: str) -> Tensor:
    if isinstance(parity.embedding, InputFile):
        return _read_tensor(parity.embedding.path, "embedding", where).double().flatten()
    return torch.tensor(parity.embedding, dtype=torch.float64)


def _read_tensor(path: Path, name: str, where: str) -> Tensor:
    try:
        return load_file(path)[name]
    except FileNotFoundError as error:
        raise DataError(
            f"{where}: parity: there is no file {path}", "put it back, or give another one under `parity`"
        ) from error
    except (OSError, SafetensorError) as error:
        hint = hint_for(error, "is it safetensors?")
        raise DataError(f"{where}: parity: {path} cannot be read: {error}", hint) from error
    except KeyError:
        raise DataError(f"{where}: parity: {path} has no tensor '{name}'", "write one by that name") from None
