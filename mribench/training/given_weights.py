"""Weights from outside: read without running anything, and accounted for tensor by tensor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from mribench.errors import DataError
from mribench.interfaces.encoder import Encoder
from mribench.interfaces.weights import GivenWeights
from mribench.results.patterns import matches_any
from mribench.training.parity import check_parity
from mribench.training.weight_files import read_renamed
from mribench.wording import count, list_some

_SHOWN = 4
"""Tensors that a sentence names."""


@dataclass(frozen=True)
class WeightsAccount:
    """What became of each tensor of a file and of an encoder.

    Attributes:
        taken: names in the encoder of the tensors that it took.
        renamed: how many names each rule changed.
        missing: tensors of the encoder that the file lacks.
        unexpected: tensors of the file that the encoder has no place for.
        other_shape: tensors of another shape.
        zero: weights that were taken and are 0 throughout.
        tied: names of tensors that the encoder has under another name too; they are counted under that one.
        parity: largest difference of the embedding from the published one; None where none was published.
        said: what is known of the file, for people: its licence, and where it is from.
    """

    taken: tuple[str, ...]
    renamed: Mapping[str, int]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    other_shape: tuple[str, ...]
    zero: tuple[str, ...] = ()
    tied: tuple[str, ...] = ()
    parity: float | None = None
    said: tuple[str, ...] = ()

    def sentence(self) -> str:
        """Return it as a part of a sentence, for tables and job rows."""
        parts = [f"{count(len(self.taken), 'tensor')} taken"]
        parts += [f"{number} renamed by '{rule}'" for rule, number in self.renamed.items() if number]
        for names, what in (
            (self.missing, "left at their start"),
            (self.unexpected, "without a place"),
            (self.other_shape, "of another shape left at their start"),
            (self.zero, "all zero"),
        ):
            if names:
                parts.append(f"{len(names)} {what} ({list_some(names, _SHOWN)})")
        if self.tied:
            parts.append(f"{count(len(self.tied), 'second name')} of the same tensors")
        if self.parity is not None:
            parts.append(f"embedding as published (largest difference {self.parity:.2g})")
        parts += self.said
        return ", ".join(parts)


def check_weights(encoder: nn.Module, weights: GivenWeights) -> WeightsAccount:
    """Account for a file's tensors by name and shape, without reading them.

    Raises:
        DataError: when the file cannot be read, or does not fit the encoder.
    """
    return _match(encoder, weights, *read_renamed(weights, "meta"))[0]


def load_given_weights(encoder: Encoder, weights: GivenWeights) -> WeightsAccount:
    """Put a file's tensors into an encoder, and see that it computes what was published of it.

    Raises:
        DataError: when the file cannot be read, does not fit the encoder, has values that are no numbers, or
            the embedding of the manifest's image is another.
    """
    account, given = _match(encoder, weights, *read_renamed(weights, "cpu"))
    unwritten = [name for name, tensor in given.items() if tensor.is_meta]
    if unwritten:
        raise DataError(
            f"weights {weights.file.path}: without values: {list_some(unwritten, _SHOWN)}",
            "they were saved from torch's device 'meta'; save them after they have been computed",
        )
    own = encoder.state_dict()
    # In the encoder's precision: what is large or small in another may be infinite or 0 in it.
    tensors = {name: tensor.to(own[name].dtype) for name, tensor in given.items()}
    odd = [name for name, tensor in tensors.items() if not torch.isfinite(tensor).all()]
    if odd:
        raise DataError(
            f"weights {weights.file.path}: NaN or infinite: {list_some(odd, _SHOWN)}",
            "the file is damaged, or was written after a training that diverged",
        )
    encoder.load_state_dict({**own, **tensors})
    zero = tuple(name for name, tensor in tensors.items() if tensor.ndim > 1 and not tensor.any())
    where = f"weights {weights.file.path}"
    parity = check_parity(encoder, weights.parity, where) if weights.parity else None
    return replace(account, zero=zero, parity=parity)


def _match(
    encoder: nn.Module, weights: GivenWeights, given: Mapping[str, Tensor], renamed: Mapping[str, int]
) -> tuple[WeightsAccount, dict[str, Tensor]]:
    ties = find_ties(encoder)
    own = {name: tensor for name, tensor in encoder.state_dict().items() if name not in ties}
    given = _untie(given, ties, weights)
    shapes = {
        name: f"{name} {tuple(given[name].shape)}, in the encoder {tuple(own[name].shape)}"
        for name in own
        if name in given and given[name].shape != own[name].shape
    }
    taken = {name: given[name] for name in own if name in given and name not in shapes}
    missing = tuple(name for name in own if name not in given)
    unexpected = tuple(name for name in given if name not in own)
    wrong = [
        ("the file lacks", _refused(missing, weights.missing)),
        ("without a place in the encoder", _refused(unexpected, weights.unexpected)),
        ("of another shape", [shapes[name] for name in _refused(list(shapes), weights.other_shape)]),
        ("of another kind", _describe_other_kinds(own, taken)),
    ]
    said = [f"{len(names)} {what}: {list_some(names, _SHOWN)}" for what, names in wrong if names]
    if said or not taken:
        raise DataError(
            f"weights {weights.file.path} do not fit the encoder: {'; '.join(said) or 'no tensor is left'}",
            "map names by weights.rename, or allow some by patterns in .missing, .unexpected, .other_shape",
        )
    account = WeightsAccount(tuple(taken), renamed, missing, unexpected, tuple(shapes))
    return replace(account, tied=tuple(ties), said=_describe_source(weights)), taken


def find_ties(module: nn.Module) -> dict[str, str]:
    """Return the first name of each tensor that a module's state dict has under several, by the others."""
    first: dict[int, str] = {}
    ties = {}
    for name, tensor in module.state_dict(keep_vars=True).items():
        known = first.setdefault(id(tensor), name)
        if known != name:
            ties[name] = known
    return ties


def _untie(given: Mapping[str, Tensor], ties: Mapping[str, str], weights: GivenWeights) -> dict[str, Tensor]:
    """Return a file's tensors under the first of their names each; copies have to be equal."""
    kept = {name: tensor for name, tensor in given.items() if name not in ties}
    other = []
    for name, tensor in given.items():
        known = kept.setdefault(ties.get(name, name), tensor)
        if known is tensor:
            continue
        if known.shape != tensor.shape or not (tensor.is_meta or torch.equal(known, tensor)):
            other.append(f"{name} and {ties[name]}")
    if other:
        raise DataError(
            f"weights {weights.file.path}: one tensor of the encoder under two names, and two in the file: "
            f"{list_some(other, _SHOWN)}",
            "the file is damaged, or of another architecture",
        )
    return kept


def _describe_source(weights: GivenWeights) -> tuple[str, ...]:
    known = (("licence", weights.licence), ("from", weights.upstream))
    return tuple(f"{what} {text}" for what, text in known if text)


def _describe_other_kinds(own: Mapping[str, Tensor], taken: Mapping[str, Tensor]) -> list[str]:
    """Return what would become other numbers in the encoder: rounded, parts of complex ones, not dense."""
    return [
        f"{name} {_name_kind(tensor)}, in the encoder {_name_kind(own[name])}"
        for name, tensor in taken.items()
        if tensor.layout != own[name].layout
        or tensor.is_complex() != own[name].is_complex()
        or tensor.is_floating_point() != own[name].is_floating_point()
    ]


def _name_kind(tensor: Tensor) -> str:
    dense = tensor.layout == torch.strided
    return str(tensor.dtype if dense else tensor.layout).removeprefix("torch.")


def _refused(names: Sequence[str], allowed: Sequence[str]) -> list[str]:
    return [name for name in names if not matches_any(name, allowed)]
