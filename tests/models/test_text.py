import numpy as np
import pytest

from helpers.models import sequence, text

VECTORS = text.with_reserved(np.eye(6, 4) + 0.5)
WINDOWS = {"items": np.array([[2, 3, 4, 0]]), "actions": np.array([[1, 1, 2, 0]])}


def test_ngrams_bridge_spelling_and_hash_a_new_catalogue_alike():
    red, typo, other = text.ngram_vectors(["RED RETROSPOT MUG", "red retrospt mug", "garden gnome"])
    assert red @ typo > 0.6 > 0.3 > red @ other
    assert np.allclose(text.ngram_vectors(["red retrospt mug"])[0], typo)
    assert np.allclose(np.linalg.norm([red, typo, other], axis=1), 1)


def test_static_vectors_bridge_synonyms_that_ngrams_do_not():
    words = ["jacket", "coat", "sandals"]
    jacket, coat, sandals = text.static_vectors(words)
    assert jacket.shape == (256,) and jacket @ coat > jacket @ sandals + 0.1
    assert abs(text.ngram_vectors(words)[0] @ text.ngram_vectors(words)[1]) < 0.2


@pytest.mark.parametrize("encode", [text.ngram_vectors, text.static_vectors])
@pytest.mark.parametrize("title", [None, 3.0, " "])
def test_a_title_that_is_none_is_named(encode, title):
    with pytest.raises(ValueError, match="title of row 1"):
        encode(["mug", title])


def test_a_title_without_ngrams_is_named():
    with pytest.raises(ValueError, match="row 1, 'mug', has a vector of zeros"):
        text.ngram_vectors(["cap", "mug"], width=1)  # whose signed n-grams cancel in a single place


@pytest.mark.parametrize("call", [
    lambda: text.ngram_vectors(["mug"], width=0),
    lambda: text.build_encoder(width=0),
    lambda: text.build_next_item_from_vectors(VECTORS, units=0),
])
def test_sizes_are_at_least_one(call):
    with pytest.raises(ValueError, match="at least 1; found 0"):
        call()


def test_the_encoder_learns_from_some_pairs_what_serves_others():
    things = ["coat", "mug", "lamp", "chair", "spoon", "shelf"]
    left = [f"{color} {thing}" for color in ("crimson", "azure") for thing in things]
    right = [f"{thing} {color}" for color in ("red", "blue") for thing in things]
    known = np.array([thing not in ("lamp", "spoon") for thing in things] * 2)
    a, b = (text.ngram_vectors(titles, 512) for titles in (left, right))
    encoder = text.build_encoder(32, 512, seed=1)
    before = text.match_ranks(*(encoder.predict(x, verbose=0) for x in (a, b)))[~known]
    losses = text.train_encoder(encoder, a[known], b[known], epochs=60)
    after = text.match_ranks(*(encoder.predict(x, verbose=0) for x in (a, b)))[~known]
    assert losses[-1] < losses[0] and (after == 1).mean() == 1 > (before == 1).mean()


def test_training_the_encoder_refuses_what_does_not_fit():
    encoder, pairs = text.build_encoder(4, 16), np.ones((3, 16))
    for left, right in ((pairs, pairs[:2]), (pairs[:, :5], pairs[:, :5]), (pairs[:1], pairs[:1])):
        with pytest.raises(ValueError, match="a row for each pair"):
            text.train_encoder(encoder, left, right)
    with pytest.raises(ValueError, match="temperature must be above 0; found 0"):
        text.train_encoder(encoder, pairs, pairs, temperature=0)


def test_ties_count_against_the_match():
    assert text.match_ranks(np.ones((2, 1)), np.ones((3, 1))).tolist() == [3, 3]


def test_matching_refuses_what_does_not_fit():
    with pytest.raises(ValueError, match="expected \\(n, width\\)"):
        text.match_ranks(np.eye(2), np.eye(3))
    with pytest.raises(ValueError, match="rows between 0 and 1"):
        text.match_ranks(np.eye(2), np.eye(2), partners=[0, 2])


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_scores_are_dot_products_with_the_wanted_vector(cell):
    model = text.build_next_item_from_vectors(VECTORS, n_actions=3, units=5, cell=cell, seed=2)
    same = text.build_next_item_from_vectors(VECTORS, n_actions=3, units=5, cell=cell, seed=2)
    scores = model.predict(WINDOWS, verbose=0)
    wanted = type(model)(model.inputs, model.get_layer("wanted").output).predict(WINDOWS, verbose=0)
    assert np.allclose(scores, wanted @ VECTORS.T, atol=1e-6)
    assert np.array_equal(scores, same.predict(WINDOWS, verbose=0))


def test_training_leaves_the_table_as_it_was():
    model = text.build_next_item_from_vectors(VECTORS, units=5)
    sequence.train(model, {"items": WINDOWS["items"]}, np.array([[3, 4, 5, 0]]), epochs=2)
    assert np.array_equal(model.get_layer("item_vectors").get_weights()[0], VECTORS)
    assert np.array_equal(model.get_layer("scores").get_weights()[0], VECTORS.T)


def test_a_swapped_catalogue_keeps_what_was_learnt():
    model = text.build_next_item_from_vectors(VECTORS, n_actions=3, units=5)
    before, order = model.predict(WINDOWS, verbose=0), [0, 1, 5, 4, 3, 2]
    swapped = text.swap_catalogue(model, VECTORS[order])
    scores = swapped.predict({**WINDOWS, "items": np.array([[5, 4, 3, 0]])}, verbose=0)
    assert np.allclose(scores, before[..., order], atol=1e-6)
    assert np.array_equal(model.predict(WINDOWS, verbose=0), before)
    assert not swapped.get_layer("scores").trainable and not swapped.get_layer("item_vectors").trainable


def test_a_catalogue_of_another_width_is_refused():
    model = text.build_next_item_from_vectors(VECTORS)
    with pytest.raises(ValueError, match="3 columns, and the model was trained on 4"):
        text.swap_catalogue(model, VECTORS[:, :3])


@pytest.mark.parametrize(("vectors", "says"), [
    (np.ones(3), "expected \\(items, width\\)"),
    (np.full((3, 2), np.nan), "row 0 hold a missing value"),
    (np.ones((5, 2)), "use with_reserved"),
    (np.zeros((2, 2)), "use with_reserved"),
])
def test_a_wrong_table_is_refused(vectors, says):
    with pytest.raises(ValueError, match=says):
        text.build_next_item_from_vectors(vectors)


@pytest.mark.parametrize("setting", [{"cell": "rnn"}, {"n_actions": -1}, {"dropout": 1.0}])
def test_wrong_settings_are_refused(setting):
    with pytest.raises(ValueError, match="cell must be one of"):
        text.build_next_item_from_vectors(VECTORS, **setting)


def test_no_label_corrects_nothing_and_many_approach_the_shares():
    scores = np.random.default_rng(0).normal(size=(2, 3, 5))
    assert np.allclose(text.correct_by_popularity(scores, scores, np.zeros((2, 3), int)), scores, atol=1e-6)
    many = np.tile([2, 2, 2, 3], 5000)[None]
    found = text.correct_by_popularity(np.zeros(5), np.zeros((1, 20000, 5)), many, weight=1)
    assert np.allclose(found[2:4], np.log([0.75 * 5, 0.25 * 5]), atol=0.01)


def test_the_correction_refuses_what_does_not_fit():
    scores = np.zeros((1, 2, 4))
    with pytest.raises(ValueError, match="few_scores are"):
        text.correct_by_popularity(scores, scores, [[2]])
    with pytest.raises(ValueError, match="found 2 to 4"):
        text.correct_by_popularity(scores, scores, [[2, 4]])
    with pytest.raises(ValueError, match="weight must be above 0"):
        text.correct_by_popularity(scores, scores, [[2, 3]], weight=0)
