"""Transfer: what is copied, what trains, and that source and target stay as they are."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.models.sequence import build_next_action, build_next_item, train
from helpers.models.transfer import (
    copy_weights,
    depths,
    direct_transfer,
    feature_extraction,
    fine_tuning,
    first_layers,
    gradual_unfreezing,
    layerwise_rates,
    low_rank,
    remap_table,
    starting_point,
)

SOURCE_TOKENS, TARGET_TOKENS = ["a", "b", "c", "d"], ["c", "x", "a"]
VOCABULARIES = SOURCE_TOKENS, TARGET_TOKENS
LAYERS = ["item_embedding", "action_embedding", "encoder", "next_item"]
INPUTS = {"items": np.array([[2, 3, 4], [4, 2, 0]]), "actions": np.array([[1, 2, 1], [3, 1, 0]])}
TARGETS = np.array([[3, 4, 2], [2, 3, 0]])


def build(tokens, seed, **sizes):
    return build_next_item(len(tokens) + 2, 5, **{"embedding": 8, "units": 6, "seed": seed, **sizes})


@pytest.fixture(scope="module")
def source():
    model = build(SOURCE_TOKENS, seed=0)
    train(model, INPUTS, TARGETS, epochs=1)
    return model


@pytest.fixture
def target():
    return build(TARGET_TOKENS, seed=1)


def weights(model):
    return {layer.name: [w.copy() for w in layer.get_weights()] for layer in model.layers if layer.weights}


def changed(before, after):
    """Names of the layers of which any weight differs."""
    return [
        name for name in before
        if any(not np.array_equal(a, b) for a, b in zip(before[name], after[name], strict=True))
    ]


def column(transfer, name):
    return {row["layer"]: row[name] for row in transfer.layers}


def trained_layers(model):
    before = weights(model)
    train(model, INPUTS, TARGETS, epochs=1)
    return changed(before, weights(model))


TOKENS = st.lists(st.integers(0, 12), unique=True, max_size=8)


@given(TOKENS, TOKENS, st.sampled_from([0, -1]), st.integers(1, 2))
def test_a_shared_token_keeps_its_row_and_a_new_one_its_initial_row(old, new, axis, dimensions):
    def table(tokens, sign):
        rows = sign * (1.0 + np.arange(len(tokens) + 2))
        return rows if dimensions == 1 else np.moveaxis(np.outer(rows, [1.0, 10.0, 100.0]), 0, axis)

    source, initial = table(old, 1), table(new, -1)
    kept = initial.copy()
    result, moved = remap_table(source, old, new, initial, axis)
    for place, token in enumerate(["padding", "unknown", *new]):
        shared = place < 2 or token in old
        origin = place if place < 2 else 2 + old.index(token) if shared else place
        expected = np.take(source if shared else initial, origin, axis)
        np.testing.assert_array_equal(np.take(result, place, axis), expected)
        assert moved[place] == shared
    assert result.shape == initial.shape
    np.testing.assert_array_equal(initial, kept)


@pytest.mark.parametrize("table, initial, name", [((5, 2), (5, 2), "table"), ((6, 2), (6, 2), "initial")])
def test_a_table_that_does_not_fit_its_vocabulary_is_refused(table, initial, name):
    with pytest.raises(ValueError, match=f"^{name} has .* entries on axis 0"):
        remap_table(np.zeros(table), *VOCABULARIES, np.zeros(initial))


def test_same_vocabularies_copy_every_layer(source):
    transfer = copy_weights(source, build(SOURCE_TOKENS, seed=1), SOURCE_TOKENS, SOURCE_TOKENS)
    assert changed(weights(source), weights(transfer.model)) == []
    assert transfer.layers == [{"layer": name, "start": "copied", "copied": 1.0, "trains": True} for name in LAYERS]


def test_vocabularies_are_needed_only_where_they_differ(source):
    transfer = copy_weights(source, build(SOURCE_TOKENS, seed=1))
    assert set(column(transfer, "start").values()) == {"copied"}


def test_the_tables_of_items_are_remapped_and_the_rest_copied(source, target):
    transfer = copy_weights(source, target, *VOCABULARIES)
    old, fresh, new = weights(source), weights(target), weights(transfer.model)
    start = {"item_embedding": "remapped", "action_embedding": "copied", "encoder": "copied", "next_item": "remapped"}
    share = {"item_embedding": 0.8, "action_embedding": 1.0, "encoder": 1.0, "next_item": 0.8}
    assert column(transfer, "start") == start and column(transfer, "copied") == share
    np.testing.assert_array_equal(new["item_embedding"][0][[0, 1, 2, 4]], old["item_embedding"][0][[0, 1, 4, 2]])
    np.testing.assert_array_equal(new["item_embedding"][0][3], fresh["item_embedding"][0][3])
    for moved, before, initial in zip(new["next_item"], old["next_item"], fresh["next_item"], strict=True):
        np.testing.assert_array_equal(moved[..., [0, 1, 2, 4]], before[..., [0, 1, 4, 2]])
        np.testing.assert_array_equal(moved[..., 3], initial[..., 3])
    assert changed({"encoder": old["encoder"]}, new) == []


def test_another_order_of_the_same_tokens_is_remapped_too(source):
    backward = SOURCE_TOKENS[::-1]
    moved = copy_weights(source, build(backward, seed=1), SOURCE_TOKENS, backward)
    items = np.array([[2, 3, 5]])
    actions = np.array([[1, 1, 2]])
    expected = np.array(source({"items": items, "actions": actions}))[..., [0, 1, 5, 4, 3, 2]]
    found = moved.model({"items": np.array([[5, 4, 2]]), "actions": actions})
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_a_layer_that_the_source_lacks_starts_anew(source):
    target = build_next_action(len(SOURCE_TOKENS) + 2, 5, embedding=8, units=6, seed=1)
    transfer = copy_weights(source, target)
    assert column(transfer, "start")["next_action"] == "initialized"
    assert column(transfer, "copied")["next_action"] == 0.0
    assert changed({"next_action": weights(target)["next_action"]}, weights(transfer.model)) == []
    assert column(transfer, "start")["encoder"] == "copied"


@pytest.mark.parametrize("sizes, tokens, layer", [
    ({"units": 7}, VOCABULARIES, "encoder"),
    ({}, (None, None), "item_embedding"),
])
def test_shapes_that_no_vocabulary_explains_are_refused(source, sizes, tokens, layer):
    with pytest.raises(ValueError, match=f"layer '{layer}' has weights of shape .* Build both with the same sizes"):
        copy_weights(source, build(TARGET_TOKENS, seed=1, **sizes), *tokens)


def erase(model, depth=None):
    model.set_weights([0 * w for w in model.get_weights()])


def unfreeze(source, target, *tokens):
    return gradual_unfreezing(source, target, erase, *tokens)


@pytest.mark.parametrize("strategy", [copy_weights, direct_transfer, feature_extraction, fine_tuning, unfreeze])
def test_a_strategy_returns_a_new_model_and_leaves_both_as_they_are(source, target, strategy):
    before = weights(source), weights(target)
    model = strategy(source, target, *VOCABULARIES).model
    erase(model)
    assert model is not source and model is not target
    assert changed(before[0], weights(source)) == [] and changed(before[1], weights(target)) == []
    assert all(layer.trainable for original in (source, target) for layer in original.layers)


def test_the_new_model_keeps_the_names_of_its_inputs(source, target):
    model = direct_transfer(source, target, *VOCABULARIES).model
    assert isinstance(model.input, dict) and set(model.input) == {"items", "actions"}
    assert [x.name for x in model.inputs] == [x.name for x in target.inputs]
    assert model({name: INPUTS[name] for name in ("actions", "items")}).shape == (2, 3, 5)


def test_direct_transfer_trains_nothing_and_predicts_as_the_source(source):
    transfer = direct_transfer(source, build(SOURCE_TOKENS, seed=1), *[SOURCE_TOKENS] * 2)
    assert transfer.model.trainable_variables == [] and not any(column(transfer, "trains").values())
    np.testing.assert_allclose(transfer.model(INPUTS), source(INPUTS), atol=1e-6)


def test_feature_extraction_trains_the_head_alone(source, target):
    transfer = feature_extraction(source, target, *VOCABULARIES)
    assert [row["trains"] for row in transfer.layers] == [False, False, False, True]
    assert trained_layers(transfer.model) == ["next_item"]


@pytest.mark.parametrize("depth, expected", [(2, LAYERS[2:]), (3, LAYERS), (None, LAYERS)])
def test_fine_tuning_trains_the_top_layers(source, target, depth, expected):
    transfer = fine_tuning(source, target, *VOCABULARIES, depth=depth)
    assert [row["layer"] for row in transfer.layers if row["trains"]] == expected
    assert trained_layers(transfer.model) == expected


@pytest.mark.parametrize("depth", [-1, 4])
def test_a_depth_beyond_the_layers_is_refused(source, target, depth):
    with pytest.raises(ValueError, match=f"depth must lie between 0 and 3.* found {depth}"):
        fine_tuning(source, target, *VOCABULARIES, depth=depth)


def test_gradual_unfreezing_goes_down_one_layer_a_stage(source, target):
    stages = []

    def stage(model, depth):
        stages.append((depth, [layer.name for layer in model.layers if layer.trainable_weights]))

    transfer = gradual_unfreezing(source, target, stage, *VOCABULARIES)
    assert stages == [(1, LAYERS[3:]), (2, LAYERS[2:]), (3, LAYERS)]
    assert column(transfer, "start")["next_item"] == "remapped"
    assert all(column(transfer, "trains").values())


def described(tokens, seed):
    """A model that also knows what its items are: token `a` is row 0 of the attributes, and so on."""
    attributes = np.eye(24, 3, dtype="float32")[["abcdx".index(token) % 3 for token in tokens]]
    return build(tokens, seed, item_attributes=np.vstack([np.zeros((2, 3)), attributes]))


def test_given_attributes_stay_those_of_the_target_and_what_was_learnt_about_them_is_copied():
    old, new = described(SOURCE_TOKENS, seed=0), described(TARGET_TOKENS, seed=1)
    transfer = fine_tuning(old, new, *VOCABULARIES)
    start = column(transfer, "start")
    assert start["item_attributes"] == start["attribute_scores"] == "given"
    assert start["next_attributes"] == "copied" and start["next_item"] == "remapped"
    assert not {"item_attributes", "attribute_scores"} & {row["layer"] for row in transfer.layers if row["trains"]}
    found, fresh = weights(transfer.model), weights(new)
    assert changed({name: fresh[name] for name in ("item_attributes", "attribute_scores")}, found) == []
    assert changed({"next_attributes": weights(old)["next_attributes"]}, found) == []


def test_layers_side_by_side_have_one_depth():
    assert depths(described(SOURCE_TOKENS, seed=0)) == {
        "item_embedding": 3, "action_embedding": 3, "encoder": 2, "next_item": 1, "next_attributes": 1}
    extraction = feature_extraction(described(SOURCE_TOKENS, 0), described(TARGET_TOKENS, 1), *VOCABULARIES)
    assert trained_layers(extraction.model) == ["next_attributes", "next_item"]


def moves(model, learning_rate=1e-3):
    """How far the weights of each layer went in one step, at most."""
    before = weights(model)
    train(model, INPUTS, TARGETS, epochs=1, learning_rate=learning_rate)
    return {name: max(np.abs(new - old).max() for new, old in zip(found, before[name], strict=True))
            for name, found in weights(model).items()}


def test_layerwise_rates_cut_the_steps_of_the_deeper_layers(source):
    whole = moves(fine_tuning(source, build(SOURCE_TOKENS, 1)).model)
    cut = moves(layerwise_rates(source, build(SOURCE_TOKENS, 1), decay=0.5).model)
    share = {name: cut[name] / whole[name] for name in LAYERS}
    expected = {"item_embedding": 0.25, "action_embedding": 0.25, "encoder": 0.5, "next_item": 1}
    assert share == pytest.approx(expected, rel=1e-3)


def test_the_starting_point_draws_the_weights_back(source):
    free, held = (starting_point(source, build(SOURCE_TOKENS, 1), strength=strength).model for strength in (0, 10))
    far = {}
    for name, model in (("free", free), ("held", held)):
        train(model, INPUTS, TARGETS, epochs=30, learning_rate=1e-2)
        far[name] = sum(np.square(new - old).sum() for layer in LAYERS
                        for new, old in zip(weights(model)[layer], weights(source)[layer], strict=True))
    assert far["held"] < 0.1 * far["free"]
    assert sum(float(loss) for loss in starting_point(source, build(SOURCE_TOKENS, 1)).model.losses) == 0


def test_low_rank_trains_corrections_and_biases_only(source, target):
    transfer = low_rank(source, target, *VOCABULARIES, rank=2)
    assert column(transfer, "trains") == {name: name != "encoder" for name in LAYERS}
    items, encoder, head = (transfer.model.get_layer(name) for name in ("item_embedding", "encoder", "next_item"))
    assert [v.shape for v in items.trainable_variables] == [(5, 2), (2, 8)]
    assert [v.shape for v in head.trainable_variables] == [(5,), (6, 2), (2, 5)]
    plain = fine_tuning(source, target, *VOCABULARIES).model  # the correction starts at nothing
    assert np.allclose(transfer.model.predict(INPUTS, verbose=0), plain.predict(INPUTS, verbose=0), atol=1e-6)
    before = encoder.get_weights()
    train(transfer.model, INPUTS, TARGETS, epochs=2)
    assert all(map(np.array_equal, before, encoder.get_weights()))
    assert not np.allclose(items.lora_embeddings_b, 0) and not np.allclose(head.lora_kernel_b, 0)


@pytest.mark.parametrize("frozen", [True, False])
@pytest.mark.parametrize("count, copied", [(0, []), (1, LAYERS[:2]), (2, LAYERS[:3]), (3, LAYERS)])
def test_first_layers_copies_from_the_input_on(source, count, copied, frozen):
    target = build(SOURCE_TOKENS, seed=1)
    transfer = first_layers(source, target, count, frozen=frozen)
    for name, found in weights(transfer.model).items():
        wanted = weights(source if name in copied else target)[name]
        assert all(map(np.array_equal, found, wanted))
    assert column(transfer, "start") == {name: "copied" if name in copied else "initialized" for name in LAYERS}
    assert column(transfer, "trains") == {name: not (frozen and name in copied) for name in LAYERS}


@pytest.mark.parametrize("strategy, setting, expected", [
    (layerwise_rates, {"decay": 0}, r"decay must lie in \(0, 1\]; found 0"),
    (starting_point, {"strength": -1}, "strength must be at least 0; found -1"),
    (low_rank, {"rank": 0}, "rank must be at least 1; found 0"),
    (first_layers, {"count": 4}, "count must lie between 0 and 3, .* found 4"),
    (first_layers, {"count": -1}, "count must lie between 0 and 3, .* found -1"),
])
def test_a_setting_that_makes_no_sense_is_refused(source, target, strategy, setting, expected):
    with pytest.raises(ValueError, match=expected):
        strategy(source, target, source_tokens=SOURCE_TOKENS, target_tokens=TARGET_TOKENS, **setting)
