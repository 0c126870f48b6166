"""What ``mribench weights describe`` does: drafts the manifest of a file of weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError
from torch import Tensor, nn

from mribench.commands.plugins import load_plugins
from mribench.commands.streams import put
from mribench.errors import ConfigError
from mribench.interfaces.options import EncoderRef
from mribench.interfaces.weights import GivenWeights
from mribench.training.given_weights import find_ties
from mribench.training.weight_files import find_place, read_renamed
from mribench.validation import describe
from mribench.wording import count, list_some

_PARTS = 2
"""Parts of a name, between dots, that tensors are counted by."""
_SHOWN = 6
_EXPLAIN_UNEXPECTED = "unexpected: ['head.*']  # what has no place in the encoder; --encoder NAME finds it"
_EXPLAIN_INPUT = (
    "input: {intensity: {scale: z-score}, spacing_mm: 1.0, patch_vox: 96}  # what its authors showed it"
)


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
    lines = [*_count_by_prefix(tensors, renamed)]
    draft: dict[str, Any] = {
        "sha256": weights.file.sha256,
        "licence": None,
        "upstream": None,
        "pretrained_on": "unknown",
    }
    if place := find_place(weights):
        draft["at"] = place
    later = [_EXPLAIN_UNEXPECTED, _EXPLAIN_INPUT]
    if reference is not None:
        draft["encoder"] = reference.model_dump(mode="json")
        resolved = load_plugins().resolve(reference, "--encoder", "corrected")
        fit = _Fit.of(resolved.make(), tensors)
        lines += fit.lines()
        if fit.fitting:
            draft["unexpected"] = fit.patterns()
            later.remove(_EXPLAIN_UNEXPECTED)
        wanted = resolved.registered.entry.input
        if wanted.asks:
            draft["input"] = wanted.model_dump(mode="json", exclude_unset=True)
            later.remove(_EXPLAIN_INPUT)
    put("".join(f"# {line}\n" for line in lines))
    put(yaml.safe_dump(draft, sort_keys=False))
    put("".join(f"# {line}\n" for line in later))
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
    by_prefix: dict[str, list[str]] = {}
    for name in tensors:
        by_prefix.setdefault(".".join(name.split(".")[:_PARTS]), []).append(name)
    for prefix, names in by_prefix.items():
        first = names[0].removeprefix(prefix).removeprefix(".")
        example = " ".join(filter(None, (first, _say_shape(tensors[names[0]]))))
        yield f"  {prefix}: {len(names)}, {'the first ' if len(names) > 1 else ''}{example}"


@dataclass(frozen=True)
class _Fit:
    """How a file's tensors fit an encoder, by name and shape.

    Attributes:
        own: the encoder's tensors, each under one name.
        given: the file's, under those names.
    """

    own: Mapping[str, Tensor]
    given: Mapping[str, Tensor]

    @classmethod
    def of(cls, encoder: nn.Module, tensors: Mapping[str, Tensor]) -> _Fit:
        ties = find_ties(encoder)
        own = {name: tensor for name, tensor in encoder.state_dict().items() if name not in ties}
        return cls(own, {ties.get(name, name): tensor for name, tensor in tensors.items()})

    @property
    def fitting(self) -> list[str]:
        return [name for name in self.own if name in self.given and not self._differs(name)]

    @property
    def unexpected(self) -> list[str]:
        return [name for name in self.given if name not in self.own]

    def patterns(self) -> list[str]:
        """Return patterns of what has no place: of a whole part of the file where the encoder has none."""
        parts = {name.partition(".")[0] for name in self.own}
        found = []
        for name in self.unexpected:
            part, dot, _ = name.partition(".")
            found.append(f"{part}.*" if dot and part not in parts else name)
        return list(dict.fromkeys(found))

    def lines(self) -> Iterator[str]:
        """Yield what fits and what does not, with shapes."""
        total = count(len(self.own), "tensor")
        yield f"{len(self.fitting)} of the encoder's {total} are there by name and shape"
        missing = [name for name in self.own if name not in self.given]
        other = [name for name in self.own if name in self.given and self._differs(name)]
        for names, what, say in (
            (missing, "missing", self._say_own),
            (self.unexpected, "unexpected", self._say_given),
            (other, "of another shape", self._say_both),
        ):
            if names:
                yield f"{len(names)} {what}: {list_some([say(name) for name in names], _SHOWN)}"

    def _differs(self, name: str) -> bool:
        return self.given[name].shape != self.own[name].shape

    def _say_own(self, name: str) -> str:
        return f"{name} {_say_shape(self.own[name])}"

    def _say_given(self, name: str) -> str:
        return f"{name} {_say_shape(self.given[name])}"

    def _say_both(self, name: str) -> str:
        return f"{self._say_given(name)}, in the encoder {_say_shape(self.own[name])}"


def _say_shape(tensor: Tensor) -> str:
    return str(tuple(tensor.shape))
