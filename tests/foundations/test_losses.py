"""Every loss equals Keras'; every gradient equals finite differences, the tape's and SymPy's."""

import inspect
from functools import partial

import keras
import numpy as np
import pytest
import scipy.special
import scipy.stats
import sympy
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.foundations import losses

EXACT = 1e-9  # relative, float64 on both sides
DIFFERENCES = 1e-6  # relative to the largest entry, central differences

_random = np.random.default_rng(3)
NUMBERS = _random.normal(size=(6, 4))
LOGITS = _random.normal(scale=2.0, size=(6, 4))
PROBABILITIES = losses.softmax(LOGITS)
CHANCES = losses.sigmoid(LOGITS)
HARD = (_random.random((6, 4)) < 0.4).astype(float)
SOFT = _random.random((6, 4))
LABELS = np.array([0, 3, 1, 1, 2, 0])
ONE_HOT = losses.one_hot(LABELS, 4)
ROW_WEIGHTS = np.array([1.0, 2.0, 0.0, 0.5, 3.0, 1.0])
WEIGHTS = _random.random((6, 4))


def tensor(values):
    return tf.constant(np.asarray(values, dtype="float64"))


def bce(targets, p):
    return -(targets * tf.math.log(p) + (1 - targets) * tf.math.log(1 - p))


def focal(targets, p, gamma, alpha):
    likelihood = targets * p + (1 - targets) * (1 - p)
    weight = 1.0 if alpha is None else targets * alpha + (1 - targets) * (1 - alpha)
    return weight * (1 - likelihood) ** gamma * bce(targets, p)


def mean(loss):
    return lambda targets, values: tf.reduce_mean(loss(targets, values))


def weighted(loss, weights):
    return lambda targets, values: tf.reduce_mean(weights * loss(targets, values))


def ce(targets, p):
    return -tf.reduce_sum(targets * tf.math.log(p), axis=-1)


def ce_logits(targets, z):
    return ce(targets, tf.nn.softmax(z))


def square(targets, f):
    return (f - targets) ** 2


# name: (loss, gradient, targets, values, the same formula in TensorFlow)
CASES = {
    "MSE": ("mean_squared_error", {}, NUMBERS, LOGITS, mean(square)),
    "MSE, weights": (
        "mean_squared_error", {"sample_weights": WEIGHTS}, NUMBERS, LOGITS, weighted(square, WEIGHTS)),
    "Gaussian": (
        "gaussian_negative_log_likelihood", {"sigma": 0.7}, NUMBERS, LOGITS,
        mean(lambda t, f: square(t, f) / (2 * 0.7**2) + 0.5 * np.log(2 * np.pi * 0.7**2))),
    "BCE": ("binary_cross_entropy", {}, SOFT, CHANCES, mean(bce)),
    "BCE, weights": (
        "binary_cross_entropy", {"sample_weights": WEIGHTS}, HARD, CHANCES, weighted(bce, WEIGHTS)),
    "BCE, logits": (
        "binary_cross_entropy_from_logits", {}, SOFT, LOGITS, mean(lambda t, z: bce(t, tf.sigmoid(z)))),
    "BCE, logits, weights": (
        "binary_cross_entropy_from_logits", {"sample_weights": WEIGHTS}, HARD, LOGITS,
        weighted(lambda t, z: bce(t, tf.sigmoid(z)), WEIGHTS)),
    "CE": ("categorical_cross_entropy", {}, ONE_HOT, PROBABILITIES, mean(ce)),
    "CE, weights": (
        "categorical_cross_entropy", {"sample_weights": ROW_WEIGHTS}, ONE_HOT, PROBABILITIES,
        weighted(ce, ROW_WEIGHTS)),
    "CE, logits": (
        "categorical_cross_entropy_from_logits", {}, losses.softmax(NUMBERS), LOGITS, mean(ce_logits)),
    "CE, logits, weights": (
        "categorical_cross_entropy_from_logits", {"sample_weights": ROW_WEIGHTS}, ONE_HOT, LOGITS,
        weighted(ce_logits, ROW_WEIGHTS)),
    "CE, smoothed labels": (
        "categorical_cross_entropy_from_logits", {}, losses.smooth_labels(ONE_HOT, 0.1), LOGITS,
        mean(ce_logits)),
    "sparse CE": (
        "sparse_categorical_cross_entropy_from_logits", {}, LABELS, LOGITS,
        lambda t, z: mean(ce_logits)(ONE_HOT, z)),
    "sparse CE, weights": (
        "sparse_categorical_cross_entropy_from_logits", {"sample_weights": ROW_WEIGHTS}, LABELS, LOGITS,
        lambda t, z: weighted(ce_logits, ROW_WEIGHTS)(ONE_HOT, z)),
    "L2-SP": (
        "l2_sp", {"strength": 0.3}, NUMBERS, LOGITS,
        lambda source, w: 0.3 * tf.reduce_sum((w - source) ** 2)),
} | {
    f"focal, gamma {gamma}, alpha {alpha}{', logits' * logits}": (
        f"binary_focal_loss{'_from_logits' * logits}", {"gamma": gamma, "alpha": alpha},
        HARD, LOGITS if logits else CHANCES,
        mean(lambda t, v, g=gamma, a=alpha, z=logits: focal(t, tf.sigmoid(v) if z else v, g, a)))
    for gamma in (0.0, 0.5, 2.0) for alpha in (None, 0.25) for logits in (False, True)
}


def loss_of(name):
    """The loss and its gradient as functions of the values alone, the values, and TensorFlow's formula."""
    function, arguments, targets, values, formula = CASES[name]
    loss, gradient = getattr(losses, function), getattr(losses, f"{function}_gradient")
    if function == "l2_sp":  # takes the values first
        fixed = [partial(f, source_weights=targets, **arguments) for f in (loss, gradient)]
    else:
        fixed = [partial(f, targets, **arguments) for f in (loss, gradient)]
    return *fixed, values, partial(formula, tensor(targets))


@pytest.mark.parametrize("name", CASES)
def test_a_gradient_equals_finite_differences(name):
    loss, gradient, values, _ = loss_of(name)
    slopes = losses.numerical_gradient(loss, values, step=1e-6)
    np.testing.assert_allclose(gradient(values), slopes, atol=DIFFERENCES * max(np.abs(slopes).max(), 1e-2))


@pytest.mark.parametrize("name", CASES)
def test_a_loss_and_its_gradient_equal_the_tape(name):
    loss, gradient, values, formula = loss_of(name)
    variable = tf.Variable(tensor(values))
    with tf.GradientTape() as tape:
        value = formula(variable)
    np.testing.assert_allclose(loss(values), value.numpy(), rtol=EXACT)
    slopes = tape.gradient(value, variable).numpy()
    np.testing.assert_allclose(gradient(values), slopes, rtol=EXACT, atol=1e-14)


# The same formulas, symbolically: one sample, small sizes


def p(z):
    return 1 / (1 + sympy.exp(-z))


def symbolic_losses():
    x, y = sympy.Symbol("x", real=True), 1
    z = sympy.symbols("z0:3", real=True)
    total = sum(sympy.exp(entry) for entry in z)
    return {
        "mean_squared_error": ([1.5], [x], (x - 1.5) ** 2, [0.3]),
        "gaussian_negative_log_likelihood": (
            [1.5], [x], (x - 1.5) ** 2 / 2 + sympy.log(2 * sympy.pi) / 2, [0.3]),
        "binary_cross_entropy": ([y], [x], -sympy.log(x), [0.3]),
        "binary_cross_entropy_from_logits": ([y], [x], -sympy.log(p(x)), [0.3]),
        "binary_focal_loss": ([y], [x], -((1 - x) ** 2) * sympy.log(x), [0.3]),
        "binary_focal_loss_from_logits": ([y], [x], -((1 - p(x)) ** 2) * sympy.log(p(x)), [0.3]),
        "categorical_cross_entropy": ([0, 1, 0], z, -sympy.log(z[1]), [0.2, 0.5, 0.3]),
        "categorical_cross_entropy_from_logits": (
            [0, 1, 0], z, -sympy.log(sympy.exp(z[1]) / total), [0.2, -0.5, 1.3]),
        "sparse_categorical_cross_entropy_from_logits": (
            1, z, -sympy.log(sympy.exp(z[1]) / total), [0.2, -0.5, 1.3]),
    }


@pytest.mark.parametrize("name", symbolic_losses())
def test_a_loss_and_its_gradient_equal_sympy(name):
    targets, symbols, formula, values = symbolic_losses()[name]
    at = dict(zip(symbols, values, strict=True))
    slopes = [float(formula.diff(symbol).subs(at)) for symbol in symbols]
    np.testing.assert_allclose(getattr(losses, name)(targets, values), float(formula.subs(at)), rtol=1e-12)
    found = getattr(losses, f"{name}_gradient")(targets, values)
    np.testing.assert_allclose(found, slopes, rtol=1e-12, atol=1e-15)


def test_softmax_and_cross_entropy_give_p_minus_y_symbolically():
    z, y = sympy.symbols("z0:3", real=True), sympy.symbols("y0:2", real=True)
    y = (*y, 1 - sum(y))
    total = sum(sympy.exp(entry) for entry in z)
    loss = -sum(t * sympy.log(sympy.exp(entry) / total) for t, entry in zip(y, z, strict=True))
    for t, entry in zip(y, z, strict=True):
        assert sympy.simplify(loss.diff(entry) - (sympy.exp(entry) / total - t)) == 0


def test_the_focal_gradient_in_the_logits_is_the_papers_symbolically():
    z, gamma = sympy.symbols("z gamma", positive=True)
    loss = -((1 - p(z)) ** gamma) * sympy.log(p(z))
    claimed = (1 - p(z)) ** gamma * (gamma * p(z) * sympy.log(p(z)) + p(z) - 1)
    assert sympy.simplify(loss.diff(z) - claimed) == 0


def test_l2_sp_pulls_back_symbolically():
    w, source, strength = sympy.symbols("w s lambda", real=True)
    slope = (strength * (w - source) ** 2).diff(w)
    expected = float(slope.subs({w: 1.2, source: 0.5, strength: 0.3}))
    np.testing.assert_allclose(losses.l2_sp_gradient([1.2], [0.5], 0.3), [expected])


# Keras

KERAS = {
    "MSE": (keras.losses.MeanSquaredError, {}, losses.mean_squared_error, {}, NUMBERS, LOGITS),
    "BCE": (keras.losses.BinaryCrossentropy, {}, losses.binary_cross_entropy, {}, SOFT, CHANCES),
    "BCE, logits": (
        keras.losses.BinaryCrossentropy, {"from_logits": True},
        losses.binary_cross_entropy_from_logits, {}, SOFT, LOGITS),
    "CE": (
        keras.losses.CategoricalCrossentropy, {},
        losses.categorical_cross_entropy, {}, ONE_HOT, PROBABILITIES),
    "CE, logits": (
        keras.losses.CategoricalCrossentropy, {"from_logits": True},
        losses.categorical_cross_entropy_from_logits, {}, ONE_HOT, LOGITS),
    "sparse CE": (
        keras.losses.SparseCategoricalCrossentropy, {"from_logits": True},
        losses.sparse_categorical_cross_entropy_from_logits, {}, LABELS, LOGITS),
    "focal": (keras.losses.BinaryFocalCrossentropy, {}, losses.binary_focal_loss, {}, HARD, CHANCES),
    "focal, alpha": (
        keras.losses.BinaryFocalCrossentropy, {"apply_class_balancing": True, "alpha": 0.3, "gamma": 1.5},
        losses.binary_focal_loss, {"alpha": 0.3, "gamma": 1.5}, HARD, CHANCES),
    "focal, logits": (
        keras.losses.BinaryFocalCrossentropy, {"from_logits": True, "gamma": 3.0},
        losses.binary_focal_loss_from_logits, {"gamma": 3.0}, HARD, LOGITS),
}


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", EXACT), ("float32", 1e-6)])
@pytest.mark.parametrize("name", KERAS)
def test_a_loss_equals_keras(name, dtype, tolerance):
    keras_loss, options, ours, arguments, targets, values = KERAS[name]
    expected = float(keras_loss(dtype=dtype, **options)(targets, values))
    assert ours(targets, values, **arguments) == pytest.approx(expected, rel=tolerance)


def test_row_weights_equal_keras():
    expected = keras.losses.CategoricalCrossentropy(from_logits=True, dtype="float64")(
        ONE_HOT, LOGITS, sample_weight=ROW_WEIGHTS)
    ours = losses.categorical_cross_entropy_from_logits(ONE_HOT, LOGITS, sample_weights=ROW_WEIGHTS)
    assert ours == pytest.approx(float(expected), rel=EXACT)


def test_smoothed_labels_equal_keras():
    keras_loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.2, dtype="float64")
    ours = losses.categorical_cross_entropy_from_logits(losses.smooth_labels(ONE_HOT, 0.2), LOGITS)
    assert ours == pytest.approx(float(keras_loss(ONE_HOT, LOGITS)), rel=1e-7)
    keras_loss = keras.losses.BinaryCrossentropy(from_logits=True, label_smoothing=0.2, dtype="float64")
    ours = losses.binary_cross_entropy_from_logits(losses.smooth_labels(HARD, 0.2, n_classes=2), LOGITS)
    assert ours == pytest.approx(float(keras_loss(HARD, LOGITS)), rel=1e-7)


def test_clipped_certainty_equals_keras_in_value_and_gradient():
    targets, certain = np.array([[1.0, 0.0, 1.0]]), np.array([[0.0, 1.0, 1.0]])
    keras_loss = keras.losses.BinaryCrossentropy(dtype="float64")
    variable = tf.Variable(certain)
    with tf.GradientTape() as tape:
        value = keras_loss(targets, variable)
    assert losses.binary_cross_entropy(targets, certain) == pytest.approx(float(value), rel=EXACT)
    gradient = losses.binary_cross_entropy_gradient(targets, certain)
    np.testing.assert_array_equal(gradient, tape.gradient(value, variable).numpy())
    np.testing.assert_array_equal(gradient, np.zeros((1, 3)))


def test_keras_gradient_in_probabilities_differs_by_the_constant_that_the_docstring_names():
    variable = tf.Variable(PROBABILITIES)
    with tf.GradientTape() as tape:
        value = keras.losses.CategoricalCrossentropy(dtype="float64")(ONE_HOT, variable)
    ours = losses.categorical_cross_entropy_gradient(ONE_HOT, PROBABILITIES)
    theirs = tape.gradient(value, variable).numpy()
    np.testing.assert_allclose(theirs, ours + 1 / len(ONE_HOT), rtol=EXACT, atol=1e-12)


def test_the_losses_are_the_likelihoods_of_scipy():
    gaussian = -scipy.stats.norm.logpdf(NUMBERS, loc=LOGITS, scale=0.7).mean()
    assert losses.gaussian_negative_log_likelihood(NUMBERS, LOGITS, 0.7) == pytest.approx(gaussian, rel=EXACT)
    bernoulli = -scipy.stats.bernoulli.logpmf(HARD, CHANCES).mean()
    assert losses.binary_cross_entropy(HARD, CHANCES) == pytest.approx(bernoulli, rel=EXACT)
    rows = zip(ONE_HOT, PROBABILITIES, strict=True)
    categorical = np.mean([-scipy.stats.multinomial.logpmf(row, 1, chances) for row, chances in rows])
    assert losses.categorical_cross_entropy(ONE_HOT, PROBABILITIES) == pytest.approx(categorical, rel=EXACT)


@given(st.lists(st.floats(-700, 700), min_size=1, max_size=6))
@settings(deadline=None, max_examples=50)
def test_the_small_functions_equal_scipy(values):
    np.testing.assert_allclose(losses.sigmoid(values), scipy.special.expit(values), rtol=1e-12, atol=1e-300)
    np.testing.assert_allclose(losses.softmax(values), scipy.special.softmax(values), rtol=1e-12, atol=1e-300)
    np.testing.assert_allclose(losses.log_softmax(values), scipy.special.log_softmax(values), atol=1e-12)
    np.testing.assert_allclose(losses.log_sum_exp(values), scipy.special.logsumexp(values), atol=1e-12)


def test_the_gradient_of_log_sum_exp_is_the_softmax():
    slopes = losses.numerical_gradient(losses.log_sum_exp, LOGITS[0])
    np.testing.assert_allclose(losses.softmax(LOGITS[0]), slopes, atol=1e-8)


def test_the_jacobian_of_the_softmax_equals_the_tape_and_its_chain_gives_p_minus_y():
    variable = tf.Variable(LOGITS)
    with tf.GradientTape() as tape:
        probabilities = tf.nn.softmax(variable)
    jacobian = losses.softmax_jacobian(LOGITS)
    np.testing.assert_allclose(jacobian, tape.batch_jacobian(probabilities, variable).numpy(), atol=1e-14)
    upstream = losses.categorical_cross_entropy_gradient(ONE_HOT, PROBABILITIES)
    chained = np.einsum("ni,nij->nj", upstream, jacobian)
    direct = losses.categorical_cross_entropy_from_logits_gradient(ONE_HOT, LOGITS)
    np.testing.assert_allclose(chained, direct, atol=1e-14)


def test_the_slope_of_the_sigmoid_is_the_difference_quotient():
    slopes = losses.numerical_gradient(lambda z: losses.sigmoid(z).sum(), LOGITS)
    np.testing.assert_allclose(losses.sigmoid_gradient(LOGITS), slopes, atol=1e-8)


def test_balanced_weights_give_the_mean_of_the_classes_means():
    weights = losses.balanced_class_weights(LABELS, 4)[LABELS]
    loss = losses.sparse_categorical_cross_entropy_from_logits
    of_classes = np.mean([loss(LABELS[LABELS == c], LOGITS[LABELS == c]) for c in range(4)])
    ours = loss(LABELS, LOGITS, sample_weights=weights)
    assert ours == pytest.approx(of_classes, rel=EXACT)


def test_the_focal_loss_forgives_easy_samples_most():
    for chance, kept in [(0.1, 0.81), (0.5, 0.25), (0.9, 0.01)]:
        plain = losses.binary_cross_entropy([1.0], [chance])
        assert losses.binary_focal_loss([1.0], [chance]) == pytest.approx(kept * plain)


def test_keras_accepts_ten_classes_as_binary_labels_and_ours_refuses():
    classes, chances = np.arange(10.0), np.full(10, 0.999)
    assert float(keras.losses.BinaryCrossentropy()(classes, chances)) < 0
    with pytest.raises(ValueError, match=r"`targets` at \(2,\) is 2; expected 0 to 1"):
        losses.binary_cross_entropy(classes, chances)


def test_every_public_function_says_that_it_is_for_learning():
    for name, function in inspect.getmembers(losses, inspect.isfunction):
        if function.__module__ == losses.__name__ and not name.startswith("_"):
            parts = ("For learning", "Source:", ">>>", "Returns:")
            assert all(part in function.__doc__ for part in parts), name


@pytest.mark.parametrize(("call", "message"), [
    (lambda: losses.mean_squared_error([1.0], [1.0, 2.0]), r"`predictions` is of shape \(2,\)"),
    (lambda: losses.mean_squared_error([], []), "`targets` is empty"),
    (lambda: losses.mean_squared_error(["a"], [1.0]), "`targets` is no array of numbers"),
    (lambda: losses.mean_squared_error([1.0, np.nan], [1.0, 2.0]), r"`targets` at \(1,\) is nan"),
    (lambda: losses.mean_squared_error([1.0], [1.0], [-1.0]), r"`sample_weights` at \(0,\) is -1"),
    (lambda: losses.mean_squared_error([1.0], [1.0], [1.0, 1.0]), r"`sample_weights` is of shape \(2,\)"),
    (lambda: losses.gaussian_negative_log_likelihood([1.0], [1.0], 0), "`sigma` is 0"),
    (lambda: losses.binary_cross_entropy([1.0], [1.5]), r"`probabilities` at \(0,\) is 1.5.*_from_logits"),
    (lambda: losses.binary_cross_entropy([1.0], [0.5], epsilon=0), "`epsilon` is 0"),
    (lambda: losses.binary_cross_entropy_from_logits([-1.0], [0.5]), r"`targets` at \(0,\) is -1"),
    (lambda: losses.categorical_cross_entropy([[0, 1]], [[1.2, -0.2]]), r"`probabilities` at \(0, 1\)"),
    (lambda: losses.categorical_cross_entropy([[1, 1]], [[0.5, 0.5]]), r"`targets` at \(0,\) sums to 2"),
    (lambda: losses.categorical_cross_entropy_from_logits(1.0, 1.0), "`targets` is a single number"),
    (lambda: losses.sparse_categorical_cross_entropy_from_logits([4], [[0.0, 1.0]]), "from 0 to 1"),
    (lambda: losses.sparse_categorical_cross_entropy_from_logits([0, 1], [[0.0, 1.0]]), "one label"),
    (lambda: losses.one_hot([0.5], 2), r"`labels` at \(0,\) is 0.5; expected a whole number"),
    (lambda: losses.one_hot([-1], 2), r"`labels` at \(0,\) is -1"),
    (lambda: losses.balanced_class_weights([0, 0], 2), "class 1 has no sample"),
    (lambda: losses.smooth_labels([[0, 1]], 1.5), "`smoothing` is 1.5"),
    (lambda: losses.binary_focal_loss([0.5], [0.5]), r"`targets` at \(0,\) is 0.5; expected 0 or 1"),
    (lambda: losses.binary_focal_loss([1.0], [0.5], gamma=-1), "`gamma` is -1"),
    (lambda: losses.binary_focal_loss([1.0], [0.5], alpha=2), "`alpha` is 2"),
    (lambda: losses.l2_sp([1.0], [1.0, 2.0], 1.0), r"`source_weights` is of shape \(2,\)"),
    (lambda: losses.l2_sp([1.0], [1.0], -1), "`strength` is -1"),
    (lambda: losses.numerical_gradient(np.sum, [1.0], step=0), "`step` is 0"),
])
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
