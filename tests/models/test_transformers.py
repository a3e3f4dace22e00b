"""Transformers: who sees whom, what a mask hides, and that weights move by name."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from helpers.models.sequence import train
from helpers.models.transfer import depths, feature_extraction, fine_tuning
from helpers.models.transformers import ask_next, build_causal, build_masked, mask_items, predict_next

N_ITEMS, LENGTH = 12, 6
ATTRIBUTES = np.vstack([np.zeros((2, 3)), np.random.default_rng(0).normal(size=(N_ITEMS - 2, 3))])
INPUTS = {"items": np.array([[2, 3, 4, 5, 0, 0], [6, 7, 8, 9, 10, 11]]),
          "actions": np.array([[1, 2, 1, 1, 0, 0], [1, 1, 3, 1, 1, 2]])}
TARGETS = np.array([[3, 4, 5, 0, 0, 0], [7, 8, 9, 10, 11, 0]])


def build(make, seed=0, n_items=N_ITEMS, attributes=ATTRIBUTES, **sizes):
    return make(n_items, 5, item_attributes=attributes, **{"width": 8, "length": LENGTH, "seed": seed, **sizes})


def scores(model, inputs):
    return np.array(model(inputs))


def changed(inputs, event, item, action=2):
    """The inputs with another event in its place."""
    copies = {name: values.copy() for name, values in inputs.items()}
    copies["items"][:, event], copies["actions"][:, event] = item, action
    return copies


@pytest.mark.parametrize("event", range(1, LENGTH))
def test_a_later_event_never_changes_an_earlier_score(event):
    model = build(build_causal)
    before, after = scores(model, INPUTS), scores(model, changed(INPUTS, event, item=2))
    np.testing.assert_array_equal(before[:, :event], after[:, :event])
    assert (np.abs(before - after)[:, event:].max(axis=2) > 0).all()


def test_the_masked_model_looks_to_both_sides():
    model = build(build_masked)
    before, after = scores(model, INPUTS), scores(model, changed(INPUTS, 3, item=2))
    assert (np.abs(before - after)[1].max(axis=1) > 0).all()


@pytest.mark.parametrize("make", [build_causal, build_masked])
def test_padding_is_never_looked_at(make):
    model = build(make)
    padded = scores(model, INPUTS)[0, :4]
    for action in (1, 4):  # whatever stands beside the padding
        other = {name: values.copy() for name, values in INPUTS.items()}
        other["actions"][0, 4:] = action
        np.testing.assert_allclose(scores(model, other)[0, :4], padded, atol=1e-6)
    shorter = build(make, length=4)
    shorter.set_weights([w[:4] if w.shape == (LENGTH, 8) else w for w in model.get_weights()])
    part = {name: values[:1, :4] for name, values in INPUTS.items()}
    np.testing.assert_allclose(scores(shorter, part)[0], padded, atol=1e-5)


@pytest.mark.parametrize("make", [build_causal, build_masked])
def test_order_matters_and_seeds_decide(make):
    one, same, other = build(make, 1), build(make, 1), build(make, 2)
    for a, b in zip(one.get_weights(), same.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert np.abs(scores(one, INPUTS) - scores(other, INPUTS)).max() > 0
    attention = one.get_layer("block_1_attention").get_weights()
    kernels = [w for w in attention if w.ndim == 3]
    assert len(kernels) == 4 and not np.allclose(kernels[0], kernels[1])  # queries are not keys
    assert all(0.5 < np.abs(w).max() / np.sqrt(6 / 16) <= 1 for w in kernels)


@pytest.mark.parametrize("make", [build_causal, build_masked])
def test_a_checkpoint_is_json_and_numbers(make, tmp_path):
    model = build(make, dropout=0.1)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    np.testing.assert_allclose(scores(loaded, INPUTS), scores(model, INPUTS), atol=1e-6)


def test_the_causal_model_learns_what_follows_what():
    rng = np.random.default_rng(0)
    items = (rng.integers(10, size=(64, 1)) + np.arange(LENGTH)) % 10 + 2
    model = build_causal(N_ITEMS, width=16, length=LENGTH)
    targets = np.pad(items[:, 1:], ((0, 0), (0, 1)))
    history = train(model, {"items": items}, targets, learning_rate=1e-2, epochs=30, batch_size=16)
    assert history["loss"][-1] < 0.1 < 1 < history["loss"][0]


def test_the_masked_model_learns_to_fill_in_and_to_foresee():
    rng = np.random.default_rng(0)
    items = (rng.integers(10, size=(200, 1)) + np.arange(LENGTH)) % 10 + 2
    draws = [mask_items(items, 0.4, N_ITEMS, seed) for seed in range(3)]
    masked, targets = (np.concatenate(parts) for parts in zip(*draws, strict=True))
    model = build_masked(N_ITEMS, width=16, length=LENGTH)
    train(model, {"items": masked}, targets, learning_rate=1e-2, epochs=20, batch_size=32)
    asked = np.zeros(items.shape, bool)
    asked[:20, 4] = True  # the mask stands at the end, where training had seen masks
    found = predict_next(model, {"items": items}, asked, N_ITEMS, batch_size=7)
    assert (found.argmax(axis=1) == items[:20, 5]).mean() > 0.9


@pytest.mark.parametrize("make", [build_causal, build_masked])
def test_transfer_moves_the_weights_by_name(make):
    source_tokens, target_tokens = [*"abcdefghij"], [*"bxya"]
    source, target = build(make, 1), build(make, 2, n_items=6, attributes=ATTRIBUTES[:6])
    moved = fine_tuning(source, target, source_tokens, target_tokens)
    start = {row["layer"]: (row["start"], row["copied"]) for row in moved.layers}
    assert start["item_embedding"] == start["next_item"] == ("remapped", round(4 / 6, 3))
    assert start["item_attributes"][0] == start["attribute_scores"][0] == "given"
    assert {start[name][0] for name in start if name.startswith(("block", "event", "mask", "pos"))} == {"copied"}
    np.testing.assert_array_equal(moved.model.get_layer("item_embedding").get_weights()[0][2],
                                  source.get_layer("item_embedding").get_weights()[0][3])
    head = feature_extraction(source, target, source_tokens, target_tokens)
    assert {row["layer"] for row in head.layers if row["trains"]} == {"next_item", "next_attributes"}
    deep = depths(target)
    assert deep["encoder"] == 2 < deep["block_2_attention"] < deep["block_1_attention"] < deep["item_embedding"]


@given(arrays(np.int64, (4, LENGTH), elements=st.integers(0, 9)), st.floats(0.01, 1), st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_masking_hides_whole_runs_of_items_and_nothing_else(items, share, seed):
    masked, targets = mask_items(items, share, 50, seed)
    hidden = masked == 50
    np.testing.assert_array_equal(np.where(hidden, targets, masked), items)
    assert (targets[~hidden] == 0).all() and (items[hidden] >= 2).all()
    same = items[:, 1:] == items[:, :-1]
    np.testing.assert_array_equal((hidden[:, 1:] == hidden[:, :-1])[same], True)
    np.testing.assert_array_equal(hidden.any(axis=1), (items >= 2).any(axis=1))


def test_masking_hides_the_share_that_was_asked_for():
    items = np.tile(np.arange(2, 22), (500, 1))
    masked, _ = mask_items(items, 0.3, 50)
    assert abs((masked == 50).mean() - 0.3) < 0.02
    assert (mask_items(items, 0.3, 50, 1)[0] != masked).any()
    assert (mask_items(items, 1.0, 50)[0] == 50).all()


def test_a_question_is_a_prefix_with_a_mask():
    asked = np.zeros((2, LENGTH), bool)
    asked[0, [0, 3]] = asked[1, 5] = True
    questions, place = ask_next(INPUTS, asked, N_ITEMS, action=1)
    assert questions["items"].tolist() == [[2, 12, 0, 0, 0, 0], [2, 3, 4, 5, 12, 0], [7, 8, 9, 10, 11, 12]]
    assert questions["actions"].tolist() == [[1, 1, 0, 0, 0, 0], [1, 2, 1, 1, 1, 0], [1, 3, 1, 1, 2, 1]]
    assert place.tolist() == [1, 4, 5] and INPUTS["items"].max() < N_ITEMS
    model = build(build_masked)
    found = predict_next(model, INPUTS, asked, N_ITEMS, action=1, batch_size=2)
    np.testing.assert_allclose(found, scores(model, questions)[np.arange(3), place], atol=1e-6)
    assert predict_next(model, INPUTS, asked & False, N_ITEMS, action=1).shape == (0, N_ITEMS)


def test_ids_alone_and_no_blocks_are_fine():
    assert build_causal(N_ITEMS, width=4, blocks=0, length=LENGTH).output_shape == (None, LENGTH, N_ITEMS)


@pytest.mark.parametrize(("sizes", "said"), [
    ({"n_items": 2, "attributes": None}, "found 2"),
    ({"blocks": -1}, "-1"),
    ({"length": 0}, "at least 1"),
    ({"width": 9}, "multiple of heads; found 9 and 2"),
    ({"dropout": 1}, "found 1"),
    ({"attributes": ATTRIBUTES[1:]}, r"\(11, 3\): expected \(12, k\)"),
    ({"attributes": np.where(np.arange(N_ITEMS)[:, None] == 4, np.nan, ATTRIBUTES)}, "token 4"),
])
def test_wrong_sizes_are_named(sizes, said):
    with pytest.raises(ValueError, match=said):
        build(build_causal, **sizes)


def test_wrong_inputs_are_named():
    items = INPUTS["items"]
    with pytest.raises(ValueError, match="found 0"):
        mask_items(items, 0, N_ITEMS)
    with pytest.raises(ValueError, match="row 1 of the items holds 11"):
        mask_items(items, 0.5, 10)
    with pytest.raises(ValueError, match=r"shape \(6,\)"):
        mask_items(items[0], 0.5, N_ITEMS)
    with pytest.raises(ValueError, match=r"shape \(1, 6\)"):
        ask_next({"items": items}, items[:1] > 0, N_ITEMS)
    with pytest.raises(ValueError, match="give `action`"):
        ask_next(INPUTS, items > 0, N_ITEMS)
