"""Sequence models: shapes, padding, repeatable training, and errors that say what to do."""

import random

import keras
import numpy as np
import pytest

from helpers.models.sequence import build_next_action, build_next_item, build_will_buy, train

SMALL = {"embedding": 8, "units": 8}


@pytest.fixture
def windows():
    """Windows of a deterministic rule: after item i comes i + 1, and after the last one the first."""
    start = np.random.default_rng(0).integers(0, 6, (256, 1))
    items = 2 + (start + np.arange(7)) % 6
    items[::3, 5:] = 0
    targets = np.where(items[:, 1:] > 0, items[:, 1:], 0)
    return {"items": items[:, :-1]}, targets


def weights_equal(first, second):
    return all(np.array_equal(a, b) for a, b in zip(first.get_weights(), second.get_weights(), strict=True))


def full_inputs(length=5, seed=0):
    draw = np.random.default_rng(seed)
    return {
        "items": draw.integers(1, 9, (3, length)),
        "actions": draw.integers(1, 5, (3, length)),
        "features": draw.normal(size=(3, length, 2)).astype("float32"),
    }


def padded(inputs, columns):
    return {
        name: np.pad(values, [(0, 0), (0, columns)] + [(0, 0)] * (values.ndim - 2))
        for name, values in inputs.items()
    }


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("build, classes", [(build_next_item, 9), (build_next_action, 5), (build_will_buy, 3)])
def test_every_model_answers_at_every_position(build, classes, cell):
    model = build(n_items=9, n_actions=5, n_features=2, cell=cell, **SMALL)
    assert model(full_inputs()).shape == (3, 5, classes)
    assert isinstance(model.get_layer("encoder"), {"lstm": keras.layers.LSTM, "gru": keras.layers.GRU}[cell])


def test_inputs_are_only_those_that_were_asked_for():
    assert [x.name for x in build_next_item(n_items=9, **SMALL).inputs] == ["items"]
    assert {x.name for x in build_will_buy(9, 5, 2, **SMALL).inputs} == {"items", "actions", "features"}


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_padding_on_the_right_changes_no_earlier_answer(cell):
    model = build_next_item(9, 5, 2, cell=cell, **SMALL)
    inputs = full_inputs()
    np.testing.assert_allclose(model(padded(inputs, 4))[:, :5], model(inputs), rtol=0, atol=1e-6)


def test_an_answer_does_not_see_later_events():
    model = build_next_item(9, **SMALL)
    items = np.array([[2, 3, 4, 5]])
    changed = np.array([[2, 3, 8, 7]])
    before, after = np.array(model({"items": items})), np.array(model({"items": changed}))
    np.testing.assert_allclose(before[:, :2], after[:, :2], atol=1e-6)
    assert np.abs(before[:, 2:] - after[:, 2:]).max() > 1e-6


def test_positions_without_a_target_do_not_count_in_the_loss():
    items, targets = np.array([[2, 3, 4]]), np.array([[3, 0, 0]])
    model = build_next_item(6, **SMALL)
    logits = np.array(model({"items": items}), dtype="float64")[0, 0]
    expected = np.log(np.exp(logits).sum()) - logits[3]
    history = train(model, {"items": items}, targets, epochs=1)
    assert history["loss"][0] == pytest.approx(expected, abs=1e-5)


def test_padding_columns_leave_training_as_it_was(windows):
    inputs, targets = windows
    short, long = build_next_item(8, **SMALL), build_next_item(8, **SMALL)
    first = train(short, inputs, targets, epochs=1)
    second = train(long, padded(inputs, 3), np.pad(targets, [(0, 0), (0, 3)]), epochs=1)
    assert first["loss"] == pytest.approx(second["loss"], abs=1e-5)
    for a, b in zip(short.get_weights(), long.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)


def test_the_seed_decides_the_first_weights():
    assert weights_equal(build_next_item(9, 5, seed=3, **SMALL), build_next_item(9, 5, seed=3, **SMALL))
    one, other = (build_next_item(9, 5, seed=seed, **SMALL).get_layer("encoder") for seed in (3, 4))
    assert not np.array_equal(one.get_weights()[0], other.get_weights()[0])


def test_the_seed_decides_the_training(windows):
    models = [build_next_item(8, dropout=0.2, **SMALL) for _ in range(3)]
    losses = [train(model, *windows, epochs=1, seed=s)["loss"] for model, s in zip(models, (1, 1, 2), strict=True)]
    assert losses[0] == losses[1]
    assert weights_equal(models[0], models[1])
    assert not weights_equal(models[0], models[2])


def test_a_step_compiled_by_xla_learns_the_same(windows):
    losses = [train(build_next_item(8, **SMALL), *windows, epochs=2, jit_compile=how)["loss"] for how in ("auto", True)]
    np.testing.assert_allclose(*losses, rtol=1e-4)


def test_the_global_random_state_is_left_alone(windows):
    random.seed(5)
    np.random.seed(5)
    states = random.getstate(), np.random.get_state()[1].copy()
    train(build_next_item(8, dropout=0.2, **SMALL), *windows, epochs=1)
    assert random.getstate() == states[0]
    np.testing.assert_array_equal(np.random.get_state()[1], states[1])


def test_training_learns_a_rule_without_exception(windows):
    inputs, targets = windows
    model = build_next_item(8, embedding=16, units=16)
    history = train(model, inputs, targets, epochs=2, batch_size=8, learning_rate=0.02)
    guesses = np.array(model({"items": inputs["items"]})).argmax(-1)
    assert history["loss"][1] < history["loss"][0]
    assert (guesses == targets)[targets > 0].all()


def test_the_best_epoch_is_kept_when_there_is_validation(windows):
    inputs, targets = windows
    opposite = {"items": inputs["items"][:32]}, np.where(targets > 0, 9 - targets, 0)[:32]
    model = build_next_item(8, **SMALL)
    history = train(model, inputs, targets, opposite, epochs=4, learning_rate=0.05)
    best, last = min(history["val_loss"]), history["val_loss"][-1]
    logits = np.array(model(opposite[0]), dtype="float64")
    chosen = np.take_along_axis(logits, opposite[1][..., None], -1)[..., 0]
    loss = (np.log(np.exp(logits).sum(-1)) - chosen)[opposite[1] > 0].mean()
    assert loss == pytest.approx(best, abs=1e-3) and last > best + 0.1


def test_patience_ends_training_early(windows):
    inputs, targets = windows
    opposite = inputs, np.where(targets > 0, 9 - targets, 0)
    history = train(build_next_item(8, **SMALL), *windows, opposite, epochs=9, patience=1, learning_rate=0.05)
    assert len(history["loss"]) < 9


@pytest.mark.parametrize("sizes, message", [
    ({"n_items": 2}, "n_items counts padding"),
    ({"n_actions": -1}, "at least 0"),
    ({"n_features": -1}, "at least 0"),
    ({"embedding": 0}, "at least 1"),
    ({"units": 0}, "at least 1"),
    ({"cell": "rnn"}, "cell must be one of .* found 'rnn'"),
    ({"dropout": 1.0}, "dropout must lie"),
])
def test_sizes_that_cannot_be_are_refused(sizes, message):
    with pytest.raises(ValueError, match=message):
        build_next_item(**{"n_items": 5, **sizes})


@pytest.mark.parametrize("inputs, targets, message", [
    ({}, [[3, 4]], r"inputs lack \['items'\]"),
    ({"items": [[2, 3, 4]]}, [[3, 4]], r"inputs\['items'\] is \(1, 3\), but targets are \(1, 2\)"),
    ({"items": [[2, 3]]}, [[3, 5]], "between 0 and 4; found 3 to 5"),
    ({"items": [[2, 3]]}, [[-1, 3]], "between 0 and 4; found -1 to 3"),
    ({"items": [[2, 3]]}, [[0, 0]], "every target is 0"),
    ({"items": [[2, 3], [0, 2]]}, [[3, 4], [0, 3]], "pad on the right"),
    ({"items": [[2, 0, 3]]}, [[3, 0, 4]], "pad on the right"),
])
def test_data_that_do_not_fit_are_refused(inputs, targets, message):
    inputs = {name: np.array(values) for name, values in inputs.items()}
    with pytest.raises(ValueError, match=message):
        train(build_next_item(5, **SMALL), inputs, np.array(targets))


def test_an_empty_window_is_no_window_padded_on_the_left():
    history = train(build_next_item(5, **SMALL), {"items": np.array([[2, 3], [0, 0]])}, np.array([[3, 4], [0, 0]]),
                    epochs=1)
    assert np.isfinite(history["loss"]).all()


ATTRIBUTES = np.vstack([np.zeros((2, 3)), np.eye(7, 3)])


def test_the_score_of_an_item_is_its_own_and_that_of_its_attributes():
    model = build_next_item(9, 5, 2, item_attributes=ATTRIBUTES, **SMALL)
    encoded = np.array(keras.Model(model.input, model.get_layer("dropout").output)(full_inputs()))
    (own, bias), (wanted, wanted_bias) = (model.get_layer(name).get_weights() for name in ("next_item", "next_attributes"))
    expected = encoded @ own + bias + (encoded @ wanted + wanted_bias) @ ATTRIBUTES.T
    np.testing.assert_allclose(model(full_inputs()), expected, atol=1e-5)


@pytest.mark.parametrize("build", [build_next_item, build_next_action, build_will_buy])
def test_attributes_are_read_and_never_trained(build):
    model = build(9, 5, item_attributes=ATTRIBUTES, **SMALL)
    inputs = {name: values for name, values in full_inputs().items() if name != "features"}
    before = np.array(model(inputs))
    train(model, inputs, np.ones((3, 5), int), epochs=1)
    np.testing.assert_array_equal(model.get_layer("item_attributes").get_weights()[0], ATTRIBUTES)
    model.get_layer("item_attributes").set_weights([1 + ATTRIBUTES])
    assert np.abs(np.array(model(inputs)) - before).max() > 1e-6


@pytest.mark.parametrize("attributes, message", [
    (np.zeros((8, 3)), r"shape \(8, 3\): expected \(9, k\)"),
    (np.zeros(9), r"shape \(9,\): expected \(9, k\)"),
    (np.where(ATTRIBUTES > 0, np.nan, 0), "item_attributes of token 2 hold a missing value"),
])
def test_attributes_that_do_not_fit_are_refused(attributes, message):
    with pytest.raises(ValueError, match=message):
        build_next_item(9, item_attributes=attributes, **SMALL)
