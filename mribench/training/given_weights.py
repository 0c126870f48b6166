"""Weights from outside: read without running anything, and accounted for tensor by tensor."""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from mribench.errors import DataError
from mribench.interfaces.weights import GivenWeights
from mribench.wording import count, list_some

_WRAPPERS = ("module.", "_orig_mod.")
"""Before every name in files of torch's data-parallel and compiled modules."""
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
    """

    taken: tuple[str, ...]
    renamed: Mapping[str, int]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    other_shape: tuple[str, ...]
    zero: tuple[str, ...] = ()

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
        return ", ".join(parts)


def check_weights(encoder: nn.Module, weights: GivenWeights) -> WeightsAccount:
    """Account for a file's tensors by name and shape, without reading them.

    Raises:
        DataError: when the file cannot be read, or does not fit the encoder.
    """
    return _match(encoder, weights, *_read_renamed(weights, "meta"))[0]


def load_given_weights(encoder: nn.Module, weights: GivenWeights) -> WeightsAccount:
    """Put a file's tensors into an encoder.

    Raises:
        DataError: when the file cannot be read, does not fit the encoder, or has values that are no numbers.
    """
    account, tensors = _match(encoder, weights, *_read_renamed(weights, "cpu"))
    odd = [name for name, tensor in tensors.items() if not torch.isfinite(tensor).all()]
    if odd:
        raise DataError(
            f"weights {weights.file.path}: NaN or infinite: {list_some(odd, _SHOWN)}",
            "the file is damaged, or was written after a training that diverged",
        )
    encoder.load_state_dict({**encoder.state_dict(), **tensors})
    zero = tuple(name for name, tensor in tensors.items() if tensor.ndim > 1 and not tensor.any())
    return WeightsAccount(**{**vars(account), "zero": zero})


def _read_renamed(weights: GivenWeights, device: str) -> tuple[dict[str, Tensor], dict[str, int]]:
    """Return the file's tensors by their new names, and how many names each rule changed."""
    tensors = _find_tensors(_read(weights.file.path, device), weights)
    renamed: Counter[str] = Counter()
    names = {name: name for name in tensors}
    for wrapper in _WRAPPERS:
        if all(new.startswith(wrapper) for new in names.values()):
            names = {old: new.removeprefix(wrapper) for old, new in names.items()}
            renamed[f"{wrapper}*"] = len(names)
    for pattern, replacement in weights.rename.items():
        changed = {old: re.sub(pattern, replacement, new) for old, new in names.items()}
        renamed[f"{pattern} → {replacement}"] = sum(changed[old] != new for old, new in names.items())
        names = changed
    twice = [name for name, times in Counter(names.values()).items() if times > 1]
    if twice:
        raise DataError(
            f"weights {weights.file.path}: several tensors become {list_some(twice, _SHOWN)}",
            "correct weights.rename",
        )
    return {names[old]: tensor for old, tensor in tensors.items()}, dict(renamed)


def _read(path: Path, device: str) -> Any:
    try:
        if path.suffix == ".safetensors":
            tensors = load_file(path)
            return {name: tensor.to(device) for name, tensor in tensors.items()}
        with warnings.catch_warnings():  # of how it was pickled: it is read, or refused in one sentence
            warnings.simplefilter("ignore")
            return torch.load(path, map_location=device, weights_only=True)
    except UnpicklingError as error:
        first = str(error).strip().splitlines()[0]
        raise DataError(
            f"weights {path}: it holds more than tensors, and nothing in it is run: {first}",
            "save its state dict alone, as safetensors or by torch.save(model.state_dict(), …)",
        ) from error
    except (SafetensorError, OSError, RuntimeError, EOFError, ValueError) as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise DataError(
            f"weights {path}: it is no file of weights: {first}", "is it whole, and safetensors or torch's?"
        ) from error


def _find_tensors(content: Any, weights: GivenWeights) -> dict[str, Tensor]:
    """Return the mapping of tensors that is meant."""
    where = f"weights {weights.file.path}"
    named = dict(content) if isinstance(content, Mapping) else {}
    if weights.at is not None:
        if not _is_state(named.get(weights.at)):
            raise DataError(f"{where}: there are no tensors at '{weights.at}'", f"it has {_list_keys(named)}")
        return dict(named[weights.at])
    if _is_state(named):
        return named
    places = [str(key) for key, value in named.items() if _is_state(value)]
    if len(places) != 1:
        raise DataError(
            f"{where}: expected one mapping of tensors, got {list_some(places, _SHOWN) or 'none'}",
            "say which by weights.at" if places else f"it has {_list_keys(named)}",
        )
    return dict(named[places[0]])


def _is_state(value: object) -> bool:
    if not isinstance(value, Mapping) or not value:
        return False
    return all(isinstance(key, str) and isinstance(item, Tensor) for key, item in value.items())


def _list_keys(named: Mapping[Any, Any]) -> str:
    return list_some([str(key) for key in named], 8) or "no named parts"


def _match(
    encoder: nn.Module, weights: GivenWeights, given: Mapping[str, Tensor], renamed: Mapping[str, int]
) -> tuple[WeightsAccount, dict[str, Tensor]]:
    own = encoder.state_dict()
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
    ]
    said = [f"{len(names)} {what}: {list_some(names, _SHOWN)}" for what, names in wrong if names]
    if said or not taken:
        raise DataError(
            f"weights {weights.file.path} do not fit the encoder: {'; '.join(said) or 'no tensor is left'}",
            "map names by weights.rename, or allow some by patterns in .missing, .unexpected, .other_shape",
        )
    return WeightsAccount(tuple(taken), renamed, missing, unexpected, tuple(shapes)), taken


def _refused(names: Sequence[str], allowed: Sequence[str]) -> list[str]:
    return [name for name in names if not _is_allowed(name, allowed)]


def _is_allowed(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
