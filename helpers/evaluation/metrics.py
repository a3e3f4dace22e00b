"""Numbers that judge predictions: classes, probabilities, and rankings of the full catalogue.

Targets always come first, as in scikit-learn. A ranking is judged in two steps: `target_ranks` turns scores
into the rank of each true next item, and `hit_rate`, `ndcg` and `mrr` average over those ranks.
"""

from operator import index
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import rankdata

MISS = np.iinfo(np.int64).max  # the rank of a target that is not in the catalogue: worse than any k
_BLOCK = 2**22  # scores compared at once, so that memory stays small beside the scores themselves


class PrAuc(NamedTuple):
    """Area under the precision-recall curve, beside the value that a random order reaches."""

    value: float
    prevalence: float


class Calibration(NamedTuple):
    """A calibration curve (columns predicted, observed, count) and its expected calibration error."""

    curve: pd.DataFrame
    error: float


# Classes ----------------------------------------------------------------------------------------------------


def accuracy(targets, predictions) -> float:
    """Share of predictions that equal their target.

    Args:
        targets: (m,) class labels.
        predictions: (m,) class labels.

    Raises:
        ValueError: if the input is empty, holds missing values or differs in shape.

    Example:
        >>> accuracy([1, 0, 1, 1], [1, 0, 0, 1])
        0.75
    """
    targets, predictions = _pair(targets, predictions, "predictions")
    return float(np.mean(targets == predictions))


def precision(targets, predictions, average="binary", positive=1) -> float:
    """Share of the predicted positives that are positive; 0 where nothing is predicted positive.

    Args:
        targets: (m,) class labels.
        predictions: (m,) class labels.
        average: "binary" judges the class `positive`, "macro" the plain mean over all classes.
        positive: the label of the class in question; "macro" ignores it.

    Raises:
        ValueError: if the input is empty, holds missing values, differs in shape, or has more than two
            classes with `average="binary"`.

    Example:
        >>> precision([1, 0, 1, 1], [1, 1, 0, 0])
        0.5
        >>> precision(["a", "b", "c"], ["a", "b", "b"], average="macro")
        0.5
    """
    hits, predicted, _ = _class_counts(targets, predictions, average, positive)
    return _mean_ratio(hits, predicted)


def recall(targets, predictions, average="binary", positive=1) -> float:
    """Share of the true positives that are found; 0 where no target is positive.

    Args, Raises: as `precision`.

    Example:
        >>> recall([1, 0, 1, 1], [1, 1, 0, 1])
        0.6666666666666666
    """
    hits, _, actual = _class_counts(targets, predictions, average, positive)
    return _mean_ratio(hits, actual)


def f1(targets, predictions, average="binary", positive=1) -> float:
    """Harmonic mean of precision and recall; 0 for a class that is neither predicted nor true.

    Args, Raises: as `precision`.

    Example:
        >>> f1([1, 0, 1, 1], [1, 1, 1, 1])
        0.8571428571428571
    """
    hits, predicted, actual = _class_counts(targets, predictions, average, positive)
    return _mean_ratio(2 * hits, predicted + actual)


# Scores and probabilities -----------------------------------------------------------------------------------


def roc_auc(targets, scores) -> float:
    """Probability that a random positive scores above a random negative; ties count half.

    Args:
        targets: (m,) 0 or 1.
        scores: (m,) numbers, higher for more likely positive; any monotone scale.

    Raises:
        ValueError: if the input is empty, holds NaN, differs in shape or has one class only.

    Source: Hanley and McNeil (1982), Radiology 143(1): the area equals the Mann-Whitney statistic.

    Example:
        >>> roc_auc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
        0.75
    """
    targets, scores = _two_classes(targets, scores, "scores")
    positives, negatives = targets.sum(), (~targets).sum()
    above = rankdata(scores)[targets].sum() - positives * (positives + 1) / 2
    return float(above / (positives * negatives))


def pr_auc(targets, scores) -> PrAuc:
    """Average precision over the recall steps, with the prevalence that a random order reaches.

    Args:
        targets: (m,) 0 or 1.
        scores: (m,) numbers, higher for more likely positive; tied scores enter together.

    Returns:
        PrAuc(value, prevalence). For rare events read the two side by side.

    Raises:
        ValueError: as `roc_auc`.

    Source: Davis and Goadrich (2006), ICML, section 2; the step-wise sum of scikit-learn's average precision.

    Example:
        >>> pr_auc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
        PrAuc(value=0.8333333333333333, prevalence=0.5)
    """
    targets, scores = _two_classes(targets, scores, "scores")
    order = np.argsort(-scores, kind="stable")
    last_of_tie = np.append(scores[order][1:] != scores[order][:-1], True)
    hits = np.cumsum(targets[order])[last_of_tie]
    precisions = hits / (np.flatnonzero(last_of_tie) + 1)
    steps = np.diff(hits, prepend=0) / hits[-1]
    return PrAuc(float(precisions @ steps), float(targets.mean()))


def log_loss(targets, probabilities) -> float:
    """Mean negative logarithm, in nats, of the probability that was given to the truth.

    A truth of probability 0 costs 36.04 nats (the smallest step of a float64), not infinity.

    Args:
        targets: (m,) 0 or 1 with (m,) probabilities; class numbers 0 .. C - 1 with (m, C) probabilities.
        probabilities: (m,) of class 1, or (m, C) with rows that sum to 1 (within 0.001).

    Raises:
        ValueError: if the input is empty, holds NaN, does not fit together, or is no probability.

    Example:
        >>> round(log_loss([1, 0], [0.8, 0.4]), 3)
        0.367
        >>> round(log_loss([2, 0], [[0.1, 0.1, 0.8], [0.5, 0.5, 0]]), 3)
        0.458
    """
    probabilities = _probabilities(probabilities)
    targets = _integers(targets, "targets")
    if targets.shape != probabilities.shape[:1]:
        raise ValueError(f"targets have shape {targets.shape}, probabilities {probabilities.shape}: "
                         "expected one target to each row.")
    if probabilities.ndim == 1:
        probabilities = np.stack([1 - probabilities, probabilities], axis=1)
    _check_range(targets, 0, probabilities.shape[1], "targets")
    of_truth = np.take_along_axis(probabilities, targets[:, None], axis=1).astype(np.float64)
    return float(-np.log(np.clip(of_truth, np.finfo(np.float64).eps, 1)).mean())


def calibration(targets, probabilities, bins=10, strategy="uniform") -> Calibration:
    """Compare predicted probabilities with observed frequencies, bin by bin.

    Args:
        targets: (m,) 0 or 1.
        probabilities: (m,) of class 1, in [0, 1].
        bins: number of bins; empty bins are left out of the curve.
        strategy: "uniform" for bins of equal width, "quantile" for bins of equal size.

    Returns:
        Calibration(curve, error). The error is the mean gap |predicted - observed|, weighted by the bins'
        counts.

    Raises:
        ValueError: if the input is empty, holds NaN, does not fit together or is no probability; if bins < 1.

    Source: Guo et al. (2017), On Calibration of Modern Neural Networks, ICML, section 2 and equation 3.

    Example:
        >>> curve, error = calibration([0, 0, 1, 1], [0.2, 0.3, 0.6, 0.9], bins=2)
        >>> curve.to_dict("list"), error
        ({'predicted': [0.25, 0.75], 'observed': [0.0, 1.0], 'count': [2, 2]}, 0.25)
    """
    targets, probabilities = _pair(targets, _probabilities(probabilities), "probabilities")
    targets, bins = _zero_one(targets), _at_least_one(bins, "bins")
    edges = np.linspace(0, 1, bins + 1)
    if strategy == "quantile":
        edges = np.quantile(probabilities, edges)
    elif strategy != "uniform":
        raise ValueError(f"strategy is {strategy!r}: expected 'uniform' or 'quantile'.")
    bin_of = np.searchsorted(edges[1:-1], probabilities)
    pairs = pd.DataFrame({"predicted": probabilities, "observed": targets}, dtype=np.float64)
    curve = pairs.groupby(bin_of).mean().assign(count=np.unique(bin_of, return_counts=True)[1])
    gaps = (curve["predicted"] - curve["observed"]).abs()
    return Calibration(curve.reset_index(drop=True), float(np.average(gaps, weights=curve["count"])))


# Rankings of the full catalogue -----------------------------------------------------------------------------


def target_ranks(scores, targets, candidates_from=2) -> np.ndarray:
    """Rank of each true next item among the full catalogue: 1 is best, ties count against the model.

    The rank is the number of candidates, the target among them, that score at least as high as the target. So
    a model that scores all alike puts every target last.

    Args:
        scores: (..., V) numbers; -inf is allowed, NaN is not. Columns below `candidates_from` are never read.
        targets: (...) tokens. 0 is padding: such positions are not scored and get no rank. Other tokens below
            `candidates_from` are unknown items: their rank is `MISS`.
        candidates_from: the first token that is a candidate: 2 for items, 1 for actions, 0 where there is
            neither padding nor unknown.

    Returns:
        int64, one rank to each scored target, in the order of `targets.ravel()`. Groups of the same events
        are `groups[targets > 0]`.

    Raises:
        ValueError: if the input is empty, does not fit together, holds NaN or a token outside 0 .. V - 1.

    Example:
        >>> target_ranks([[9, 9, 0.1, 0.7, 0.2], [9, 9, 0.5, 0.5, 0.1]], [4, 2])
        array([2, 2])
    """
    scores, targets = _ranking_input(scores, targets, candidates_from)
    rows_of_targets = np.flatnonzero(targets) if candidates_from > 0 else np.arange(len(targets))
    if not len(rows_of_targets):
        raise ValueError("All targets are padding (0): there is nothing to rank.")
    ranks = np.empty(len(rows_of_targets), np.int64)
    step = max(1, _BLOCK // scores.shape[1])
    for start in range(0, len(ranks), step):
        rows = rows_of_targets[start:start + step]
        candidates, own = scores[rows, candidates_from:], scores[rows, targets[rows]]
        if np.isnan(candidates).any():
            row = rows[np.isnan(candidates).any(axis=1)][0]
            raise ValueError(f"scores hold NaN, first in row {row}: a rank among NaN has no meaning.")
        ranks[start:start + step] = (candidates >= own[:, None]).sum(axis=1)
    ranks[targets[rows_of_targets] < candidates_from] = MISS
    return ranks


def sampled_ranks(ranks, n_candidates, n_negatives=100, seed=0) -> np.ndarray:
    """Rank of each target among itself and a few random negatives: a habit that this function lets you doubt.

    Of `n_negatives` drawn without replacement from the other candidates, those that beat the target follow a
    hypergeometric distribution, so the full rank is all that is needed. Sampled metrics can even reverse the
    order of two models.

    Args:
        ranks: (m,) full ranks from `target_ranks`.
        n_candidates: size of the catalogue that was ranked (V - candidates_from).
        n_negatives: negatives to each target.
        seed: of the draw.

    Returns:
        (m,) int64; `MISS` stays `MISS`.

    Raises:
        ValueError: if ranks are empty or exceed the catalogue, or n_negatives is not in
            1 .. n_candidates - 1.

    Source: Krichene and Rendle (2020), On Sampled Metrics for Item Recommendation, KDD, section 4.

    Example:
        >>> sampled_ranks([1, 500, 1000], n_candidates=1000, n_negatives=10).tolist()[::2]
        [1, 11]
    """
    ranks = _ranks(ranks)
    known = ranks != MISS
    if (ranks[known] > n_candidates).any():
        raise ValueError(f"ranks reach {ranks[known].max()}, but n_candidates is {n_candidates}: expected "
                         "the size of the catalogue that was ranked.")
    if not 1 <= n_negatives < n_candidates:
        raise ValueError(f"n_negatives is {n_negatives}: expected 1 to {n_candidates - 1}, the other "
                         "candidates.")
    sampled = np.full(len(ranks), MISS)
    better, worse = ranks[known] - 1, n_candidates - ranks[known]
    sampled[known] = 1 + np.random.default_rng(seed).hypergeometric(better, worse, n_negatives)
    return sampled


def hit_rate(ranks, k) -> float:
    """HR@k: share of targets among the first k.

    Args:
        ranks: (m,) from `target_ranks`.
        k: length of the list, at least 1.

    Raises:
        ValueError: if ranks are empty or below 1, or k < 1.

    Example:
        >>> hit_rate([1, 3, 20, 7], k=5)
        0.5
    """
    return float(np.mean(_ranks(ranks) <= _at_least_one(k)))


def ndcg(ranks, k) -> float:
    """NDCG@k with one relevant item: mean of 1 / log2(1 + rank) over all targets, 0 beyond k.

    Args, Raises: as `hit_rate`.

    Source: Jarvelin and Kekalainen (2002), ACM TOIS 20(4); the ideal gain of one relevant item is 1.

    Example:
        >>> ndcg([1, 3, 20], k=5)
        0.5
    """
    ranks = _ranks(ranks)
    hits = ranks[ranks <= _at_least_one(k)]
    return float((1 / np.log2(1.0 + hits)).sum() / len(ranks))


def mrr(ranks, k=None) -> float:
    """Mean reciprocal rank; with k, ranks beyond k count 0.

    Args, Raises: as `hit_rate`; k may be None for no cut.

    Example:
        >>> mrr([1, 2, 4]), mrr([1, 2, 4], k=2)
        (0.5833333333333334, 0.5)
    """
    ranks = _ranks(ranks)
    hits = ranks[ranks <= (MISS - 1 if k is None else _at_least_one(k))]
    return float((1 / hits).sum() / len(ranks))


def top_k(scores, k, candidates_from=2) -> np.ndarray:
    """The k best candidates of each row, best first; of equal scores the lower token comes first.

    Args:
        scores: (m, V) numbers without NaN in the candidates' columns.
        k: 1 .. V - candidates_from.
        candidates_from: the first token that is a candidate.

    Returns:
        (m, k) int64 tokens.

    Raises:
        ValueError: if the scores are empty, not (m, V) or hold NaN, or if k does not fit.

    Example:
        >>> top_k([[9, 9, 0.1, 0.7, 0.7]], k=2)
        array([[3, 4]])
    """
    scores = np.asarray(scores)
    if scores.ndim != 2 or not len(scores):
        raise ValueError(f"scores have shape {scores.shape}: expected (m, V) with m of at least 1.")
    candidates = scores[:, candidates_from:]
    if not _at_least_one(k) <= candidates.shape[1]:
        raise ValueError(f"k is {k}, but there are {candidates.shape[1]} candidates from token "
                         f"{candidates_from}.")
    if np.isnan(candidates).any():
        raise ValueError("scores hold NaN: an order among NaN has no meaning.")
    threshold = np.partition(candidates, -k, axis=1)[:, [-k]]
    above, tied = candidates > threshold, candidates == threshold
    wanted = above | (tied & (tied.cumsum(axis=1) <= k - above.sum(axis=1, keepdims=True)))
    chosen = np.nonzero(wanted)[1].reshape(len(scores), k)
    order = np.argsort(-np.take_along_axis(candidates, chosen, axis=1), axis=1, kind="stable")
    return np.take_along_axis(chosen, order, axis=1) + candidates_from


def coverage(top_items, n_items, candidates_from=2) -> float:
    """Share of the catalogue that is recommended to anyone at all.

    Args:
        top_items: tokens of any shape, from `top_k`.
        n_items: number of tokens, those below `candidates_from` included.
        candidates_from: the first token that is a candidate.

    Raises:
        ValueError: if there are no items, or one is no candidate.

    Example:
        >>> coverage([[2, 3], [3, 2]], n_items=6)
        0.5
    """
    top_items = _integers(top_items, "top_items")
    _check_range(top_items, candidates_from, n_items, "top_items")
    return len(np.unique(top_items)) / (n_items - candidates_from)


# Checks -----------------------------------------------------------------------------------------------------


def _pair(targets, values, name):
    targets, values = np.asarray(targets), np.asarray(values)
    if targets.shape != values.shape or targets.ndim != 1:
        raise ValueError(f"targets have shape {targets.shape}, {name} {values.shape}: expected (m,) for "
                         "both.")
    if not targets.size:
        raise ValueError(f"targets and {name} are empty: expected at least one.")
    for array, label in ((targets, "targets"), (values, name)):
        if pd.isna(array).any():
            raise ValueError(f"{label} hold a missing value, first at position {np.argmax(pd.isna(array))}.")
    return targets, values


def _zero_one(targets):
    if not np.isin(targets, (0, 1)).all():
        raise ValueError(f"targets hold {targets[~np.isin(targets, (0, 1))][0]!r}: expected 0 or 1.")
    return targets.astype(bool)


def _two_classes(targets, values, name):
    targets, values = _pair(targets, values, name)
    targets = _zero_one(targets)
    if targets.all() or not targets.any():
        raise ValueError(f"All targets are {int(targets[0])}: expected both classes, or the area has no "
                         "meaning.")
    return targets, values.astype(np.float64)


def _class_counts(targets, predictions, average, positive):
    """Hits, predictions and targets of each class in question."""
    targets, predictions = _pair(targets, predictions, "predictions")
    labels = np.unique(np.concatenate([targets, predictions]))
    if average == "binary":
        if len({*labels.tolist(), positive}) > 2:
            raise ValueError(f"Classes are {labels.tolist()} with positive={positive!r}: expected two; for "
                             "more use average='macro'.")
        labels = np.array([positive])
    elif average != "macro":
        raise ValueError(f"average is {average!r}: expected 'binary' or 'macro'.")
    is_target, is_predicted = targets == labels[:, None], predictions == labels[:, None]
    return (is_target & is_predicted).sum(1), is_predicted.sum(1), is_target.sum(1)


def _mean_ratio(part, whole):
    return float(np.mean(part / np.maximum(whole, 1)))


def _probabilities(probabilities):
    probabilities = np.asarray(probabilities)
    if probabilities.ndim not in (1, 2) or not probabilities.size:
        raise ValueError(f"probabilities have shape {probabilities.shape}: expected (m,) or (m, C), not "
                         "empty.")
    outside = ~((probabilities >= 0) & (probabilities <= 1))
    if outside.any():
        raise ValueError(f"probabilities hold {probabilities[outside][0]}: expected numbers in [0, 1].")
    if probabilities.ndim == 2 and (sums := np.abs(probabilities.sum(axis=1) - 1)).max() > 1e-3:
        raise ValueError(f"Row {sums.argmax()} of the probabilities does not sum to 1: are these scores or "
                         "logits?")
    return probabilities


def _integers(values, name):
    values = np.asarray(values)
    if not values.size:
        raise ValueError(f"{name} are empty: expected at least one.")
    if values.dtype.kind not in "iub":
        raise ValueError(f"{name} have dtype {values.dtype}: expected integers.")
    return values.astype(np.int64, copy=False)


def _check_range(values, start, stop, name):
    outside = (values < start) | (values >= stop)
    if outside.any():
        raise ValueError(f"{name} hold {values[outside][0]}: expected {start} to {stop - 1}.")


def _ranking_input(scores, targets, candidates_from):
    scores, targets = np.asarray(scores), _integers(targets, "targets")
    if scores.ndim < 2 or scores.shape[:-1] != targets.shape:
        raise ValueError(f"scores have shape {scores.shape}, targets {targets.shape}: expected (..., V) and "
                         "(...).")
    if not 0 <= candidates_from < scores.shape[-1]:
        raise ValueError(f"candidates_from is {candidates_from}: expected 0 to {scores.shape[-1] - 1}.")
    _check_range(targets, 0, scores.shape[-1], "targets")
    return scores.reshape(-1, scores.shape[-1]), targets.ravel()


def _ranks(ranks):
    ranks = _integers(ranks, "ranks")
    _check_range(ranks, 1, np.inf, "ranks")
    return ranks


def _at_least_one(value, name="k"):
    if index(value) < 1:
        raise ValueError(f"{name} is {value}: expected at least 1.")
    return index(value)
