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
_TORCH_STARTS = (b"PK", b"\x80")
"""First bytes of what torch.save writes: a zip, and a pickle before torch 1.6."""
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
    account, given = _match(encoder, weights, *_read_renamed(weights, "cpu"))
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
    return WeightsAccount(**{**vars(account), "zero": zero})


def _read_renamed(weights: GivenWeights, device: str) -> tuple[dict[str, Tensor], dict[str, int]]:
    """Return the file's tensors by their new names, and how many names each rule changed."""
    tensors = _find_tensors(_read(weights.file.path, device), weights)
    renamed: Counter[str] = Counter()
    names = {name: name for name in tensors}
    while wrapper := _find_wrapper(list(names.values())):
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


def _find_wrapper(names: Sequence[str]) -> str | None:
    """Return the wrapper that stands before every name, if one does."""
    for wrapper in _WRAPPERS:
        if all(name.startswith(wrapper) for name in names):
            return wrapper
    return None


def _read(path: Path, device: str) -> Any:
    try:
        start = _read_start(path)
        if start[8:9] == b"{" or path.suffix == ".safetensors":  # after its length, a header in JSON
            tensors = load_file(path)
            return {name: tensor.to(device) for name, tensor in tensors.items()}
    except OSError as error:
        raise DataError(f"weights {path}: cannot be read: {error.strerror or error}") from error
    except SafetensorError as error:
        raise _refuse_format(path, error) from error
    if not start.startswith(_TORCH_STARTS):
        raise _refuse_format(path, "it begins like neither format" if start else "it is empty")
    return _read_torch(path, device)


def _read_start(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(9)


def _read_torch(path: Path, device: str) -> Any:
    try:
        with warnings.catch_warnings():  # of how it was pickled: it is read, or refused in one sentence
            warnings.simplefilter("ignore")
            return torch.load(path, map_location=device, weights_only=True)
    except UnpicklingError as error:
        raise DataError(
            f"weights {path}: it holds more than tensors, and nothing in it is run: {_first_line(error)}",
            "save its state dict alone, as safetensors or by torch.save(model.state_dict(), …)",
        ) from error
    except Exception as error:  # bytes that only begin like a pickle make its reader raise anything
        raise _refuse_format(path, error) from error


def _refuse_format(path: Path, reason: Exception | str) -> DataError:
    return DataError(
        f"weights {path}: it is no file of weights: {_first_line(reason)}",
        "is it whole, and safetensors or torch's?",
    )


def _first_line(reason: Exception | str) -> str:
    said = str(reason).strip()
    return said.splitlines()[0] if said else type(reason).__name__


def _find_tensors(content: Any, weights: GivenWeights) -> dict[str, Tensor]:
    """Return the mapping of tensors that is meant."""
    where = f"weights {weights.file.path}"
    named = {str(key): value for key, value in content.items()} if isinstance(content, Mapping) else {}
    if weights.at is not None:
        if not _is_state(named.get(weights.at)):
            raise DataError(f"{where}: there are no tensors at '{weights.at}'", f"it has {_list_keys(named)}")
        return dict(named[weights.at])
    if _is_state(content):
        return named
    places = [key for key, value in named.items() if _is_state(value)]
    if len(places) != 1:
        raise DataError(
            f"{where}: expected one mapping of tensors, got {list_some(places, _SHOWN) or 'none'}",
            "say which by weights.at" if places else _explain_none(content, named),
        )
    return dict(named[places[0]])


def _explain_none(content: Any, named: Mapping[str, Any]) -> str:
    others = [name for name, value in named.items() if not isinstance(value, Tensor)]
    if len(others) == len(named):
        return f"it has {_list_keys(named)}; deeper ones are not looked for: save the tensors alone"
    others += [str(key) for key in content if not isinstance(key, str)]
    return f"its tensors have others beside them: {list_some(others, _SHOWN)}; save the named tensors alone"


def _is_state(value: object) -> bool:
    if not isinstance(value, Mapping) or not value:
        return False
    return all(isinstance(key, str) and isinstance(item, Tensor) for key, item in value.items())


def _list_keys(named: Mapping[str, Any]) -> str:
    return list_some(list(named), 8) or "no named parts"


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
        ("of another kind", _describe_other_kinds(own, taken)),
    ]
    said = [f"{len(names)} {what}: {list_some(names, _SHOWN)}" for what, names in wrong if names]
    if said or not taken:
        raise DataError(
            f"weights {weights.file.path} do not fit the encoder: {'; '.join(said) or 'no tensor is left'}",
            "map names by weights.rename, or allow some by patterns in .missing, .unexpected, .other_shape",
        )
    return WeightsAccount(tuple(taken), renamed, missing, unexpected, tuple(shapes)), taken


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
    return [name for name in names if not _is_allowed(name, allowed)]


def _is_allowed(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
