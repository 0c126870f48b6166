"""The linear probe: ridge regression of numbers, logistic regression of classes."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
from pydantic import Field
from scipy.special import softmax
from torch import Tensor

from mribench.interfaces import Options, Probe, ProbeSubjects
from mribench_tasks.probes.scaling import Scaling, class_weights

PENALTIES = tuple(float(10 ** (power / 2)) for power in range(-6, 11))
"""0.001 to 100 000, two for each power of ten."""
_FOLDS = 5
_MAX_ITERATIONS = 10_000


class LinearOptions(Options):
    """Options of the probe ``linear``."""

    penalties: tuple[float, ...] = Field(
        PENALTIES,
        min_length=1,
        description="penalties to choose from, of the sum of squared weights; the errors are summed over "
        "training subjects, and embeddings have a standard deviation of 1",
    )


class LinearProbe(Probe):
    """One linear layer on standardised embeddings, its penalty chosen.

    Numbers: ridge regression. Classes: multinomial logistic regression, every class of the same weight
    whatever its number of subjects. The penalty is that of the smallest squared error, or log loss, on the
    validation subjects; without them, on the training subjects: leaving out one at a time (numbers), or in
    5 folds stratified by class, fewer where a class has fewer subjects. Of equally good ones the largest is
    taken; where nobody validates and a class has one subject alone, the middle one. The fit is on the
    training subjects alone. By scikit-learn (Pedregosa et al. 2011, JMLR 12:2825-2830).
    """

    def __init__(self, options: LinearOptions, n_classes: int) -> None:
        self._penalties = sorted(options.penalties, reverse=True)
        self._n_classes = n_classes
        self._scaling = Scaling(np.zeros(1), np.ones(1))
        self._weights, self._bias = np.zeros((1, 1)), np.zeros(1)
        self._penalty = self._penalties[0]

    def fit(self, training: ProbeSubjects, validation: ProbeSubjects) -> None:
        """Fit on training subjects, with the penalty that predicts validation subjects best."""
        self._scaling = Scaling.of(training.embeddings)
        scaled = ProbeSubjects(self._scaling.apply(training.embeddings), training.targets)
        held_out = ProbeSubjects(self._scaling.apply(validation.embeddings), validation.targets)
        choose = self._choose_for_classes if self._n_classes else self._choose_for_numbers
        self._penalty = choose(scaled, held_out)
        self._weights, self._bias = self._solve(scaled, self._penalty)

    def predict(self, embeddings: np.ndarray) -> np.ndarray:
        """Return ``(M,)`` numbers or ``(M, C)`` probabilities."""
        return self._output(self._scaling.apply(embeddings), self._weights, self._bias)

    def state(self) -> dict[str, Tensor]:
        """Return weights ``(C or 1, D)``, bias, scaling, and the penalty that was chosen."""
        arrays = {
            "weights": self._weights,
            "bias": self._bias,
            "mean": self._scaling.mean,
            "sd": self._scaling.sd,
            "penalty": np.array([self._penalty]),
        }
        return {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in arrays.items()}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Take the state of a fitted probe."""
        arrays = {name: tensor.numpy() for name, tensor in state.items()}
        self._weights, self._bias = arrays["weights"], arrays["bias"]
        self._scaling = Scaling(arrays["mean"], arrays["sd"])
        self._penalty = float(arrays["penalty"].item())

    def _output(self, scaled: np.ndarray, weights: np.ndarray, bias: np.ndarray) -> np.ndarray:
        output: np.ndarray = scaled @ weights.T + bias
        if not self._n_classes:
            return output[:, 0]
        probabilities: np.ndarray = softmax(output, axis=1)
        return probabilities

    def _solve(self, scaled: ProbeSubjects, penalty: float) -> tuple[np.ndarray, np.ndarray]:
        """Return weights ``(C or 1, D)`` and bias ``(C or 1,)``; a class that nobody has gets no share."""
        from sklearn.linear_model import LogisticRegression, Ridge  # slow to import; only probes need it

        if not self._n_classes:
            ridge = Ridge(alpha=penalty).fit(scaled.embeddings, scaled.targets)
            return ridge.coef_[None], np.atleast_1d(ridge.intercept_)
        model = LogisticRegression(C=1 / penalty, class_weight="balanced", max_iter=_MAX_ITERATIONS)
        model.fit(scaled.embeddings, scaled.targets.astype(np.int64))
        weights = np.zeros((self._n_classes, scaled.embeddings.shape[1]))
        bias = np.full(self._n_classes, -np.inf)
        if len(model.classes_) == 2:  # scikit-learn keeps the second one's alone
            bias[model.classes_[0]] = 0.0
            weights[model.classes_[1]], bias[model.classes_[1]] = model.coef_[0], model.intercept_[0]
        else:
            weights[model.classes_], bias[model.classes_] = model.coef_, model.intercept_
        return weights, bias

    def _choose_for_numbers(self, training: ProbeSubjects, validation: ProbeSubjects) -> float:
        if not len(validation):
            from sklearn.linear_model import RidgeCV

            search = RidgeCV(alphas=self._penalties).fit(training.embeddings, training.targets)
            return float(search.alpha_)

        def squared_error(penalty: float) -> float:
            predicted = self._output(validation.embeddings, *self._solve(training, penalty))
            return float(np.mean((predicted - validation.targets) ** 2))

        return self._smallest(squared_error)

    def _choose_for_classes(self, training: ProbeSubjects, validation: ProbeSubjects) -> float:
        classes = training.targets.astype(np.int64)
        weights = class_weights(classes, self._n_classes)
        if len(validation):
            pairs = [(training, validation)]
        else:
            counts = np.bincount(classes)
            n_folds = min(_FOLDS, int(counts[counts > 0].min()))
            if n_folds < 2:
                return self._penalties[len(self._penalties) // 2]
            from sklearn.model_selection import StratifiedKFold

            folds = StratifiedKFold(n_folds).split(training.embeddings, classes)
            pairs = [(_part(training, learnt), _part(training, left_out)) for learnt, left_out in folds]

        def loss(penalty: float) -> float:
            return sum(self._log_loss(penalty, learnt, tested, weights) for learnt, tested in pairs)

        return self._smallest(loss)

    def _log_loss(
        self, penalty: float, learnt: ProbeSubjects, tested: ProbeSubjects, weights: np.ndarray
    ) -> float:
        """Return the sum over subjects, each weighted by its class; 0 where that was not learnt."""
        classes = tested.targets.astype(np.int64)
        counted = weights[classes] > 0
        if not counted.any():
            return 0.0
        from sklearn.metrics import log_loss

        predicted = self._output(tested.embeddings[counted], *self._solve(learnt, penalty))
        return float(
            log_loss(
                classes[counted], predicted, normalize=False, sample_weight=weights[classes[counted]],
                labels=range(self._n_classes),
            )
        )  # fmt: skip

    def _smallest(self, loss: Callable[[float], float]) -> float:
        """Return the penalty of the smallest loss; of equal ones the largest."""
        return min(self._penalties, key=loss)


def _part(subjects: ProbeSubjects, places: np.ndarray) -> ProbeSubjects:
    return ProbeSubjects(subjects.embeddings[places], subjects.targets[places])
