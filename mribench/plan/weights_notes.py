"""What a plan says of weights from files: under which licence, where from, whether they are tried."""

from __future__ import annotations

from collections.abc import Iterator

from mribench.config import ResolvedBenchmark
from mribench.interfaces.weights import GivenWeights


def weights_notes(resolved: ResolvedBenchmark) -> list[str]:
    """Return a sentence for each method whose weights are from a file."""
    given = {name: method.weights for name, method in resolved.methods.items()}
    return [
        f"methods.{name}.weights: {', '.join(_describe(weights))}"
        for name, weights in given.items()
        if weights
    ]


def _describe(weights: GivenWeights) -> Iterator[str]:
    yield f"{weights.file.path.name}, sha256 {weights.file.sha256[:12]}…"
    yield f"licence {weights.licence}" if weights.licence else "no licence is said"
    if weights.upstream:
        yield f"from {weights.upstream}"
    yield (
        "its jobs compare an embedding with the published one"
        if weights.parity
        else "no published embedding to compare with"
    )
