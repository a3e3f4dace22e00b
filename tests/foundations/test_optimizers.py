"""Every step function equals Keras' optimizer, and does what its docstring promises."""

import inspect
from functools import partial

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.foundations import optimizers as opt

STEPS = 100
TOLERANCE = 1e-9  # relative; both sides in float64
SCHEDULE_TOLERANCE = 1e-6  # Keras computes schedules in float32
START = np.array([[1.5, -2.0, 0.3], [0.01, -0.7, 4.0]])
STEEPNESS = np.array([[1.0, 30.0, 0.1], [1e-4, 5.0, 2.0]])


@pytest.fixture
def float64():
    before = keras.config.floatx()
    keras.config.set_floatx("float64")
    yield
    keras.config.set_floatx(before)


def noisy_slope(seed=0):
    """Gradient of a quadratic bowl plus the noise of a minibatch, the same sequence at every call."""
    generator = np.random.default_rng(seed)
    return lambda theta: STEEPNESS * theta + 0.1 * generator.normal(size=theta.shape)


def keras_trajectory(optimizer, gradient_function, start, steps):
    variable = keras.Variable(start, dtype="float64")
    path = [start]
    for _ in range(steps):
        gradient = gradient_function(path[-1])
        optimizer.apply([keras.ops.convert_to_tensor(gradient, dtype="float64")], [variable])
        path.append(np.array(variable.numpy()))  # not of the variable: its __array__ lacks the `copy` of NumPy 2
    return np.stack(path)


def exact(**settings):
    """Settings that float32 holds exactly: Keras rounds them to it before it computes in float64."""
    return {name: float(np.float32(value)) if isinstance(value, float) else value
            for name, value in settings.items()}


ADAM = {"beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7}
CASES = {
    "gradient descent": (opt.gradient_descent_step, keras.optimizers.SGD, {}),
    "momentum": (opt.momentum_step, keras.optimizers.SGD, {"momentum": 0.9}),
    "Nesterov": (opt.momentum_step, keras.optimizers.SGD, {"momentum": 0.9, "nesterov": True}),
    "RMSProp": (opt.rmsprop_step, keras.optimizers.RMSprop, {"rho": 0.8}),
    "RMSProp, large epsilon": (opt.rmsprop_step, keras.optimizers.RMSprop, {"rho": 0.9, "epsilon": 0.1}),
    "Adam": (opt.adam_step, keras.optimizers.Adam, ADAM),
    "Adam, large epsilon": (
        opt.adam_step, keras.optimizers.Adam, {"beta_1": 0.8, "beta_2": 0.99, "epsilon": 0.1}),
    "AdamW": (opt.adamw_step, keras.optimizers.AdamW, ADAM | {"weight_decay": 0.1}),
}


@pytest.mark.parametrize("name", CASES)
def test_every_one_of_100_steps_equals_keras(name, float64):
    step, keras_optimizer, settings = CASES[name]
    settings = exact(learning_rate=0.02, **settings)
    ours = opt.trajectory(noisy_slope(), START, partial(step, **settings), STEPS)
    theirs = keras_trajectory(keras_optimizer(**settings), noisy_slope(), START, STEPS)
    np.testing.assert_allclose(ours, theirs, rtol=TOLERANCE)
    assert not np.allclose(ours[-1], START)


@pytest.mark.parametrize("name", CASES)
def test_keras_rounding_of_settings_moves_no_step_by_more_than_1e_4(name, float64):
    step, keras_optimizer, settings = CASES[name]
    settings = {"learning_rate": 0.02} | settings
    ours = opt.trajectory(noisy_slope(), START, partial(step, **settings), STEPS)
    theirs = keras_trajectory(keras_optimizer(**settings), noisy_slope(), START, STEPS)
    differences, sizes = np.abs(ours - theirs).max(axis=(1, 2)), np.abs(theirs).max(axis=(1, 2))
    np.testing.assert_array_less(differences, 1e-4 * sizes)


def test_keras_moves_an_embedding_row_further_the_oftener_it_occurs():
    """Keras squares the gradient of each occurrence, the paper that of their sum: sqrt(16) times as far."""
    rate, ids = 2.0**-7, np.array([0] * 16 + [1])
    layer = keras.layers.Embedding(2, 1, embeddings_initializer="zeros")
    with tf.GradientTape() as tape:
        loss = keras.ops.sum(layer(ids))
    keras.optimizers.Adam(rate).apply(tape.gradient(loss, layer.trainable_variables), layer.trainable_variables)
    ours, _ = opt.adam_step(np.zeros((2, 1)), np.bincount(ids)[:, None].astype(float), learning_rate=rate)
    np.testing.assert_allclose(ours.ravel() / rate, [-1, -1], rtol=1e-5)
    np.testing.assert_allclose(layer.get_weights()[0].ravel() / rate, [-4, -1], rtol=1e-5)


def test_default_settings_are_keras_defaults():
    for step, theirs, names in [
        (opt.adam_step, keras.optimizers.Adam(), ["beta_1", "beta_2", "epsilon", "learning_rate"]),
        (opt.rmsprop_step, keras.optimizers.RMSprop(), ["rho", "epsilon", "learning_rate"]),
        (opt.adamw_step, keras.optimizers.AdamW(), ["weight_decay", "learning_rate"]),
        (opt.gradient_descent_step, keras.optimizers.SGD(), ["learning_rate"]),
    ]:
        config = theirs.get_config()
        assert {name: step.__kwdefaults__[name] for name in names} == pytest.approx(
            {name: config[name] for name in names})


def test_first_adam_step_has_the_length_of_the_learning_rate():
    theta, _ = opt.adam_step([0.0, 0.0], [1000.0, -0.5], learning_rate=0.1)
    np.testing.assert_allclose(theta, [-0.1, 0.1], rtol=1e-5)


def test_first_step_without_bias_correction_is_3_16_times_too_large():
    gradient = [1000.0, -0.5]
    with_correction, _ = opt.adam_step([0.0, 0.0], gradient)
    without, _ = opt.adam_step([0.0, 0.0], gradient, bias_correction=False)
    np.testing.assert_allclose(without / with_correction, np.full(2, 0.1 / np.sqrt(0.001)), rtol=1e-4)


def test_paper_epsilon_is_added_to_the_corrected_root():
    theta, _ = opt.adam_step([0.0], [1.0], learning_rate=1.0, epsilon=1.0, paper_epsilon=True)
    np.testing.assert_allclose(theta, [-0.5])
    theta, _ = opt.adam_step([0.0], [1.0], learning_rate=1.0, epsilon=1.0)
    np.testing.assert_allclose(theta, [-1 / (1 + 1 / np.sqrt(0.001))])


@given(st.floats(-100, 100), st.floats(0, 0.999), st.integers(1, 50))
@settings(deadline=None, max_examples=30)
def test_a_corrected_average_of_a_constant_is_that_constant(value, beta, steps):
    average = 0.0
    for _ in range(steps):
        average = opt.moving_average(average, value, beta)
    np.testing.assert_allclose(opt.bias_corrected(average, beta, steps), value, rtol=1e-9, atol=1e-12)


def test_adamw_decays_all_weights_at_one_rate_and_l2_does_not():
    theta, decay = np.array([1.0, 1.0]), 0.5
    gradients = np.array([100.0, 0.01])
    plain, _ = opt.adam_step(theta, gradients, learning_rate=0.01)
    decoupled, _ = opt.adamw_step(theta, gradients, learning_rate=0.01, weight_decay=decay)
    np.testing.assert_allclose(plain - decoupled, 0.01 * decay * theta)
    penalised, _ = opt.adam_step(theta, gradients + decay * theta, learning_rate=0.01)
    assert (np.abs(plain - penalised) < 0.01 * np.abs(plain - decoupled)).all()


def test_a_step_changes_nothing_in_place():
    theta, gradient = np.ones(3), np.ones(3)
    for step, _, _ in CASES.values():
        _, state = step(theta, gradient)
        kept = [np.copy(part) for part in state or ()]
        step(theta, gradient, state)
        np.testing.assert_array_equal(theta, np.ones(3))
        for part, copy in zip(state or (), kept, strict=True):
            np.testing.assert_array_equal(part, copy)


def test_a_started_state_is_the_same_as_none():
    for start, step in [
        (opt.momentum_start, opt.momentum_step), (opt.rmsprop_start, opt.rmsprop_step),
        (opt.adam_start, opt.adam_step),
    ]:
        np.testing.assert_array_equal(step(START, START, start(START))[0], step(START, START)[0])


@pytest.mark.parametrize("alpha", [0.0, 0.2])
def test_cosine_decay_equals_keras(alpha):
    theirs = keras.optimizers.schedules.CosineDecay(0.1, 40, alpha=alpha)
    steps = np.arange(60)
    expected = [float(theirs(int(step))) for step in steps]
    ours = opt.cosine_decay(steps, 0.1, 40, alpha)
    np.testing.assert_allclose(ours, expected, rtol=SCHEDULE_TOLERANCE, atol=1e-8)


def test_warm_up_then_cosine_equals_keras():
    theirs = keras.optimizers.schedules.CosineDecay(0.01, 40, alpha=0.1, warmup_target=0.1, warmup_steps=10)
    decay = partial(opt.cosine_decay, initial=0.1, decay_steps=40, alpha=0.1)
    steps = np.arange(70)
    ours = opt.warm_up_then(steps, decay, 10, start=0.01)
    np.testing.assert_allclose(ours, [float(theirs(int(step))) for step in steps], rtol=SCHEDULE_TOLERANCE)


@pytest.mark.parametrize("staircase", [False, True])
def test_exponential_decay_equals_keras(staircase):
    theirs = keras.optimizers.schedules.ExponentialDecay(0.1, 7, 0.9, staircase=staircase)
    steps = np.arange(30)
    expected = [float(theirs(int(step))) for step in steps]
    ours = opt.exponential_decay(steps, 0.1, 7, 0.9, staircase)
    np.testing.assert_allclose(ours, expected, rtol=SCHEDULE_TOLERANCE)


def test_a_trajectory_with_a_schedule_equals_keras(float64):
    settings = exact(momentum=0.9)
    schedule = keras.optimizers.schedules.ExponentialDecay(0.02, 10, 0.8)
    theirs = keras_trajectory(keras.optimizers.SGD(schedule, **settings), noisy_slope(), START, STEPS)
    rate = partial(opt.exponential_decay, initial=0.02, decay_steps=10, decay_rate=0.8)
    step = partial(opt.momentum_step, **settings)
    ours = opt.trajectory(noisy_slope(), START, step, STEPS, learning_rate=rate)
    np.testing.assert_allclose(ours, theirs, rtol=SCHEDULE_TOLERANCE, atol=1e-7)


def test_a_schedule_may_start_and_end_at_zero():
    decay = partial(opt.cosine_decay, initial=0.1, decay_steps=3)
    rate = partial(opt.warm_up_then, decay=decay, warm_up_steps=2)
    path = opt.trajectory(lambda x: x, START, opt.adam_step, 7, learning_rate=rate)
    still = (path[1:] == path[:-1]).all(axis=(1, 2))
    assert still.tolist() == [True, False, False, False, False, True, True]


@pytest.mark.parametrize(("clip", "argument"), [
    (opt.clip_by_value, "clipvalue"), (opt.clip_by_global_norm, "global_clipnorm"),
])
def test_clipping_equals_keras(clip, argument, float64):
    slope = noisy_slope()
    theirs = keras_trajectory(keras.optimizers.SGD(0.05, **{argument: 0.5}), noisy_slope(), START, STEPS)
    step = partial(opt.gradient_descent_step, learning_rate=0.05)
    ours = opt.trajectory(lambda theta: clip([slope(theta)], 0.5)[0], START, step, STEPS)
    np.testing.assert_allclose(ours, theirs, rtol=TOLERANCE, atol=1e-12)


@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=5), st.floats(0.1, 10))
@settings(deadline=None, max_examples=30)
def test_global_clipping_keeps_the_direction_and_bounds_the_norm(values, limit):
    gradients = [np.array(values[:1]), np.array(values[1:])]
    clipped = opt.clip_by_global_norm(gradients, limit)
    assert opt.global_norm(clipped) <= limit * (1 + 1e-12)
    flat, short = np.concatenate(gradients), np.concatenate(clipped)
    np.testing.assert_allclose(short * np.linalg.norm(flat), flat * np.linalg.norm(short), atol=1e-9)


def test_clipping_leaves_small_and_zero_gradients_alone():
    for clip in (opt.clip_by_value, opt.clip_by_global_norm):
        np.testing.assert_array_equal(clip([np.zeros(2), np.full(2, 0.1)], 1.0)[1], np.full(2, 0.1))


def test_a_trajectory_begins_at_the_start_and_has_one_point_more_than_steps():
    path = opt.trajectory(lambda x: x, START, opt.gradient_descent_step, 3)
    assert path.shape == (4, 2, 3)
    np.testing.assert_array_equal(path[0], START)


def test_every_public_function_says_that_it_is_for_learning():
    for name, function in inspect.getmembers(opt, inspect.isfunction):
        if function.__module__ == opt.__name__ and not name.startswith("_"):
            parts = ("For learning", "Source:", ">>>", "Returns:")
            assert all(part in function.__doc__ for part in parts), name


@pytest.mark.parametrize(("call", "message"), [
    (lambda: opt.adam_step([1.0, 2.0], [1.0]), r"`gradient` is of shape \(1,\); expected \(2,\)"),
    (lambda: opt.adam_step([1.0], [np.nan]), "`gradient` is NaN or infinite.*lower the learning rate"),
    (lambda: opt.adam_step(["a"], [1.0]), "`theta` is no array of numbers"),
    (lambda: opt.adam_step([1.0], [1.0], learning_rate=-1), "`learning_rate` is -1"),
    (lambda: opt.adam_step([1.0], [1.0], beta_1=1.0), "`beta` is 1.0"),
    (lambda: opt.adam_step([1.0], [1.0], epsilon=0), "`epsilon` is 0"),
    (lambda: opt.adam_step([1.0], [1.0], opt.adam_start([1.0, 2.0])), "`state` is of shape.*state=None"),
    (lambda: opt.adamw_step([1.0], [1.0], weight_decay=-1), "`weight_decay` is -1"),
    (lambda: opt.rmsprop_step([1.0], [1.0], rho=-0.1), "`rho` is -0.1"),
    (lambda: opt.rmsprop_step([1.0], [1.0], epsilon=0), "`epsilon` is 0"),
    (lambda: opt.momentum_step([1.0], [1.0], momentum=1.5), "`momentum` is 1.5"),
    (lambda: opt.bias_corrected(1.0, 0.9, 0), "`steps` is 0"),
    (lambda: opt.cosine_decay(-1, 0.1, 10), "`step` is negative"),
    (lambda: opt.warm_up(1, 0.1, 0), "`warm_up_steps` is 0"),
    (lambda: opt.exponential_decay(1, 0.1, 10, 0), "`decay_rate` is 0"),
    (lambda: opt.clip_by_value(np.ones(2), 1), "`gradients` is ndarray.*put a single array in a list"),
    (lambda: opt.clip_by_value([[1.0]], 0), "`limit` is 0"),
    (lambda: opt.clip_by_global_norm([[1.0]], -1), "`limit` is -1"),
    (lambda: opt.trajectory(lambda x: x, [1.0], opt.adam_step, -1), "`steps` is -1"),
    (lambda: opt.trajectory(lambda x: x * np.inf, [1.0], opt.adam_step, 2), "step 0: `gradient` is NaN"),
])
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
