"""Every layer equals Keras' with Keras' own weights pasted in; every gradient equals the tape's."""

import inspect

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.foundations import layers

EXACT = {"rtol": 1e-10, "atol": 1e-12}  # float64 on both sides
SINGLE = {"rtol": 1e-5, "atol": 1e-5}  # Keras in its usual float32
PRECISIONS = pytest.mark.parametrize(("dtype", "tolerance"), [("float64", EXACT), ("float32", SINGLE)])

N, T, D, U, S = 3, 5, 4, 6, 7
KEY = 4  # Keras rounds 1 / sqrt(key size) to float32; that of 4 is exact
_random = np.random.default_rng(11)
INPUTS = _random.normal(size=(N, T, D))
OTHERS = _random.normal(size=(N, S, D))
TOKENS = np.array([[2, 3, 1, 0, 0], [4, 2, 2, 3, 1], [5, 0, 0, 0, 0]])
EVENTS = TOKENS != 0
GAPS = np.array([[False, True, True, False, True], [True] * 5, [True, False, False, False, False]])


def built(layer, *inputs):
    """The layer with random weights everywhere, so that no bias of zeros hides a mistake."""
    layer(*inputs)
    layer.set_weights([_random.normal(scale=0.5, size=weight.shape) for weight in layer.get_weights()])
    return layer


def tensor(values):
    return tf.constant(np.asarray(values), dtype="float64")


# Embedding


def test_embedding_equals_keras_and_the_one_hot_product():
    layer = keras.layers.Embedding(6, D)
    expected = layer(TOKENS)
    table = layer.get_weights()[0]
    np.testing.assert_array_equal(layers.embedding_lookup(TOKENS, table), expected)
    np.testing.assert_allclose(layers.one_hot(TOKENS, 6) @ table, expected, **EXACT)


def test_the_embedding_gradient_equals_the_tape_and_leaves_unseen_rows_at_zero():
    table, upstream = tf.Variable(_random.normal(size=(8, D))), _random.normal(size=(*TOKENS.shape, D))
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.gather(table, TOKENS) * upstream)
    gradient = layers.embedding_gradient(TOKENS, upstream, 8)
    np.testing.assert_allclose(gradient, tf.convert_to_tensor(tape.gradient(loss, table)), **EXACT)
    product = np.einsum("ntv,ntd->vd", layers.one_hot(TOKENS, 8), upstream)
    np.testing.assert_allclose(gradient, product, **EXACT)
    np.testing.assert_array_equal(gradient[6:], 0)


# Recurrent layers

RECURRENT = {
    "simple RNN": (keras.layers.SimpleRNN, {}, layers.simple_rnn, {}),
    "LSTM": (keras.layers.LSTM, {}, lambda *args, **kw: layers.lstm(*args, **kw)[0], {}),
    "GRU": (keras.layers.GRU, {}, layers.gru, {}),
    "GRU, reset before": (keras.layers.GRU, {"reset_after": False}, layers.gru, {"reset_after": False}),
}


@PRECISIONS
@pytest.mark.parametrize("mask", [None, EVENTS, GAPS], ids=["no mask", "padding right", "gaps"])
@pytest.mark.parametrize("name", RECURRENT)
def test_a_recurrent_layer_equals_keras(name, mask, dtype, tolerance):
    keras_layer, options, ours, arguments = RECURRENT[name]
    layer = built(keras_layer(U, return_sequences=True, dtype=dtype, **options), INPUTS)
    expected = layer(tf.constant(INPUTS, dtype=dtype), mask=mask if mask is None else tf.constant(mask))
    found = ours(INPUTS, *layer.get_weights(), mask=mask, **arguments)
    np.testing.assert_allclose(found, expected, **tolerance)


def test_the_lstm_cell_equals_keras_cell_from_any_state():
    cell = keras.layers.LSTMCell(U, dtype="float64")
    x, h, c = (_random.normal(size=(N, size)) for size in (D, U, U))
    built(cell, tensor(x), [tensor(h), tensor(c)])
    _, (h_expected, c_expected) = cell(tensor(x), [tensor(h), tensor(c)])
    h_next, c_next = layers.lstm_cell(x, h, c, *cell.get_weights())
    np.testing.assert_allclose(h_next, h_expected, **EXACT)
    np.testing.assert_allclose(c_next, c_expected, **EXACT)


@pytest.mark.parametrize("reset_after", [True, False])
def test_the_gru_cell_equals_keras_cell_from_any_state(reset_after):
    cell = keras.layers.GRUCell(U, reset_after=reset_after, dtype="float64")
    x, h = _random.normal(size=(N, D)), _random.normal(size=(N, U))
    built(cell, tensor(x), [tensor(h)])
    expected, _ = cell(tensor(x), [tensor(h)])
    np.testing.assert_allclose(layers.gru_cell(x, h, *cell.get_weights(), reset_after), expected, **EXACT)


def test_the_last_output_and_memory_are_what_keras_returns():
    layer = built(keras.layers.LSTM(U, return_state=True, dtype="float64"), INPUTS)
    last, h, c = layer(tensor(INPUTS), mask=tf.constant(EVENTS))
    outputs, memories = layers.lstm(INPUTS, *layer.get_weights(), mask=EVENTS)
    np.testing.assert_allclose(outputs[:, -1], last, **EXACT)
    np.testing.assert_allclose(outputs[:, -1], h, **EXACT)
    np.testing.assert_allclose(memories[:, -1], c, **EXACT)


def test_without_a_mask_padding_is_read_as_events():
    weights = built(keras.layers.LSTM(U, dtype="float64"), INPUTS).get_weights()
    masked, _ = layers.lstm(INPUTS, *weights, mask=EVENTS)
    plain, _ = layers.lstm(INPUTS, *weights)
    np.testing.assert_allclose(masked[1], plain[1], **EXACT)
    np.testing.assert_allclose(masked[2, -1], plain[2, 0], **EXACT)
    assert np.abs(masked[2, -1] - plain[2, -1]).max() > 0.05


# Gradients through time


def tape_jacobians(cell_step, states, inputs):
    """Derivative of the states after each event in those before it, by automatic differentiation."""
    found = []
    for x in inputs:
        before = tf.constant(states)
        with tf.GradientTape() as tape:
            tape.watch(before)
            after = cell_step(tf.constant(x[None]), before[None])[0]
        found.append(tape.jacobian(after, before).numpy())
        states = after.numpy()
    return np.stack(found)


def test_lstm_jacobians_equal_the_tape():
    cell = keras.layers.LSTMCell(U, dtype="float64")
    built(cell, tensor(INPUTS[0]), [tensor(np.zeros((T, U)))] * 2)

    def step(x, state):
        _, (h, c) = cell(x, [state[:, :U], state[:, U:]])
        return tf.concat([h, c], axis=1)

    expected = tape_jacobians(step, np.zeros(2 * U), INPUTS[0])
    np.testing.assert_allclose(layers.lstm_jacobians(INPUTS[0], *cell.get_weights()), expected, **EXACT)


def test_simple_rnn_jacobians_equal_the_tape():
    cell = keras.layers.SimpleRNNCell(U, dtype="float64")
    built(cell, tensor(INPUTS[0]), [tensor(np.zeros((T, U)))])
    expected = tape_jacobians(lambda x, h: cell(x, [h])[0], np.zeros(U), INPUTS[0])
    np.testing.assert_allclose(layers.simple_rnn_jacobians(INPUTS[0], *cell.get_weights()), expected, **EXACT)


def test_influence_is_the_norm_of_the_last_state_in_each_earlier_one():
    jacobians = _random.normal(size=(3, 4, 4))
    first, second, third = jacobians
    products = [third @ second @ first, third @ second, third, np.eye(4)]
    expected = [np.linalg.svd(product)[1][0] for product in products]
    np.testing.assert_allclose(layers.influence(jacobians), expected, **EXACT)
    blocks = [np.linalg.svd(product[2:, 2:])[1][0] for product in products]
    np.testing.assert_allclose(layers.influence(jacobians, slice(2, None)), blocks, **EXACT)


def test_the_gradient_vanishes_in_a_simple_rnn_and_survives_in_an_lstm_that_does_not_forget():
    inputs = np.zeros((50, 1))
    rnn = layers.influence(layers.simple_rnn_jacobians(inputs, np.ones((1, 1)), [[0.5]], [0.0]))
    bias = np.array([0.0, 10.0, 0.0, 0.0])  # forget gate open
    lstm = layers.lstm_jacobians(inputs, np.ones((1, 4)), np.zeros((1, 4)), bias)
    assert rnn[0] < 1e-12
    assert layers.influence(lstm, slice(1, None))[0] > 0.99


# Attention


@given(st.lists(st.floats(-500, 500), min_size=2, max_size=6), st.integers(0, 63))
@settings(deadline=None, max_examples=40)
def test_the_masked_softmax_equals_keras(scores, bits):
    mask = np.array([bool(bits >> place & 1) for place in range(len(scores))])
    expected = keras.layers.Softmax(dtype="float64")(tensor(scores), mask=tf.constant(mask))
    np.testing.assert_allclose(layers.softmax(scores, mask), expected, rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("mask", [None, layers.causal_mask(T)], ids=["no mask", "causal"])
def test_attention_equals_keras(mask):
    query, key, value = (_random.normal(size=(N, T, size)) for size in (D, D, 3))
    expected = keras.ops.dot_product_attention(
        *(tensor(part[:, :, None]) for part in (query, key, value)), mask=mask)[:, :, 0]
    outputs, shares = layers.attention(query, key, value, mask)
    np.testing.assert_allclose(outputs, expected, **EXACT)
    np.testing.assert_allclose(shares.sum(axis=-1), 1, **EXACT)


@pytest.mark.parametrize(
    "mask", [None, layers.causal_mask(T) & layers.padding_mask(TOKENS)], ids=["no mask", "both"])
def test_the_attention_gradients_equal_the_tape(mask):
    parts = [tf.Variable(_random.normal(size=(N, T, size))) for size in (D, D, 3)]
    upstream = _random.normal(size=(N, T, 3))
    with tf.GradientTape() as tape:
        scores = parts[0] @ tf.transpose(parts[1], [0, 2, 1]) / D**0.5
        scores = scores if mask is None else tf.where(mask, scores, tf.constant(-1e9, dtype="float64"))
        loss = tf.reduce_sum(tf.nn.softmax(scores) @ parts[2] * upstream)
    found = layers.attention_gradient(upstream, *(part.numpy() for part in parts), mask)
    for ours, theirs in zip(found, tape.gradient(loss, parts), strict=True):
        np.testing.assert_allclose(ours, theirs, **EXACT)


@PRECISIONS
@pytest.mark.parametrize("causal", [False, True])
def test_multi_head_self_attention_equals_keras(causal, dtype, tolerance):
    layer = keras.layers.MultiHeadAttention(2, KEY, value_dim=5, dtype=dtype)
    built(layer, INPUTS, INPUTS)
    padding = layers.padding_mask(TOKENS)
    x = tf.constant(INPUTS, dtype=dtype)
    expected, scores = layer(
        x, x, attention_mask=tf.constant(padding), use_causal_mask=causal, return_attention_scores=True)
    mask = padding & layers.causal_mask(T) if causal else padding
    outputs, shares = layers.multi_head_attention(INPUTS, INPUTS, *layer.get_weights(), mask=mask)
    np.testing.assert_allclose(outputs, expected, **tolerance)
    np.testing.assert_allclose(shares, scores, **tolerance)


@PRECISIONS
def test_multi_head_cross_attention_equals_keras(dtype, tolerance):
    layer = built(keras.layers.MultiHeadAttention(2, KEY, output_shape=9, dtype=dtype), INPUTS, OTHERS)
    expected = layer(tf.constant(INPUTS, dtype=dtype), tf.constant(OTHERS, dtype=dtype))
    outputs, shares = layers.multi_head_attention(INPUTS, OTHERS, *layer.get_weights())
    np.testing.assert_allclose(outputs, expected, **tolerance)
    assert shares.shape == (N, 2, T, S)


def test_a_position_that_may_look_nowhere_gets_zero_shares_as_keras_scores_do():
    layer = built(keras.layers.MultiHeadAttention(2, KEY, dtype="float64"), INPUTS, INPUTS)
    mask = np.zeros((N, T, T), dtype=bool)
    expected, scores = layer(
        tensor(INPUTS), tensor(INPUTS), attention_mask=tf.constant(mask), return_attention_scores=True)
    outputs, shares = layers.multi_head_attention(INPUTS, INPUTS, *layer.get_weights(), mask=mask)
    np.testing.assert_array_equal(shares, scores)
    np.testing.assert_allclose(outputs, expected, **EXACT)


def test_the_causal_mask_hides_the_future():
    weights = built(keras.layers.MultiHeadAttention(2, KEY, dtype="float64"), INPUTS, INPUTS).get_weights()
    changed = INPUTS.copy()
    changed[:, -1] += 1
    before, after = (
        layers.multi_head_attention(x, x, *weights, mask=layers.causal_mask(T))[0] for x in (INPUTS, changed))
    np.testing.assert_array_equal(before[:, :-1], after[:, :-1])
    assert (np.abs(before - after)[:, -1] > 1e-6).any()


def test_without_positions_attention_does_not_see_the_order():
    weights = built(keras.layers.MultiHeadAttention(2, KEY, dtype="float64"), INPUTS, INPUTS).get_weights()
    order = np.array([3, 0, 4, 1, 2])
    plain, _ = layers.multi_head_attention(INPUTS, INPUTS, *weights)
    shuffled, _ = layers.multi_head_attention(INPUTS[:, order], INPUTS[:, order], *weights)
    np.testing.assert_allclose(plain[:, order], shuffled, **EXACT)


@pytest.mark.parametrize("distance", [1, 7])
def test_a_shift_turns_every_pair_of_the_positions_by_one_angle(distance):
    pairs = layers.sinusoidal_positions(40, 8).reshape(40, 4, 2)
    points = pairs[:, :, 1] + 1j * pairs[:, :, 0]
    frequencies = 10_000.0 ** -(np.arange(4) / 4)
    np.testing.assert_allclose(points[distance:], points[:-distance] * np.exp(1j * distance * frequencies))


# Transformer block


@PRECISIONS
@pytest.mark.parametrize("epsilon", [1e-3, 1e-6])
def test_layer_norm_equals_keras(epsilon, dtype, tolerance):
    layer = built(keras.layers.LayerNormalization(epsilon=epsilon, dtype=dtype), INPUTS)
    expected = layer(tf.constant(INPUTS, dtype=dtype))
    ours = layers.layer_norm(INPUTS, *layer.get_weights(), epsilon)
    np.testing.assert_allclose(ours, expected, **tolerance)


def test_the_layer_norm_gradient_equals_the_tape():
    layer = built(keras.layers.LayerNormalization(dtype="float64"), INPUTS)
    x, upstream = tf.Variable(INPUTS), _random.normal(size=INPUTS.shape)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(x) * upstream)
    gradient = layers.layer_norm_gradient(upstream, INPUTS, layer.get_weights()[0])
    np.testing.assert_allclose(gradient, tape.gradient(loss, x), **EXACT)


def keras_block(dtype, norm_first):
    x = keras.Input((T, D), dtype=dtype)
    heads = keras.layers.MultiHeadAttention(2, KEY, dtype=dtype)
    norms = [keras.layers.LayerNormalization(dtype=dtype) for _ in range(2)]
    dense = [keras.layers.Dense(9, activation="relu", dtype=dtype), keras.layers.Dense(D, dtype=dtype)]
    y = norms[0](x) if norm_first else x
    y = x + heads(y, y, use_causal_mask=True)
    y = y if norm_first else norms[0](y)
    z = norms[1](y) if norm_first else y
    z = y + dense[1](dense[0](z))
    z = z if norm_first else norms[1](z)
    return keras.Model(x, z), heads, norms, dense


@PRECISIONS
@pytest.mark.parametrize("norm_first", [True, False])
def test_a_transformer_block_equals_keras(norm_first, dtype, tolerance):
    model, heads, norms, dense = keras_block(dtype, norm_first)
    model.set_weights([_random.normal(scale=0.5, size=weight.shape) for weight in model.get_weights()])
    ours = layers.transformer_block(
        INPUTS, heads.get_weights(), norms[0].get_weights(), dense[0].get_weights() + dense[1].get_weights(),
        norms[1].get_weights(), layers.causal_mask(T), norm_first)
    np.testing.assert_allclose(ours, model(tf.constant(INPUTS, dtype=dtype)), **tolerance)
    assert layers.transformer_block_parameters(D, 2, KEY, 9) == model.count_params()


@given(st.integers(1, 9), st.integers(1, 9))
@settings(deadline=None, max_examples=5)
def test_parameter_counts_equal_keras(size, units):
    def count(layer, *shapes):
        layer.build(*shapes)
        return layer.count_params()

    sequence = (None, 4, size)
    assert layers.embedding_parameters(size, units) == count(keras.layers.Embedding(size, units), (None, 4))
    assert layers.dense_parameters(size, units) == count(keras.layers.Dense(units), sequence)
    assert layers.simple_rnn_parameters(size, units) == count(keras.layers.SimpleRNN(units), sequence)
    assert layers.lstm_parameters(size, units) == count(keras.layers.LSTM(units), sequence)
    for reset_after in (True, False):
        layer = keras.layers.GRU(units, reset_after=reset_after)
        assert layers.gru_parameters(size, units, reset_after) == count(layer, sequence)
    layer = keras.layers.MultiHeadAttention(2, units)
    assert layers.attention_parameters(size, 2, units) == count(layer, sequence, sequence)


def test_every_public_function_says_that_it_is_for_learning():
    for name, function in inspect.getmembers(layers, inspect.isfunction):
        if function.__module__ == layers.__name__ and not name.startswith("_"):
            parts = ("For learning", "Source", ">>>", "Returns:")
            assert all(part in function.__doc__ for part in parts), name


ONES = np.ones
CELL = (ONES((2, 3)), ONES((2, 4)))  # x and h


@pytest.mark.parametrize(("call", "message"), [
    (lambda: layers.embedding_lookup([[0, 9]], ONES((3, 2))), r"\(0, 1\) is 9; .* 0 to 2.*vocabulary"),
    (lambda: layers.embedding_lookup([0.5], ONES((3, 2))), r"`tokens` at \(0,\) is 0.5"),
    (lambda: layers.embedding_lookup([0], ONES(3)), r"`table` is of shape \(3,\); expected \(any, any\)"),
    (lambda: layers.embedding_gradient([0, 1], ONES((3, 2)), 3), r"expected \(2, any\)"),
    (lambda: layers.one_hot(["a"], 3), "`tokens` is no array of numbers"),
    (lambda: layers.one_hot([], 3), "`tokens` is empty"),
    (lambda: layers.one_hot([np.nan], 3), "`tokens` is NaN"),
    (lambda: layers.simple_rnn_cell(*CELL, ONES((3, 5)), ONES((4, 4)), ONES(4)), r"`kernel` is.*\(3, 4\)"),
    (lambda: layers.lstm_cell(*CELL, ONES((2, 5)), ONES((3, 16)), ONES((4, 16)), ONES(16)), "`c` is"),
    (lambda: layers.lstm_gates(*CELL, ONES((3, 16)), ONES((4, 15)), ONES(16)), "`recurrent_kernel`"),
    (lambda: layers.gru_cell(*CELL, ONES((3, 12)), ONES((4, 12)), ONES(12)), r"`bias` is.*\(2, any\)"),
    (lambda: layers.lstm(ONES((2, 3)), ONES((3, 16)), ONES((4, 16)), ONES(16)), "`inputs` is of shape"),
    (lambda: layers.simple_rnn(ONES((1, 2, 3)), ONES((3, 1)), ONES((1, 1)), [0], [[1, 0]]), "`mask` is of"),
    (lambda: layers.influence(ONES((2, 3, 4))), r"`jacobians` is.*\(any, 3, 3\)"),
    (lambda: layers.softmax([1.0, 2.0], [True] * 3), r"`mask` is of shape \(3,\); expected \(2,\)"),
    (lambda: layers.causal_mask(0), "`length` is 0"),
    (lambda: layers.padding_mask([1, 2]), r"`tokens` is of shape \(2,\)"),
    (lambda: layers.attention([1.0], [[1.0]], [[1.0]]), r"`query` is of shape \(1,\)"),
    (lambda: layers.attention(ONES((2, 3)), ONES((2, 4)), ONES((2, 4))), "`key` is of shape"),
    (lambda: layers.attention(ONES((2, 3)), ONES((2, 3)), ONES((3, 3))), "`value` is of shape"),
    (lambda: layers.sinusoidal_positions(3, 5), "`size` is 5; expected an even number"),
    (lambda: layers.sinusoidal_positions(0, 4), "`length` is 0"),
    (lambda: layers.layer_norm(ONES(3), ONES(2), ONES(3)), r"`gamma` is of shape \(2,\); expected \(3,\)"),
    (lambda: layers.layer_norm(ONES(3), ONES(3), ONES(3), 0), "`epsilon` is 0"),
    (lambda: layers.feed_forward(ONES(3), ONES((2, 3)), ONES(3), ONES((3, 3)), ONES(3)), "`kernel_1` is"),
    (lambda: layers.transformer_block(INPUTS, [], [], [], []), "`attention_weights` is a list of 0"),
])
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
