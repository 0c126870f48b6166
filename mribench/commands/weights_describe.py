"""What ``mribench weights describe`` does: drafts the manifest of a file of weights."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError
from torch import Tensor, nn

from mribench.commands.plugins import load_plugins
from mribench.errors import ConfigError
from mribench.interfaces.options import EncoderRef
from mribench.interfaces.weights import GivenWeights
from mribench.training.given_weights import find_ties
from mribench.training.weight_files import read_renamed
from mribench.validation import describe
from mribench.wording import count, list_some

_PARTS = 2
"""Parts of a name, between dots, that tensors are counted by."""
_SHOWN = 6


def describe_weights(file: Path, at: str | None, encoder: str | None, sets: Sequence[str]) -> int:
    """Print the draft.

    Raises:
        ConfigError: when the encoder or its options are wrong.
        DataError: when the file cannot be read, or has its tensors in several places.
    """
    reference = _read_encoder(encoder, sets)
    try:
        weights = GivenWeights.model_validate({"file": file, "at": at, "pretrained_on": "unknown"})
    except ValidationError as error:
        wrong = describe(error, GivenWeights)
        raise ConfigError(wrong.message, wrong.hint) from error
    tensors, renamed = read_renamed(weights, "meta")
    draft: dict[str, Any] = {
        "sha256": weights.file.sha256,
        "licence": None,
        "upstream": None,
        "pretrained_on": "unknown",
    }
    if reference is not None:
        draft["encoder"] = reference.model_dump(mode="json")
    if at is not None:
        draft["at"] = at
    lines = [*_count_by_prefix(tensors, renamed)]
    if reference is not None:
        made = load_plugins().resolve(reference, "--encoder", "corrected").make()
        lines += _compare(made, tensors)
    sys.stdout.write("".join(f"# {line}\n" for line in lines))
    sys.stdout.write(yaml.safe_dump(draft, sort_keys=False))
    return 0


def _read_encoder(name: str | None, sets: Sequence[str]) -> EncoderRef | None:
    if name is None:
        if sets:
            raise ConfigError(f"--set {sets[0]}: an option of which encoder?", "say --encoder NAME")
        return None
    options = {}
    for text in sets:
        key, separator, value = text.partition("=")
        if not separator:
            raise ConfigError(f"--set {text}: expected KEY=VALUE", "for example --set width=384")
        options[key] = yaml.safe_load(value)
    return EncoderRef.model_validate({"name": name, **options})


def _count_by_prefix(tensors: Mapping[str, Tensor], renamed: Mapping[str, int]) -> Iterator[str]:
    yield f"{count(len(tensors), 'tensor')}, {sum(tensor.numel() for tensor in tensors.values()):,} numbers"
    for rule, number in renamed.items():
        yield f"{number} renamed by '{rule}'"
    counts = Counter(".".join(name.split(".")[:_PARTS]) for name in tensors)
    for prefix, number in counts.items():
        yield f"  {prefix}: {number}"


def _compare(encoder: nn.Module, tensors: Mapping[str, Tensor]) -> Iterator[str]:
    ties = find_ties(encoder)
    own = {name: tensor.shape for name, tensor in encoder.state_dict().items() if name not in ties}
    given = {ties.get(name, name): tensor.shape for name, tensor in tensors.items()}
    fitting = [name for name in own if given.get(name) == own[name]]
    yield f"{len(fitting)} of the encoder's {count(len(own), 'tensor')} are there by name and shape"
    for names, what in (
        ([name for name in own if name not in given], "missing"),
        ([name for name in given if name not in own], "unexpected"),
        ([name for name in own if name in given and given[name] != own[name]], "of another shape"),
    ):
        if names:
            yield f"{len(names)} {what}: {list_some(names, _SHOWN)}"
