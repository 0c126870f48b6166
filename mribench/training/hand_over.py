"""A decoder that was pretrained with an encoder, handed over to a task's decoder and accounted for."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from mribench.errors import DataError
from mribench.interfaces.encoder import Decoder
from mribench.training.given_weights import WeightsAccount
from mribench.wording import count, list_some

_SHOWN = 4


def account_decoder(decoder: Decoder, given: Mapping[str, Tensor]) -> WeightsAccount:
    """Account for the tensors of a pretrained decoder by name and shape.

    Its output layer may be of another shape, as tasks have other channels: then it starts anew.

    Args:
        decoder: the task's.
        given: the tensors of the pretrained one.

    Raises:
        DataError: when anything else differs.
    """
    own = decoder.state_dict()
    differing = {name for name in own if name in given and given[name].shape != own[name].shape}
    anew = tuple(name for name in own if name in differing and _is_output(decoder, name))
    wrong = {
        "lacking": [name for name in own if name not in given],
        "without a place": [name for name in given if name not in own],
        "of another shape": sorted(differing.difference(anew)),
    }
    said = [
        f"{count(len(names), 'tensor')} {what}: {list_some(names, _SHOWN)}"
        for what, names in wrong.items()
        if names
    ]
    if said:
        raise DataError(
            f"the pretrained decoder does not fit the task's: {'; '.join(said)}",
            "give task and objective the same decoder with the same options",
        )
    taken = tuple(name for name in own if name not in differing)
    return WeightsAccount(taken, renamed={}, missing=(), unexpected=(), other_shape=anew)


def hand_over_decoder(decoder: Decoder, given: Mapping[str, Tensor]) -> WeightsAccount:
    """Put the tensors of a pretrained decoder into a task's, and return the account.

    Raises:
        DataError: as ``account_decoder``.
    """
    account = account_decoder(decoder, given)
    own = decoder.state_dict()
    decoder.load_state_dict({**own, **{name: given[name] for name in account.taken}})
    return account


def _is_output(decoder: Decoder, name: str) -> bool:
    return bool(decoder.output_layer) and name.startswith(f"{decoder.output_layer}.")
