import numpy as np
import pytest
import sklearn.metrics as reference
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve

from helpers.evaluation import metrics
from helpers.evaluation.metrics import MISS, target_ranks

RANKS = np.array([1, 2, 5, 11, MISS])


@pytest.fixture(params=range(3))
def rng(request):
    return np.random.default_rng(request.param)


labels = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=30)
binary_scores = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 5)), min_size=2, max_size=30)


@given(labels)
def test_class_metrics_equal_scikit_learn(pairs):
    targets, predictions = np.array(pairs).T
    options = {"average": "macro", "zero_division": 0}
    assert metrics.accuracy(targets, predictions) == reference.accuracy_score(targets, predictions)
    assert np.isclose(metrics.precision(targets, predictions, "macro"),
                      reference.precision_score(targets, predictions, **options))
    assert np.isclose(metrics.recall(targets, predictions, "macro"),
                      reference.recall_score(targets, predictions, **options))
    assert np.isclose(metrics.f1(targets, predictions, "macro"),
                      reference.f1_score(targets, predictions, **options))


@given(labels)
def test_binary_metrics_equal_scikit_learn_even_where_a_class_is_absent(pairs):
    targets, predictions = np.array(pairs).T % 2
    for ours, theirs in [(metrics.precision, reference.precision_score),
                         (metrics.recall, reference.recall_score), (metrics.f1, reference.f1_score)]:
        assert np.isclose(ours(targets, predictions), theirs(targets, predictions, zero_division=0))


def test_positive_label_may_be_a_string():
    assert metrics.recall(["buy", "leave", "buy"], ["buy", "buy", "leave"], positive="buy") == 0.5


@given(binary_scores.filter(lambda pairs: len({target for target, _ in pairs}) == 2))
def test_areas_equal_scikit_learn_with_ties(pairs):
    targets, scores = np.array(pairs).T
    assert np.isclose(metrics.roc_auc(targets, scores), reference.roc_auc_score(targets, scores))
    value, prevalence = metrics.pr_auc(targets, scores)
    assert np.isclose(value, reference.average_precision_score(targets, scores))
    assert prevalence == targets.mean()


def test_pr_auc_of_a_constant_scorer_is_the_prevalence():
    value, prevalence = metrics.pr_auc([1, 0, 0, 0], [0.5] * 4)
    assert value == prevalence == 0.25


def test_log_loss_equals_scikit_learn(rng):
    probabilities = rng.dirichlet(np.ones(5), size=50)
    targets = rng.integers(0, 5, 50)
    assert np.isclose(metrics.log_loss(targets, probabilities),
                      reference.log_loss(targets, probabilities, labels=range(5)))
    assert np.isclose(metrics.log_loss(targets > 2, probabilities[:, 0]),
                      reference.log_loss(targets > 2, probabilities[:, 0]))


def test_log_loss_of_a_certain_error_is_finite_and_equals_scikit_learn():
    ours = metrics.log_loss([1, 0], [0.0, 1.0])
    assert np.isclose(ours, reference.log_loss([1, 0], [0.0, 1.0])) and 36 < ours < 37


@pytest.mark.parametrize("strategy", ["uniform", "quantile"])
def test_calibration_equals_scikit_learn(rng, strategy):
    probabilities = rng.random(200)
    targets = rng.random(200) < probabilities**2
    curve, error = metrics.calibration(targets, probabilities, bins=7, strategy=strategy)
    observed, predicted = calibration_curve(targets, probabilities, n_bins=7, strategy=strategy)
    assert np.allclose(curve["observed"], observed) and np.allclose(curve["predicted"], predicted)
    assert curve["count"].sum() == 200
    assert np.isclose(error, np.abs(observed - predicted) @ curve["count"] / 200)


def test_calibration_of_one_constant_probability_has_one_bin():
    curve, error = metrics.calibration([1, 0, 0, 0], [0.25] * 4)
    assert len(curve) == 1 and error == 0


def brute_rank(scores, target, start):
    return sum(score >= scores[target] for score in scores[start:])


@settings(deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 2))
def test_ranks_equal_a_loop_with_ties_and_infinities(seed, start):
    rng = np.random.default_rng(seed)
    scores = rng.choice([-np.inf, 0.0, 1.0, 2.0], size=(6, 5))
    targets = rng.integers(start, 5, 6)
    scored = targets != 0 if start else np.ones(6, bool)
    expected = [brute_rank(row, target, start) for row, target in zip(scores[scored], targets[scored])]
    assert target_ranks(scores, targets, start).tolist() == expected


def test_ranks_do_not_depend_on_the_size_of_the_blocks(rng, monkeypatch):
    scores, targets = rng.random((50, 9)), rng.integers(2, 9, 50)
    whole = target_ranks(scores, targets)
    monkeypatch.setattr(metrics, "_BLOCK", 20)
    assert (target_ranks(scores, targets) == whole).all()


def test_ranks_of_windows_skip_padding_and_miss_unknown_items():
    scores = np.zeros((2, 3, 6))
    scores[0, 0, 4] = 1
    assert target_ranks(scores, [[4, 1, 0], [2, 0, 0]]).tolist() == [1, MISS, 4]


def test_a_constant_scorer_hits_nothing_below_the_whole_catalogue():
    ranks = target_ranks(np.zeros((20, 12)), np.arange(20) % 10 + 2)
    assert metrics.hit_rate(ranks, k=9) == 0 and metrics.hit_rate(ranks, k=10) == 1


def test_padding_and_unknown_columns_are_no_candidates():
    assert target_ranks([[np.nan, np.inf, 0.2, 0.1]], [2]).tolist() == [1]


def test_an_unknown_target_is_a_miss_for_every_k():
    ranks = np.array([MISS, MISS])
    assert metrics.hit_rate(ranks, 10**9) == metrics.ndcg(ranks, 10**9) == metrics.mrr(ranks) == 0


@pytest.mark.parametrize("k", [1, 3, 10])
def test_ranking_metrics_equal_keras_rs(rng, k):
    import keras_rs

    scores = rng.permuted(np.tile(np.arange(40.0), (30, 1)), axis=1).astype(np.float32)
    targets = rng.integers(0, 40, 30)
    one_hot = np.eye(40, dtype=np.float32)[targets]
    ranks = target_ranks(scores, targets, candidates_from=0)
    theirs = {name: float(getattr(keras_rs.metrics, name)(k=k)(one_hot, scores))
              for name in ("NDCG", "MeanReciprocalRank", "RecallAtK")}
    assert np.isclose(metrics.ndcg(ranks, k), theirs["NDCG"], atol=1e-6)
    assert np.isclose(metrics.mrr(ranks, k), theirs["MeanReciprocalRank"], atol=1e-6)
    assert np.isclose(metrics.hit_rate(ranks, k), theirs["RecallAtK"], atol=1e-6)


def test_ranking_metrics_by_hand():
    assert metrics.hit_rate(RANKS, 5) == 0.6
    assert np.isclose(metrics.ndcg(RANKS, 5), (1 + 1 / np.log2(3) + 1 / np.log2(6)) / 5)
    assert np.isclose(metrics.mrr(RANKS), (1 + 1 / 2 + 1 / 5 + 1 / 11) / 5)


def test_sampled_ranks_follow_the_draw_of_real_negatives(rng):
    full_rank, n_candidates, n_negatives = 30, 200, 50
    sampled = metrics.sampled_ranks(np.full(20_000, full_rank), n_candidates, n_negatives, seed=1)
    better = np.tile(np.arange(n_candidates - 1) < full_rank - 1, (2000, 1))
    drawn = rng.permuted(better, axis=1)[:, :n_negatives].sum(axis=1) + 1
    assert abs(sampled.mean() - drawn.mean()) < 0.25 and abs(sampled.std() - drawn.std()) < 0.2
    assert sampled.min() >= 1 and sampled.max() <= n_negatives + 1


def test_sampling_all_negatives_gives_the_full_rank_and_keeps_misses():
    assert (metrics.sampled_ranks(RANKS, n_candidates=20, n_negatives=19) == RANKS).all()


def test_sampling_flatters():
    ranks = np.full(1000, 30)
    assert metrics.hit_rate(ranks, 10) == 0
    assert metrics.hit_rate(metrics.sampled_ranks(ranks, 1000, 100), 10) > 0.95


@settings(deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 6))
def test_top_k_equals_a_stable_sort(seed, k):
    scores = np.random.default_rng(seed).choice([-np.inf, 0.0, 1.0, 2.0], size=(5, 8)).astype(np.float32)
    expected = np.argsort(-scores[:, 2:], axis=1, kind="stable")[:, :k] + 2
    assert (metrics.top_k(scores, k) == expected).all()


def test_coverage_counts_distinct_candidates():
    assert metrics.coverage([[2, 3, 3]], n_items=10) == 0.25
    assert metrics.coverage([0, 1], n_items=2, candidates_from=0) == 1


@pytest.mark.parametrize("call, message", [
    (lambda: metrics.accuracy([], []), "empty"),
    (lambda: metrics.accuracy([1, 2], [1]), "shape"),
    (lambda: metrics.f1(["a", None], ["a", "b"]), "position 1"),
    (lambda: metrics.precision([0, 1, 2], [0, 1, 2]), "macro"),
    (lambda: metrics.precision([0, 1], [0, 1], average="micro"), "'binary' or 'macro'"),
    (lambda: metrics.roc_auc([1, 1], [0.1, 0.2]), "All targets are 1"),
    (lambda: metrics.pr_auc([0, 0], [0.1, 0.2]), "All targets are 0"),
    (lambda: metrics.roc_auc([0, 2], [0.1, 0.2]), "expected 0 or 1"),
    (lambda: metrics.roc_auc([0, 1], [0.1, np.nan]), "scores hold a missing value, first at position 1"),
    (lambda: metrics.log_loss([0, 1], [0.1, 1.2]), r"1\.2: expected numbers in \[0, 1\]"),
    (lambda: metrics.log_loss([0, 1], [0.1, np.nan]), "nan"),
    (lambda: metrics.log_loss([0], [[0.1, 0.2]]), "Row 0 .* logits"),
    (lambda: metrics.log_loss([0, 1], [0.1]), "one target to each row"),
    (lambda: metrics.log_loss([2], [[0.5, 0.5]]), "expected 0 to 1"),
    (lambda: metrics.log_loss([0.5], [0.5]), "integers"),
    (lambda: metrics.log_loss([], []), "not empty"),
    (lambda: metrics.calibration([0, 1], [0.1, 0.2], bins=0), "bins is 0"),
    (lambda: metrics.calibration([0, 1], [0.1, 0.2], strategy="equal"), "'uniform' or 'quantile'"),
    (lambda: target_ranks(np.zeros((2, 5)), [2, 3, 4]), "expected"),
    (lambda: target_ranks(np.zeros((0, 5)), np.zeros(0, int)), "empty"),
    (lambda: target_ranks([[0, 0, 1, np.nan]] * 2, [0, 2]), "NaN, first in row 1"),
    (lambda: target_ranks(np.zeros((1, 5)), [5]), "targets hold 5: expected 0 to 4"),
    (lambda: target_ranks(np.zeros((1, 5)), [-1]), "targets hold -1"),
    (lambda: target_ranks(np.zeros((1, 5)), [2.0]), "integers"),
    (lambda: target_ranks(np.zeros((1, 5)), [0]), "padding"),
    (lambda: target_ranks(np.zeros((1, 2)), [1]), "candidates_from is 2"),
    (lambda: metrics.hit_rate([], 1), "empty"),
    (lambda: metrics.hit_rate([0], 1), "ranks hold 0"),
    (lambda: metrics.hit_rate([1], 0), "k is 0"),
    (lambda: metrics.ndcg([1], -1), "k is -1"),
    (lambda: metrics.mrr([1], 0), "k is 0"),
    (lambda: metrics.sampled_ranks([30], 20, 5), "reach 30"),
    (lambda: metrics.sampled_ranks([3], 20, 20), "expected 1 to 19"),
    (lambda: metrics.top_k(np.zeros((1, 5)), 4), "3 candidates"),
    (lambda: metrics.top_k(np.zeros(5), 1), r"expected \(m, V\)"),
    (lambda: metrics.top_k([[0, 0, np.nan]], 1), "NaN"),
    (lambda: metrics.coverage([], 5), "empty"),
    (lambda: metrics.coverage([1], 5), "top_items hold 1"),
])
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_fractional_k_is_refused():
    with pytest.raises(TypeError):
        metrics.hit_rate([1], 2.5)
