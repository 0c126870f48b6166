"""Files of weights: read without running anything, their tensors by the encoder's names."""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from mribench.errors import DataError
from mribench.interfaces.weights import GivenWeights
from mribench.wording import list_some

_WRAPPERS = ("module.", "_orig_mod.")
"""Before every name in files of torch's data-parallel and compiled modules."""
_TORCH_STARTS = (b"PK", b"\x80")
"""First bytes of what torch.save writes: a zip, and a pickle before torch 1.6."""
_SHOWN = 4
"""Tensors that a sentence names."""


def read_renamed(weights: GivenWeights, device: str) -> tuple[dict[str, Tensor], dict[str, int]]:
    """Return the file's tensors by their new names, and how many names each rule changed.

    Args:
        weights: the file, and how its tensors are found and renamed.
        device: that tensors are put on; ``meta`` for their names and shapes alone.

    Raises:
        DataError: when the file cannot be read, or has not what is asked for.
    """
    content = read_file(weights.file.path, device)
    tensors = _find_tensors(content, weights)
    renamed: Counter[str] = Counter()
    names = {name: name for name in tensors}
    while wrapper := _find_wrapper(list(names.values())):
        names = {old: new.removeprefix(wrapper) for old, new in names.items()}
        renamed[f"{wrapper}*"] = len(names)
    for place, replacement in weights.prefixes.items():
        prefix = _find_text(content, place, weights.file.path)
        changed = {old: _replace_prefix(new, prefix, replacement) for old, new in names.items()}
        renamed[f"{prefix} → {replacement}"] = sum(changed[old] != new for old, new in names.items())
        names = changed
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


def _find_text(content: Any, place: str, path: Path) -> str:
    """Return the text at a dotted place of a file's content."""
    found = content
    for key in place.split("."):
        found = found.get(key) if isinstance(found, Mapping) else None
    if not isinstance(found, str) or not found:
        there = _list_keys({str(key): None for key in content} if isinstance(content, Mapping) else {})
        raise DataError(f"weights {path}: there is no text at '{place}' (prefixes)", f"it has {there}")
    return found


def _replace_prefix(name: str, prefix: str, replacement: str) -> str:
    """Return a name with another beginning where its first parts, whole ones, are the prefix."""
    return f"{replacement}{name.removeprefix(prefix)}" if f"{name}.".startswith(f"{prefix}.") else name


def _find_wrapper(names: Sequence[str]) -> str | None:
    """Return the wrapper that stands before every name, if one does."""
    for wrapper in _WRAPPERS:
        if all(name.startswith(wrapper) for name in names):
            return wrapper
    return None


def read_file(path: Path, device: str) -> Any:
    """Return what a file of weights holds.

    Raises:
        DataError: when it cannot be read, or holds what would have to be run.
    """
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


def find_place(weights: GivenWeights) -> str | None:
    """Return the key under which a file has its tensors; None where they are at its top.

    Raises:
        DataError: when the file cannot be read, or has not what is asked for.
    """
    return _find_place(read_file(weights.file.path, "meta"), weights)


def _find_tensors(content: Any, weights: GivenWeights) -> dict[str, Tensor]:
    """Return the mapping of tensors that is meant."""
    place = _find_place(content, weights)
    return dict(content if place is None else _by_name(content)[place])


def _by_name(content: Any) -> dict[str, Any]:
    return {str(key): value for key, value in content.items()} if isinstance(content, Mapping) else {}


def _find_place(content: Any, weights: GivenWeights) -> str | None:
    where = f"weights {weights.file.path}"
    named = _by_name(content)
    if weights.at is not None:
        if not _is_state(named.get(weights.at)):
            raise DataError(f"{where}: there are no tensors at '{weights.at}'", f"it has {_list_keys(named)}")
        return weights.at
    if _is_state(content):
        return None
    places = [key for key, value in named.items() if _is_state(value)]
    if len(places) != 1:
        raise DataError(
            f"{where}: expected one mapping of tensors, got {list_some(places, _SHOWN) or 'none'}",
            "say which by weights.at" if places else _explain_none(content, named),
        )
    return places[0]


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
