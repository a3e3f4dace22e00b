"""Optimizers as step functions: one line for each line of the paper's algorithm.

The file is for learning: it shows what `keras.optimizers` computes and is not a production replacement for
it. A step takes the parameters, the gradient of the loss of a minibatch there, and a state (None before the
first step), and returns new parameters and a new state. Nothing is changed in place.

In float64 every step equals Keras' to a relative 1e-9 over 100 steps, if both get settings that float32 holds
exactly. Keras rounds settings to float32 even then: of beta_2 = 0.999, 1 - beta_2 is off by a relative 1e-5.
"""

from typing import NamedTuple

import numpy as np


class MomentumState(NamedTuple):
    """The velocity, an array of the shape of theta: a fading sum of the steps downhill."""

    velocity: np.ndarray


class RMSPropState(NamedTuple):
    """The moving average of squared gradients, an array of the shape of theta."""

    mean_square: np.ndarray


class AdamState(NamedTuple):
    """The number of steps taken, and the moving averages of the gradients and of their squares."""

    steps: int
    first_moment: np.ndarray
    second_moment: np.ndarray


def gradient_descent_step(theta, gradient, state=None, *, learning_rate=0.01):
    """Go downhill: theta - learning_rate * gradient.

    With the gradient of all data it is gradient descent, with a minibatch's stochastic gradient descent.

    Args:
        theta: parameters, an array of any shape.
        gradient: gradient of the loss at theta, same shape.
        state: not used; it is there so that every optimizer is called alike.
        learning_rate: size of the step, 0 or more.

    Returns:
        (theta, state): float64 array of the same shape, and None.

    Raises:
        ValueError: if the shapes differ, values are not finite, or the learning rate is negative.

    Source: Robbins & Monro 1951; Goodfellow, Bengio & Courville, Deep Learning (2016), algorithm 8.1.
    For learning; to train use `keras.optimizers.SGD`.

    >>> theta, state = gradient_descent_step([1.0, -2.0], [10.0, 0.0], learning_rate=0.1)
    >>> theta.tolist()
    [0.0, -2.0]
    """
    theta, gradient = _pair(theta, gradient, learning_rate)
    return theta - learning_rate * gradient, state


def momentum_start(theta):
    """State before the first step: no velocity.

    Args:
        theta: parameters, an array of any shape.

    Returns:
        MomentumState of zeros.

    Source: as `momentum_step`. For learning; Keras keeps this state inside the optimizer.

    >>> momentum_start([1.0, 2.0]).velocity.tolist()
    [0.0, 0.0]
    """
    return MomentumState(np.zeros_like(_numbers("theta", theta)))


def momentum_step(theta, gradient, state=None, *, learning_rate=0.01, momentum=0.9, nesterov=False):
    """Roll downhill: velocity = momentum * velocity - learning_rate * gradient; theta + velocity.

    Along a steady slope the steps grow to 1 / (1 - momentum) times those of gradient descent; across a valley
    they cancel. With `nesterov` the step is momentum * velocity - learning_rate * gradient with the new
    velocity, as Keras writes it.

    Args:
        theta: parameters, an array of any shape.
        gradient: gradient of the loss at theta, same shape.
        state: MomentumState of the step before, or None.
        learning_rate: size of the step, 0 or more.
        momentum: share of the velocity that is kept, from 0 to below 1.
        nesterov: look ahead along the velocity.

    Returns:
        (theta, state): float64 array of the same shape, and MomentumState.

    Raises:
        ValueError: if the shapes differ, values are not finite, or a setting is out of range.

    Source: Sutskever et al. 2013, On the importance of initialization and momentum, equations 1 to 4.
    For learning; to train use `keras.optimizers.SGD(momentum=...)`.

    >>> theta, state = momentum_step([1.0], [1.0], learning_rate=0.1)
    >>> theta, state = momentum_step(theta, [1.0], state, learning_rate=0.1)
    >>> theta.round(4).tolist(), state.velocity.round(4).tolist()
    ([0.71], [-0.19])
    """
    theta, gradient = _pair(theta, gradient, learning_rate)
    _share("momentum", momentum)
    before = _started(state, momentum_start, theta).velocity
    velocity = momentum * before - learning_rate * gradient
    step = momentum * velocity - learning_rate * gradient if nesterov else velocity
    return theta + step, MomentumState(velocity)


def rmsprop_start(theta):
    """State before the first step: no square was seen.

    Args:
        theta: parameters, an array of any shape.

    Returns:
        RMSPropState of zeros.

    Source: as `rmsprop_step`. For learning; Keras keeps this state inside the optimizer.

    >>> rmsprop_start([1.0, 2.0]).mean_square.tolist()
    [0.0, 0.0]
    """
    return RMSPropState(np.zeros_like(_numbers("theta", theta)))


def rmsprop_step(theta, gradient, state=None, *, learning_rate=0.001, rho=0.9, epsilon=1e-7):
    """Divide by the recent size: s = rho s + (1 - rho) g^2; theta - learning_rate * g / sqrt(s + epsilon).

    Every parameter gets a step of about the same length, whatever the scale of its gradient. Epsilon stands
    inside the root, as in Keras; many texts put it outside.

    Args:
        theta: parameters, an array of any shape.
        gradient: gradient g of the loss at theta, same shape.
        state: RMSPropState of the step before, or None.
        learning_rate: size of the step, 0 or more.
        rho: share of the average that is kept, from 0 to below 1.
        epsilon: keeps the division finite, above 0.

    Returns:
        (theta, state): float64 array of the same shape, and RMSPropState.

    Raises:
        ValueError: if the shapes differ, values are not finite, or a setting is out of range.

    Source: Tieleman & Hinton 2012, Neural Networks for Machine Learning, lecture 6e.
    For learning; to train use `keras.optimizers.RMSprop`.

    >>> theta, state = rmsprop_step([1.0, 1.0], [100.0, 1.0], learning_rate=0.1)
    >>> theta.round(4).tolist()
    [0.6838, 0.6838]
    """
    theta, gradient = _pair(theta, gradient, learning_rate)
    _share("rho", rho)
    _require(epsilon > 0, "epsilon", epsilon, "a number above 0")
    before = _started(state, rmsprop_start, theta).mean_square
    mean_square = rho * before + (1 - rho) * gradient**2
    return theta - learning_rate * gradient / np.sqrt(mean_square + epsilon), RMSPropState(mean_square)


def adam_start(theta):
    """State before the first step: no step, both moments zero. These zeros are what the correction corrects.

    Args:
        theta: parameters, an array of any shape.

    Returns:
        AdamState of zeros.

    Source: Kingma & Ba 2015, arXiv 1412.6980, algorithm 1. For learning; Keras keeps this state inside.

    >>> adam_start([1.0])
    AdamState(steps=0, first_moment=array([0.]), second_moment=array([0.]))
    """
    zeros = np.zeros_like(_numbers("theta", theta))
    return AdamState(0, zeros, zeros)


def moving_average(average, value, beta):
    """One step of an exponential moving average: beta * average + (1 - beta) * value.

    Args:
        average: the average so far, a number or an array.
        value: the new value, same shape.
        beta: share of the average that is kept, from 0 to below 1; about 1 / (1 - beta) values count.

    Returns:
        float64 array.

    Source: Kingma & Ba 2015, arXiv 1412.6980, algorithm 1. For learning; Keras does this inside.

    >>> float(moving_average(0.0, 1.0, 0.9).round(4))
    0.1
    """
    _share("beta", beta)
    return beta * _numbers("average", average) + (1 - beta) * _numbers("value", value)


def bias_corrected(average, beta, steps):
    """Undo the pull of the zero that a moving average starts from: average / (1 - beta^steps).

    After t steps the weights of all values sum to 1 - beta^t, so the expectation of the average is that share
    of the expectation of the values: 0.1 at the first step for beta = 0.9.

    Args:
        average: moving average that started at zero, a number or an array.
        beta: share that was kept at each step, from 0 to below 1.
        steps: how many values it has seen, 1 or more.

    Returns:
        float64 array of the same shape.

    Raises:
        ValueError: if `beta` or `steps` is out of range.

    Source: Kingma & Ba 2015, arXiv 1412.6980, section 3. For learning; Keras does this inside.

    >>> float(bias_corrected(0.1, 0.9, 1).round(4))
    1.0
    """
    _share("beta", beta)
    _require(steps >= 1, "steps", steps, "1 or more: correct after the first value")
    return _numbers("average", average) / (1 - beta**steps)


def adam_step(
    theta, gradient, state=None, *, learning_rate=0.001, beta_1=0.9, beta_2=0.999, epsilon=1e-7,
    bias_correction=True, paper_epsilon=False,
):
    """Momentum over recent size: theta - learning_rate * m^ / (sqrt(v^) + epsilon_t).

    m and v are moving averages of the gradient and of its square, m^ and v^ the same with `bias_corrected`.
    In the paper's algorithm 1 epsilon_t is epsilon. Keras uses the formula before section 2.1, in which
    epsilon is added to the root of the uncorrected v: epsilon_t = epsilon / sqrt(1 - beta_2^t), at the first
    step 32 times larger. It matters only where gradients are nearly zero.

    Args:
        theta: parameters, an array of any shape.
        gradient: gradient of the loss at theta, same shape.
        state: AdamState of the step before, or None.
        learning_rate: size of the step, 0 or more; no parameter moves much further than this in one step.
        beta_1: share of the first moment that is kept, from 0 to below 1.
        beta_2: share of the second moment that is kept, from 0 to below 1.
        epsilon: keeps the division finite, above 0.
        bias_correction: False shows what goes wrong without: a first step (1 - beta_1) / sqrt(1 - beta_2) =
            3.16 times too large.
        paper_epsilon: True for the paper's epsilon, False for Keras'.

    Returns:
        (theta, state): float64 array of the same shape, and AdamState.

    Raises:
        ValueError: if the shapes differ, values are not finite, or a setting is out of range.

    Source: Kingma & Ba 2015, arXiv 1412.6980, algorithm 1 and section 2.
    For learning; to train use `keras.optimizers.Adam`.

    >>> theta, state = adam_step([1.0, 1.0], [100.0, 0.01], learning_rate=0.1)
    >>> theta.round(4).tolist()
    [0.9, 0.9]
    >>> theta, state = adam_step([1.0], [100.0], learning_rate=0.1, bias_correction=False)
    >>> theta.round(4).tolist()
    [0.6838]
    """
    theta, gradient = _pair(theta, gradient, learning_rate)
    _require(epsilon > 0, "epsilon", epsilon, "a number above 0")
    before = _started(state, adam_start, theta)
    steps = before.steps + 1
    first = moving_average(before.first_moment, gradient, beta_1)
    second = moving_average(before.second_moment, gradient**2, beta_2)
    state = AdamState(steps, first, second)
    if bias_correction:
        first, second = bias_corrected(first, beta_1, steps), bias_corrected(second, beta_2, steps)
        epsilon = epsilon if paper_epsilon else epsilon / np.sqrt(1 - beta_2**steps)
    return theta - learning_rate * first / (np.sqrt(second) + epsilon), state


def adamw_step(theta, gradient, state=None, *, learning_rate=0.001, weight_decay=0.004, **adam_settings):
    """Adam beside a decay that Adam does not rescale: adam_step - learning_rate * weight_decay * theta.

    An L2 penalty would add its gradient before the division by sqrt(v^), so that weights with large gradients
    would hardly decay. Here all decay at one rate. Keras multiplies the decay by the learning rate; the paper
    multiplies it by the schedule's factor alone.

    Args:
        theta: parameters, an array of any shape.
        gradient: gradient of the loss at theta, without any penalty, same shape.
        state: AdamState of the step before, or None.
        learning_rate: size of the step, 0 or more.
        weight_decay: share, of the learning rate, by which every weight shrinks in a step; 0 or more.
        **adam_settings: any other argument of `adam_step`.

    Returns:
        (theta, state): float64 array of the same shape, and AdamState.

    Raises:
        ValueError: if the shapes differ, values are not finite, or a setting is out of range.

    Source: Loshchilov & Hutter 2019, arXiv 1711.05101, algorithm 2.
    For learning; to train use `keras.optimizers.AdamW`.

    >>> theta, state = adamw_step([1.0], [0.0], learning_rate=0.1, weight_decay=0.5)
    >>> theta.round(4).tolist()
    [0.95]
    """
    _require(weight_decay >= 0, "weight_decay", weight_decay, "0 or more")
    moved, state = adam_step(theta, gradient, state, learning_rate=learning_rate, **adam_settings)
    return moved - learning_rate * weight_decay * _numbers("theta", theta), state


# Schedules: the learning rate as a function of the step number


def warm_up(step, target, warm_up_steps, start=0.0):
    """Rise on a straight line: start + (target - start) * step / warm_up_steps, then stay at the target.

    Args:
        step: number of steps taken before, from 0; a number or an array.
        target: learning rate at the end of the rise.
        warm_up_steps: length of the rise in steps, 1 or more.
        start: learning rate at step 0.

    Returns:
        float64 array of the shape of `step`.

    Raises:
        ValueError: if a step is negative or `warm_up_steps` is below 1.

    Source: Goyal et al. 2017, arXiv 1706.02677, section 2.2.
    For learning; to train use `keras.optimizers.schedules.CosineDecay(warmup_target=...)`.

    >>> warm_up([0, 5, 10, 20], target=0.1, warm_up_steps=10).round(4).tolist()
    [0.0, 0.05, 0.1, 0.1]
    """
    return start + (target - start) * _progress(step, "warm_up_steps", warm_up_steps)


def cosine_decay(step, initial, decay_steps, alpha=0.0):
    """Fall on half a cosine: initial * (alpha + (1 - alpha) (1 + cos(pi step / decay_steps)) / 2).

    Args:
        step: number of steps taken before, from 0; a number or an array.
        initial: learning rate at step 0.
        decay_steps: length of the fall in steps, 1 or more; then the rate stays at alpha * initial.
        alpha: share of the initial rate that remains.

    Returns:
        float64 array of the shape of `step`.

    Raises:
        ValueError: if a step is negative or `decay_steps` is below 1.

    Source: Loshchilov & Hutter 2017, arXiv 1608.03983, equation 5.
    For learning; to train use `keras.optimizers.schedules.CosineDecay`.

    >>> cosine_decay([0, 50, 100], initial=0.1, decay_steps=100).round(4).tolist()
    [0.1, 0.05, 0.0]
    """
    falling = (1 + np.cos(np.pi * _progress(step, "decay_steps", decay_steps))) / 2
    return initial * (alpha + (1 - alpha) * falling)


def exponential_decay(step, initial, decay_steps, decay_rate, staircase=False):
    """Fall by a fixed factor every `decay_steps` steps: initial * decay_rate^(step / decay_steps).

    Args:
        step: number of steps taken before, from 0; a number or an array.
        initial: learning rate at step 0.
        decay_steps: steps in which the rate is multiplied by `decay_rate` once, 1 or more.
        decay_rate: the factor, above 0.
        staircase: fall in whole steps of `decay_steps`.

    Returns:
        float64 array of the shape of `step`.

    Raises:
        ValueError: if a step is negative, `decay_steps` is below 1 or `decay_rate` is not above 0.

    Source: Keras' documentation of `ExponentialDecay`.
    For learning; to train use `keras.optimizers.schedules.ExponentialDecay`.

    >>> exponential_decay([0, 10, 20], initial=0.1, decay_steps=10, decay_rate=0.5).round(4).tolist()
    [0.1, 0.05, 0.025]
    """
    _require(decay_rate > 0, "decay_rate", decay_rate, "a factor above 0")
    exponent = _steps(step, "decay_steps", decay_steps) / decay_steps
    return initial * decay_rate ** (np.floor(exponent) if staircase else exponent)


def warm_up_then(step, decay, warm_up_steps, start=0.0):
    """Rise to where a decay begins, then follow it: warm_up, then decay(step - warm_up_steps).

    Args:
        step: number of steps taken before, from 0; a number or an array.
        decay: function of the steps since the end of the rise, such as a `cosine_decay` with its settings.
        warm_up_steps: length of the rise in steps, 1 or more.
        start: learning rate at step 0.

    Returns:
        float64 array of the shape of `step`.

    Raises:
        ValueError: if a step is negative or `warm_up_steps` is below 1.

    Source: Goyal et al. 2017, arXiv 1706.02677, section 2.2.
    For learning; to train use `keras.optimizers.schedules.CosineDecay(warmup_target=...)`.

    >>> decay = lambda step: cosine_decay(step, initial=0.1, decay_steps=90)
    >>> warm_up_then([0, 5, 10, 100], decay, warm_up_steps=10).round(4).tolist()
    [0.0, 0.05, 0.1, 0.0]
    """
    step = _steps(step, "warm_up_steps", warm_up_steps)
    rising = warm_up(step, decay(0), warm_up_steps, start)
    return np.where(step < warm_up_steps, rising, decay(np.maximum(step - warm_up_steps, 0)))


# Clipping: a bound on the step that one bad gradient can cause


def global_norm(gradients):
    """Length of all gradients as one vector: sqrt(sum of all squares).

    Args:
        gradients: list of arrays, one for a weight array of the model.

    Returns:
        float.

    Raises:
        ValueError: if `gradients` is not a list of arrays, or values are not finite.

    Source: Pascanu, Mikolov & Bengio 2013, arXiv 1211.5063, section 3.2.
    For learning; in a model use `tf.linalg.global_norm`.

    >>> global_norm([[3.0], [[4.0]]])
    5.0
    """
    return float(np.sqrt(sum((gradient**2).sum() for gradient in _gradients(gradients))))


def clip_by_value(gradients, limit):
    """Cut every entry to [-limit, limit]. The direction changes.

    Args:
        gradients: list of arrays, one for a weight array of the model.
        limit: largest size of an entry, above 0.

    Returns:
        list of float64 arrays of the same shapes.

    Raises:
        ValueError: if `gradients` is not a list of arrays, values are not finite, or `limit` is not above 0.

    Source: Goodfellow, Bengio & Courville, Deep Learning (2016), section 10.11.1.
    For learning; to train use the optimizer's argument `clipvalue`.

    >>> [gradient.tolist() for gradient in clip_by_value([[3.0, -0.5], [-4.0]], limit=1.0)]
    [[1.0, -0.5], [-1.0]]
    """
    _require(limit > 0, "limit", limit, "a number above 0")
    return [np.clip(gradient, -limit, limit) for gradient in _gradients(gradients)]


def clip_by_global_norm(gradients, limit):
    """Shorten all gradients by one factor, limit / max(norm, limit). The direction stays.

    Args:
        gradients: list of arrays, one for a weight array of the model.
        limit: largest norm of all together, above 0.

    Returns:
        list of float64 arrays of the same shapes.

    Raises:
        ValueError: if `gradients` is not a list of arrays, values are not finite, or `limit` is not above 0.

    Source: Pascanu, Mikolov & Bengio 2013, arXiv 1211.5063, algorithm 1.
    For learning; to train use the optimizer's argument `global_clipnorm`.

    >>> [gradient.round(4).tolist() for gradient in clip_by_global_norm([[3.0], [4.0]], limit=1.0)]
    [[0.6], [0.8]]
    """
    _require(limit > 0, "limit", limit, "a number above 0")
    factor = limit / max(global_norm(gradients), limit)
    return [factor * gradient for gradient in _gradients(gradients)]


def trajectory(gradient_function, start, step, steps, learning_rate=None):
    """Follow an optimizer from a starting point.

    Args:
        gradient_function: takes theta, returns the gradient there (of a minibatch, if it draws one).
        start: first theta, an array of any shape.
        step: a step function of this file, its settings fixed with `functools.partial`.
        steps: how many steps to take, 0 or more.
        learning_rate: optional schedule, a function from the step's number (from 0) to the learning rate.

    Returns:
        float64 array, shape (steps + 1, *start.shape): every theta, `start` first.

    Raises:
        ValueError: if `steps` is negative, or a gradient does not fit or is not finite; the step is named.

    Source: the loop of every algorithm above. For learning; to train use `model.fit`.

    >>> slope = lambda theta: 2 * theta
    >>> trajectory(slope, [1.0], gradient_descent_step, steps=2, learning_rate=lambda t: 0.25).tolist()
    [[1.0], [0.5], [0.25]]
    """
    _require(steps >= 0, "steps", steps, "0 or more")
    theta, state = _numbers("start", start), None
    path = [theta]
    for number in range(steps):
        rate = {} if learning_rate is None else {"learning_rate": float(learning_rate(number))}
        try:
            theta, state = step(theta, gradient_function(theta), state, **rate)
        except ValueError as error:
            raise ValueError(f"step {number}: {error}") from error
        path.append(theta)
    return np.stack(path)


# What the functions above share: checks that say what to do


def _require(holds, name, found, expected):
    if not holds:
        raise ValueError(f"`{name}` is {found}; expected {expected}.")


def _share(name, value):
    _require(0 <= value < 1, name, value, "a share from 0 to below 1")


def _numbers(name, values):
    """Values as a float64 array, all finite."""
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"`{name}` is no array of numbers ({error}); pass a list of them.") from error
    expected = "finite numbers: lower the learning rate or clip the gradient"
    _require(np.isfinite(array).all(), name, "NaN or infinite somewhere", expected)
    return array


def _pair(theta, gradient, learning_rate):
    theta, gradient = _numbers("theta", theta), _numbers("gradient", gradient)
    expected = f"{theta.shape}, the shape of `theta`"
    _require(theta.shape == gradient.shape, "gradient", f"of shape {gradient.shape}", expected)
    _require(learning_rate >= 0, "learning_rate", learning_rate, "0 or more")
    return theta, gradient


def _started(state, start, theta):
    """The state given, or the one before the first step; it must have been made for this theta."""
    if state is None:
        return start(theta)
    expected = f"{theta.shape}, the shape of `theta`; start with state=None"
    _require(state[-1].shape == theta.shape, "state", f"of shape {state[-1].shape}", expected)
    return state


def _gradients(gradients):
    expected = "a list of arrays, one for a weight array: put a single array in a list"
    _require(isinstance(gradients, (list, tuple)), "gradients", type(gradients).__name__, expected)
    return [_numbers(f"gradients[{number}]", gradient) for number, gradient in enumerate(gradients)]


def _steps(step, name, length):
    step = _numbers("step", step)
    _require((step >= 0).all(), "step", "negative somewhere", "0 or more")
    _require(length >= 1, name, length, "1 or more")
    return step


def _progress(step, name, length):
    return np.minimum(_steps(step, name, length) / length, 1.0)
