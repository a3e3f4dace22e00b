import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression

from helpers.evaluation.baselines import ContentKNN, CountRegression, ItemKNN, MarkovChain, Popularity, counts_so_far

ATTRIBUTES = np.vstack([np.zeros((2, 3)), np.random.default_rng(0).normal(size=(5, 3))])
MODELS = [Popularity(), MarkovChain(), ItemKNN(), ContentKNN(ATTRIBUTES, popularity=0.1), CountRegression()]
quick = settings(deadline=None, max_examples=30)
seeds = st.integers(0, 2**32 - 1)


def random_windows(seed, n_items=7, n=6, length=5):
    """Sessions of random length as padded items and next items, and random weights."""
    rng = np.random.default_rng(seed)
    sessions = rng.integers(1, n_items, (n, length + 1))
    sessions[np.arange(length + 1) >= rng.integers(2, length + 2, (n, 1))] = 0
    sessions[0, :3] = [2, 3, 2]
    items, next_items = sessions[:, :-1].copy(), sessions[:, 1:]
    return items, next_items, rng.integers(1, 4, n).astype(float)


def brute_popularity(next_items, weights, n_items, first, smoothing):
    counts = [smoothing if token >= first else 0 for token in range(n_items)]
    for window, weight in zip(next_items, weights):
        for token in window:
            if token >= first:
                counts[token] += weight
    return np.array(counts) / sum(counts)


def brute_markov(items, next_items, weights, n_items, first, prior, queries):
    popularity = brute_popularity(next_items, weights, n_items, first, 1)
    counts = np.zeros((n_items, n_items))
    for window, nexts, weight in zip(items, next_items, weights):
        last = 0
        for token, target in zip(window, nexts):
            last = token if token >= first else last
            if target >= first:
                counts[last, target] += weight
    scores = np.zeros((*queries.shape, n_items))
    for window, row in zip(queries, scores):
        last = 0
        for position, token in enumerate(window):
            last = token if token >= first else last
            row[position] = (counts[last] + prior * popularity) / (counts[last].sum() + prior)
    return scores


@quick
@given(seeds, st.integers(1, 2))
def test_popularity_equals_a_loop(seed, first):
    items, next_items, weights = random_windows(seed)
    scores = Popularity(first, smoothing=0.5).fit(items, next_items, 7, weights).scores(items)
    assert scores.dtype == np.float32 and scores.shape == (*items.shape, 7)
    assert np.allclose(scores, brute_popularity(next_items, weights, 7, first, 0.5), atol=1e-6)


@quick
@given(seeds, st.integers(1, 2))
def test_markov_chain_equals_a_loop(seed, first):
    items, next_items, weights = random_windows(seed)
    queries = random_windows(seed + 1)[0]
    scores = MarkovChain(first, prior=2).fit(items, next_items, 7, weights).scores(queries)
    assert scores.dtype == np.float32
    assert np.allclose(scores, brute_markov(items, next_items, weights, 7, first, 2, queries), atol=1e-6)
    assert np.allclose(scores.sum(axis=-1), 1, atol=1e-5)


def test_markov_chain_backs_off_to_the_last_known_item_and_then_to_popularity():
    model = MarkovChain().fit([[2, 3, 2, 3]], [[3, 2, 3, 2]], n_items=6)
    after = model.scores([[2, 1, 1, 5]])[0]
    assert (after[0] == after[1]).all() and (after[1] == after[2]).all()
    assert np.allclose(after[3], model.popularity)


def test_markov_chain_learns_across_a_search():
    model = MarkovChain(prior=0.1).fit([[2, 1]], [[1, 4]], n_items=6)
    assert model.scores([[2]]).argmax() == 4


def test_a_strong_prior_turns_the_chain_into_popularity():
    items, next_items, _ = random_windows(0)
    scores = MarkovChain(prior=1e9).fit(items, next_items, 7).scores(items)
    assert np.allclose(scores, Popularity().fit(items, next_items, 7).scores(items), atol=1e-6)


def test_markov_chain_serves_next_actions():
    model = MarkovChain(first_token=1, prior=0.1)
    model.fit([[1, 3, 4], [1, 2, 0]], [[3, 4, 5], [2, 5, 0]], n_items=6)
    assert model.scores([[3, 4, 2]]).argmax(axis=-1).tolist() == [[4, 5, 5]]


def brute_similarities(items, next_items, weights, n_items, neighbors, shrinkage, repeats):
    held = [set(window[window >= 2]) | set(nexts[nexts >= 2]) for window, nexts in zip(items, next_items)]

    def count(*tokens):
        return sum(weight for tokens_held, weight in zip(held, weights) if set(tokens) <= tokens_held)
    similar = np.zeros((n_items, n_items))
    for i in range(2, n_items):
        for j in range(2, n_items):
            if count(i, j) and (repeats or i != j):
                similar[i, j] = count(i, j) / ((count(i) * count(j)) ** 0.5 + shrinkage)
        similar[i, np.argsort(-similar[i], kind="stable")[neighbors:]] = 0
    return similar


@quick
@given(seeds, st.integers(1, 9), st.sampled_from([0, 2.5]), st.sampled_from([1, 0.5]), st.booleans())
def test_item_knn_equals_a_loop(seed, neighbors, shrinkage, decay, repeats):
    items, next_items, weights = random_windows(seed)
    queries = random_windows(seed + 1)[0]
    model = ItemKNN(2, neighbors, shrinkage, decay, repeats).fit(items, next_items, 7, weights)
    similar = brute_similarities(items, next_items, weights, 7, neighbors, shrinkage, repeats)
    scores = model.scores(queries)
    assert scores.dtype == np.float32
    for window, row in zip(queries, scores):
        expected = np.zeros(7)
        for token, found in zip(window, row):
            expected = decay * expected + similar[token]
            assert np.allclose(found, expected, atol=1e-5)


def test_item_similarities_equal_the_cosine_of_scipy():
    items, next_items, _ = random_windows(3)
    incidence = np.array([[token in (*window, *nexts) for token in range(2, 7)]
                          for window, nexts in zip(items, next_items)], float)
    expected = 1 - cdist(incidence.T, incidence.T, "cosine")
    found = ItemKNN().fit(items, next_items, 7).similarities.toarray()[2:, 2:]
    assert np.allclose(found, expected, atol=1e-6)


def test_item_knn_orders_items_without_a_neighbor_by_popularity():
    model = ItemKNN(repeats=False).fit([[2, 3], [4, 5], [4, 5]], [[3, 0], [5, 5], [5, 0]], n_items=6)
    assert np.argsort(-model.scores([[2]])[0, 0])[:2].tolist() == [3, 5]


@quick
@given(seeds, st.sampled_from([0.3, 1.0]))
def test_content_knn_equals_a_loop(seed, decay):
    items, next_items, weights = random_windows(seed)
    scores = ContentKNN(ATTRIBUTES, decay=decay, popularity=0.5).fit(items, next_items, 7, weights).scores(items)
    similar = np.nan_to_num(1 - cdist(ATTRIBUTES, ATTRIBUTES, "cosine"))
    log_popularity = np.log(brute_popularity(next_items, weights, 7, 2, 1)[2:])
    for window, row in zip(items, scores):
        for position in range(len(window)):
            seen = sum(decay ** (position - p) * similar[window[p], 2:] for p in range(position + 1))
            assert np.allclose(row[position, 2:], seen + 0.5 * log_popularity, atol=1e-5)
    assert np.isneginf(scores[..., :2]).all()


@pytest.mark.parametrize("attributes", [ATTRIBUTES[:6], ATTRIBUTES[:, 0], np.where(ATTRIBUTES > 0, np.nan, 0)])
def test_content_knn_refuses_attributes_that_do_not_fit(attributes):
    items, next_items, _ = random_windows(0)
    with pytest.raises(ValueError, match=r"expected \(7, k\), a row for each token"):
        ContentKNN(attributes).fit(items, next_items, 7)


def test_counts_equal_scikit_learns_vectorizer():
    windows = [[1, 2, 1, 4], [3, 3, 1, 2]]
    texts = [" ".join(map(str, window)) for window in windows]
    expected = CountVectorizer(token_pattern=r"\d", vocabulary=list("01234")).fit_transform(texts).toarray()
    assert (counts_so_far(windows, 5)[:, -1] == expected).all()


@quick
@given(seeds)
def test_counts_equal_a_loop_and_leave_padding_out(seed):
    items, _, _ = random_windows(seed)
    for window, counts in zip(items, counts_so_far(items, 7)):
        for position, row in enumerate(counts):
            seen = window[:position + 1].tolist()
            assert row.tolist() == [0, *(seen.count(token) for token in range(1, 7))]


def test_count_regression_equals_scikit_learn_on_every_event():
    items, next_items, weights = random_windows(5, n=40)
    scored = next_items >= 1
    features = np.log1p(counts_so_far(items, 7))
    regression = LogisticRegression(max_iter=1000, tol=1e-8).fit(
        features[scored], next_items[scored], np.broadcast_to(weights[:, None], items.shape)[scored])
    scores = CountRegression().fit(items, next_items, 7, weights).scores(items)
    expected = regression.predict_proba(features[scored])
    assert np.allclose(scores[scored][:, regression.classes_], expected, atol=2e-3)
    assert np.allclose(scores.sum(axis=-1), 1, atol=1e-5) and (scores[..., 0] == 0).all()


def test_count_regression_predicts_whether_a_session_buys():
    items = np.array([[1, 1, 3], [1, 2, 0], [3, 3, 1], [2, 2, 1]] * 5)
    buys = np.array([True, False, True, False] * 5)
    labels = np.where(items == 0, 0, np.where(buys, 2, 1)[:, None])
    will_buy = CountRegression(strength=100).fit(items, labels, 6).scores(items)[:, -1, 2]
    assert ((will_buy > 0.5) == buys).all()


@pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)
def test_a_weight_of_two_equals_the_window_twice_and_zero_leaves_it_out(model):
    items, next_items, _ = random_windows(1)
    weights = np.array([2, 1, 1, 1, 1, 0.0])
    copies = [0, 0, 1, 2, 3, 4]
    weighted = model.fit(items, next_items, 7, weights).scores(items)
    assert np.allclose(weighted, model.fit(items[copies], next_items[copies], 7).scores(items), atol=1e-3)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)
def test_scores_look_at_no_later_event(model):
    items, next_items, _ = random_windows(2)
    model.fit(items, next_items, 7)
    assert np.allclose(model.scores(items)[:, :3], model.scores(items[:, :3]), atol=1e-6)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)
@pytest.mark.parametrize("items, next_items, weights, message", [
    ([[2, 3]], [[3]], None, "expected the same"),
    ([2, 3], [3, 2], None, r"expected \(n, length\)"),
    (np.zeros((0, 2), int), np.zeros((0, 2), int), None, "not empty"),
    ([[2.0]], [[3]], None, "items have dtype float64"),
    ([[2], [9]], [[3], [2]], None, "items hold 9 in window 1: expected 0 to 6"),
    ([[2]], [[-1]], None, "next_items hold -1 in window 0"),
    ([[2, 3], [0, 2]], [[3, 0], [2, 3]], None, "Window 1 has a next item where items are padding"),
    ([[2]], [[0]], None, "nothing to learn from"),
    ([[2]], [[3]], [0], "nothing to learn from"),
    ([[2]], [[3]], [1, 1], r"expected \(1,\)"),
    ([[2]], [[3]], [-1], "negative"),
    ([[2]], [[3]], [np.nan], "missing"),
])
def test_bad_windows_are_named(model, items, next_items, weights, message):
    with pytest.raises(ValueError, match=message):
        model.fit(items, next_items, 7, weights)


@pytest.mark.parametrize("model, message", [
    (Popularity(smoothing=-1), "smoothing is -1"), (MarkovChain(prior=0), "prior is 0"),
    (MarkovChain(smoothing=-1), "smoothing is -1"), (ItemKNN(neighbors=0), "neighbors is 0"),
    (ItemKNN(shrinkage=-1), "shrinkage is -1"), (ItemKNN(decay=0), "decay is 0"),
    (ContentKNN(ATTRIBUTES, popularity=-1), "popularity is -1"), (ContentKNN(ATTRIBUTES, decay=2), "decay is 2"),
    (CountRegression(strength=0), "strength is 0"), (CountRegression(), "All targets are 3"),
])
def test_bad_parameters_are_named(model, message):
    with pytest.raises(ValueError, match=message):
        model.fit([[2, 2]], [[3, 3]], 7)


@pytest.mark.parametrize("kind", [Popularity, MarkovChain, ItemKNN, lambda: ContentKNN(ATTRIBUTES), CountRegression])
def test_scores_before_fit_are_refused(kind):
    with pytest.raises(RuntimeError, match="not fitted"):
        kind().scores([[2]])


@pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)
def test_tokens_beyond_the_vocabulary_are_refused_when_scoring(model):
    items, next_items, _ = random_windows(0)
    with pytest.raises(ValueError, match="items hold 7 in window 0"):
        model.fit(items, next_items, 7).scores([[7]])
