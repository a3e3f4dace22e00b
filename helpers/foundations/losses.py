"""Losses and their gradients, each a formula of one or two lines.

The file is for learning: it shows what `keras.losses` computes and is not a production replacement for it.
Every function computes in float64 and returns the mean over all samples; the function named `..._gradient`
beside it returns the derivative of that mean with respect to the argument that its summary names. Equal to
Keras' losses to a relative 1e-9 in float64 (to 1e-6 against Keras' float32).
"""

import numpy as np

_ROW_TOLERANCE = 1e-3


# Small mathematics: the functions that losses are made of


def sigmoid(logits):
    """Squash numbers into probabilities: sigmoid(z) = 1 / (1 + exp(-z)).

    Computed as exp(-log(1 + exp(-z))), so that neither large nor small z overflow.

    Args:
        logits: numbers of any shape.

    Returns:
        float64 array of the same shape, between 0 and 1.

    Raises:
        ValueError: if `logits` is empty or holds values that are not finite numbers.

    Source: Bishop, Pattern Recognition and Machine Learning (2006), equation 4.59.
    For learning; in a model use `keras.ops.sigmoid`.

    >>> sigmoid([-1000.0, 0.0, 1000.0]).tolist()
    [0.0, 0.5, 1.0]
    """
    return np.exp(_log_sigmoid(_numbers("logits", logits)))


def sigmoid_gradient(logits):
    """Slope of the sigmoid: s(z) (1 - s(z)), at most 1/4.

    Args:
        logits: numbers of any shape.

    Returns:
        float64 array of the same shape.

    Source: Bishop (2006), equation 4.88. For learning; in a model use `tf.GradientTape`.

    >>> sigmoid_gradient([0.0]).tolist()
    [0.25]
    """
    logits = _numbers("logits", logits)
    return sigmoid(logits) * sigmoid(-logits)


def log_sum_exp(logits):
    """Smooth maximum of the last axis: log(sum_c exp(z_c)) = m + log(sum_c exp(z_c - m)), m = max(z).

    The right-hand side is what is computed: no exponent is above zero, so nothing overflows. Its gradient is
    the softmax.

    Args:
        logits: shape (..., classes).

    Returns:
        float64 array, shape (...,).

    Raises:
        ValueError: if `logits` has no class axis, is empty or is not finite.

    Source: Blanchard, Higham & Higham, IMA Journal of Numerical Analysis 41 (2021).
    For learning; in a model use `keras.ops.logsumexp`.

    >>> float(log_sum_exp([1000.0, 1000.0]).round(4))
    1000.6931
    """
    logits = _classes_last("logits", logits)
    highest = logits.max(axis=-1, keepdims=True)
    return np.log(np.exp(logits - highest).sum(axis=-1)) + highest[..., 0]


def softmax(logits):
    """Probabilities of the classes: p_c = exp(z_c) / sum_k exp(z_k) = exp(z_c - log_sum_exp(z)).

    Args:
        logits: shape (..., classes).

    Returns:
        float64 array of the same shape; each row of the last axis sums to 1.

    Raises:
        ValueError: if `logits` has no class axis, is empty or is not finite.

    Source: Bishop (2006), equation 4.62. For learning; in a model use `keras.ops.softmax`.

    >>> softmax([0.0, 0.0, np.log(2.0)]).round(4).tolist()
    [0.25, 0.25, 0.5]
    """
    return np.exp(log_softmax(logits))


def log_softmax(logits):
    """Logarithm of the softmax without taking one of a tiny number: z_c - log_sum_exp(z).

    Args:
        logits: shape (..., classes).

    Returns:
        float64 array of the same shape, never above 0.

    Source: as `softmax`. For learning; in a model use `keras.ops.log_softmax`.

    >>> log_softmax([0.0, -1000.0]).tolist()
    [0.0, -1000.0]
    """
    logits = _classes_last("logits", logits)
    return logits - log_sum_exp(logits)[..., None]


def softmax_jacobian(logits):
    """How each probability moves with each logit: dp_i / dz_j = p_i (1[i = j] - p_j).

    Args:
        logits: shape (..., classes).

    Returns:
        float64 array, shape (..., classes, classes): [..., i, j] is dp_i / dz_j. Every row sums to 0.

    Source: Bishop (2006), equation 4.106. For learning; in a model use `tf.GradientTape`.

    >>> softmax_jacobian([0.0, 0.0]).tolist()
    [[0.25, -0.25], [-0.25, 0.25]]
    """
    probabilities = softmax(logits)
    diagonal = probabilities[..., None] * np.eye(probabilities.shape[-1])
    return diagonal - probabilities[..., :, None] * probabilities[..., None, :]


def numerical_gradient(function, at, step=1e-6):
    """Slope by central differences: (f(x + step e_i) - f(x - step e_i)) / (2 step) for every entry i.

    Args:
        function: takes an array of the shape of `at`, returns a number.
        at: the point, an array of any shape.
        step: distance to either side; the error is of the order step^2 plus rounding / step.

    Returns:
        float64 array of the shape of `at`.

    Raises:
        ValueError: if `step` is not above 0 or `at` is empty or not finite.

    Source: Nocedal & Wright, Numerical Optimization (2006), section 8.1.
    For learning: it checks a gradient; training uses automatic differentiation.

    >>> numerical_gradient(lambda x: (x**2).sum(), [1.0, 3.0]).round(6).tolist()
    [2.0, 6.0]
    """
    at = _numbers("at", at)
    _require(step > 0, "step", step, "a number above 0")
    slopes = np.empty_like(at)
    for index in np.ndindex(at.shape):
        shift = np.zeros_like(at)
        shift[index] = step
        slopes[index] = (function(at + shift) - function(at - shift)) / (2 * step)
    return slopes


# A number to predict: squared error


def gaussian_negative_log_likelihood(targets, predictions, sigma=1.0):
    """Surprise at numbers that scatter around a prediction: mean of (y - f)^2 / (2 s^2) + log(2 pi s^2) / 2.

    For a fixed sigma only the first term depends on the predictions, so the most likely predictions are those
    of least squared error: this is where `mean_squared_error` comes from.

    Args:
        targets: observed numbers y, any shape.
        predictions: predicted means f, same shape.
        sigma: standard deviation s of the noise, in the unit of the targets.

    Returns:
        float, in nats.

    Raises:
        ValueError: if the shapes differ, values are not finite, or `sigma` is not above 0.

    Source: Bishop (2006), equation 3.11. For learning; in a model use `keras.losses.MeanSquaredError`.

    >>> round(gaussian_negative_log_likelihood([1.0], [1.0]), 4)
    0.9189
    """
    _require(sigma > 0, "sigma", sigma, "a standard deviation above 0")
    return mean_squared_error(targets, predictions) / (2 * sigma**2) + float(np.log(2 * np.pi * sigma**2) / 2)


def gaussian_negative_log_likelihood_gradient(targets, predictions, sigma=1.0):
    """Gradient in the predictions: (f - y) / (n s^2).

    Args:
        targets: observed numbers y, any shape.
        predictions: predicted means f, same shape.
        sigma: standard deviation s of the noise.

    Returns:
        float64 array of the same shape.

    Source: Bishop (2006), equation 3.13. For learning; in a model use `tf.GradientTape`.

    >>> gaussian_negative_log_likelihood_gradient([1.0], [3.0], sigma=2.0).tolist()
    [0.5]
    """
    _require(sigma > 0, "sigma", sigma, "a standard deviation above 0")
    return mean_squared_error_gradient(targets, predictions) / (2 * sigma**2)


def mean_squared_error(targets, predictions, sample_weights=None):
    """Mean of (f - y)^2, the part of the Gaussian's surprise that a prediction can change.

    Args:
        targets: observed numbers y, any shape; n is their count.
        predictions: predicted numbers f, same shape.
        sample_weights: optional weights of the same shape; the sum is still divided by n, as in Keras.

    Returns:
        float, in the squared unit of the targets.

    Raises:
        ValueError: if the shapes differ, values are not finite, or a weight is negative.

    Source: Bishop (2006), equation 3.12. For learning; in a model use `keras.losses.MeanSquaredError`.

    >>> mean_squared_error([1.0, 2.0], [1.0, 4.0])
    2.0
    """
    targets, predictions = _pair(targets, "predictions", predictions)
    return float((_shares(targets.shape, sample_weights) * (predictions - targets) ** 2).sum())


def mean_squared_error_gradient(targets, predictions, sample_weights=None):
    """Gradient in the predictions: 2 (f - y) / n.

    Args:
        targets: observed numbers y, any shape; n is their count.
        predictions: predicted numbers f, same shape.
        sample_weights: optional weights of the same shape.

    Returns:
        float64 array of the same shape.

    Source: Bishop (2006), equation 3.13. For learning; in a model use `tf.GradientTape`.

    >>> mean_squared_error_gradient([1.0, 2.0], [1.0, 4.0]).tolist()
    [0.0, 2.0]
    """
    targets, predictions = _pair(targets, "predictions", predictions)
    return 2 * _shares(targets.shape, sample_weights) * (predictions - targets)


# Yes or no: binary cross-entropy


def binary_cross_entropy(targets, probabilities, sample_weights=None, epsilon=1e-7):
    """Surprise at a yes or no, the Bernoulli's: mean of -(y log p + (1 - y) log(1 - p)).

    As in Keras, p is first clipped to [epsilon, 1 - epsilon], so that a confident mistake costs at most
    -log(epsilon) and the gradient beyond is zero: one more reason to start from logits.

    Args:
        targets: labels y, 0 or 1 (or probabilities between), any shape; n is their count.
        probabilities: predicted p of a 1, same shape.
        sample_weights: optional weights of the same shape; the sum is still divided by n, as in Keras.
        epsilon: the clip, above 0 and below 1/2.

    Returns:
        float, in nats.

    Raises:
        ValueError: if the shapes differ, or targets or probabilities lie outside [0, 1] (integer classes
            belong in `sparse_categorical_cross_entropy_from_logits`).

    Source: Bishop (2006), equation 4.90. For learning; in a model use `keras.losses.BinaryCrossentropy`.

    >>> round(binary_cross_entropy([1.0, 0.0], [0.5, 0.5]), 4)
    0.6931
    """
    targets, probabilities = _binary_pair(targets, probabilities, epsilon)
    likelihoods = targets * np.log(probabilities) + (1 - targets) * np.log(1 - probabilities)
    return -float((_shares(targets.shape, sample_weights) * likelihoods).sum())


def binary_cross_entropy_gradient(targets, probabilities, sample_weights=None, epsilon=1e-7):
    """Gradient in the probabilities: (p - y) / (p (1 - p) n), and 0 where p is clipped.

    Args:
        targets: labels y in [0, 1], any shape; n is their count.
        probabilities: predicted p of a 1, same shape.
        sample_weights: optional weights of the same shape.
        epsilon: the clip, above 0 and below 1/2.

    Returns:
        float64 array of the same shape.

    Source: derivative of Bishop (2006), equation 4.90. For learning; in a model use `tf.GradientTape`.

    >>> binary_cross_entropy_gradient([1.0, 0.0], [0.5, 0.5]).tolist()
    [-1.0, 1.0]
    """
    targets, clipped = _binary_pair(targets, probabilities, epsilon)
    slopes = (clipped - targets) / (clipped * (1 - clipped))
    return _shares(targets.shape, sample_weights) * slopes * (clipped == np.asarray(probabilities))


def binary_cross_entropy_from_logits(targets, logits, sample_weights=None):
    """The same surprise from logits: mean of log(1 + exp(z)) - y z. Nothing is clipped, nothing overflows.

    Args:
        targets: labels y, 0 or 1 (or probabilities between), any shape; n is their count.
        logits: z = log(p / (1 - p)), same shape.
        sample_weights: optional weights of the same shape; the sum is still divided by n, as in Keras.

    Returns:
        float, in nats.

    Raises:
        ValueError: if the shapes differ, targets lie outside [0, 1], or logits are not finite.

    Source: Bishop (2006), equations 4.59 and 4.90 combined.
    For learning; in a model use `keras.losses.BinaryCrossentropy(from_logits=True)`.

    >>> binary_cross_entropy_from_logits([1.0], [-800.0])
    800.0
    """
    targets, logits = _pair(targets, "logits", logits)
    _unit_interval("targets", targets)
    losses = np.logaddexp(0, logits) - targets * logits
    return float((_shares(targets.shape, sample_weights) * losses).sum())


def binary_cross_entropy_from_logits_gradient(targets, logits, sample_weights=None):
    """Gradient in the logits: (p - y) / n with p = sigmoid(z). The denominator p (1 - p) has cancelled.

    Args:
        targets: labels y in [0, 1], any shape; n is their count.
        logits: z, same shape.
        sample_weights: optional weights of the same shape.

    Returns:
        float64 array of the same shape.

    Source: Bishop (2006), equation 4.91. For learning; in a model use `tf.GradientTape`.

    >>> binary_cross_entropy_from_logits_gradient([1.0], [0.0]).tolist()
    [-0.5]
    """
    targets, logits = _pair(targets, "logits", logits)
    _unit_interval("targets", targets)
    return _shares(targets.shape, sample_weights) * (sigmoid(logits) - targets)


# One of many: categorical cross-entropy


def one_hot(labels, n_classes):
    """Turn class numbers into rows with a single 1.

    Args:
        labels: integers from 0 to n_classes - 1, any shape.
        n_classes: number of classes.

    Returns:
        float64 array, shape (*labels.shape, n_classes).

    Raises:
        ValueError: if labels are not whole numbers or lie outside the range; the first one is named.

    Source: Bishop (2006), section 4.3.4. For learning; in a model use `keras.ops.one_hot`.

    >>> one_hot([2, 0], 3).tolist()
    [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
    """
    return np.eye(n_classes)[_labels(labels, n_classes)]


def categorical_cross_entropy(targets, probabilities, sample_weights=None, epsilon=1e-7):
    """Surprise at one of many classes: mean over samples of -sum over classes of y_c log p_c.

    As in Keras, p is clipped to [epsilon, 1 - epsilon]. Keras first divides each row by its sum, which
    changes nothing for rows that sum to 1; here other rows are refused.

    Args:
        targets: shape (..., classes), each row one-hot or probabilities; n counts the rows.
        probabilities: predicted p, same shape, rows sum to 1.
        sample_weights: optional, shape (...,); the sum is still divided by n, as in Keras.
        epsilon: the clip, above 0 and below 1/2.

    Returns:
        float, in nats.

    Raises:
        ValueError: if the shapes differ, or a row is negative somewhere or does not sum to 1.

    Source: Bishop (2006), equation 4.108.
    For learning; in a model use `keras.losses.CategoricalCrossentropy`.

    >>> round(categorical_cross_entropy([[0, 1, 0]], [[0.25, 0.5, 0.25]]), 4)
    0.6931
    """
    targets, probabilities = _categorical_pair(targets, probabilities, epsilon)
    losses = -(targets * np.log(probabilities)).sum(axis=-1)
    return float((_shares(losses.shape, sample_weights) * losses).sum())


def categorical_cross_entropy_gradient(targets, probabilities, sample_weights=None, epsilon=1e-7):
    """Gradient in the probabilities: -y_c / (p_c n), and 0 where p is clipped.

    Keras' own gradient is larger by 1/n in every entry, because Keras divides each row by its sum. Both lead
    to the same gradient in the logits: the softmax takes no notice of a constant.

    Args:
        targets: shape (..., classes), each row one-hot or probabilities; n counts the rows.
        probabilities: predicted p, same shape, rows sum to 1.
        sample_weights: optional, shape (...,).
        epsilon: the clip, above 0 and below 1/2.

    Returns:
        float64 array, shape (..., classes).

    Source: derivative of Bishop (2006), equation 4.108. For learning; in a model use `tf.GradientTape`.

    >>> float(categorical_cross_entropy_gradient([[0, 1, 0]], [[0.25, 0.5, 0.25]])[0, 1])
    -2.0
    """
    targets, clipped = _categorical_pair(targets, probabilities, epsilon)
    shares = _shares(targets.shape[:-1], sample_weights)[..., None]
    inside = clipped == np.asarray(probabilities)
    return np.where(inside, -shares * targets / clipped, 0.0)


def categorical_cross_entropy_from_logits(targets, logits, sample_weights=None):
    """The same surprise from logits: mean over samples of log_sum_exp(z) - sum over classes of y_c z_c.

    Args:
        targets: shape (..., classes), each row one-hot or probabilities; n counts the rows.
        logits: z, same shape.
        sample_weights: optional, shape (...,); the sum is still divided by n, as in Keras.

    Returns:
        float, in nats.

    Raises:
        ValueError: if the shapes differ, a target row is no distribution, or logits are not finite.

    Source: Bishop (2006), equations 4.62 and 4.108 combined.
    For learning; in a model use `keras.losses.CategoricalCrossentropy(from_logits=True)`.

    >>> categorical_cross_entropy_from_logits([[1, 0]], [[-800.0, 0.0]])
    800.0
    """
    targets, logits = _pair(targets, "logits", logits)
    _distributions("targets", targets)
    losses = -(targets * log_softmax(logits)).sum(axis=-1)
    return float((_shares(losses.shape, sample_weights) * losses).sum())


def categorical_cross_entropy_from_logits_gradient(targets, logits, sample_weights=None):
    """Gradient in the logits: (p - y) / n with p = softmax(z).

    Args:
        targets: shape (..., classes), each row one-hot or probabilities; n counts the rows.
        logits: z, same shape.
        sample_weights: optional, shape (...,).

    Returns:
        float64 array, shape (..., classes); every row sums to 0.

    Source: Bishop (2006), equation 4.109. For learning; in a model use `tf.GradientTape`.

    >>> categorical_cross_entropy_from_logits_gradient([[1, 0]], [[0.0, 0.0]]).tolist()
    [[-0.5, 0.5]]
    """
    targets, logits = _pair(targets, "logits", logits)
    _distributions("targets", targets)
    return _shares(targets.shape[:-1], sample_weights)[..., None] * (softmax(logits) - targets)


def sparse_categorical_cross_entropy_from_logits(labels, logits, sample_weights=None):
    """The same surprise from class numbers: mean of log_sum_exp(z) - z[label]; no one-hot matrix is needed.

    Args:
        labels: integers from 0 to classes - 1, shape (...,).
        logits: z, shape (..., classes).
        sample_weights: optional, shape (...,); the sum is still divided by n, as in Keras.

    Returns:
        float, in nats.

    Raises:
        ValueError: if the shapes do not fit or a label is no class number; the first one is named.

    Source: Bishop (2006), equations 4.62 and 4.108 combined.
    For learning; in a model use `keras.losses.SparseCategoricalCrossentropy(from_logits=True)`.

    >>> round(sparse_categorical_cross_entropy_from_logits([1], [[0.0, 0.0]]), 4)
    0.6931
    """
    labels, logits = _sparse_pair(labels, logits)
    losses = -np.take_along_axis(log_softmax(logits), labels[..., None], axis=-1)[..., 0]
    return float((_shares(losses.shape, sample_weights) * losses).sum())


def sparse_categorical_cross_entropy_from_logits_gradient(labels, logits, sample_weights=None):
    """Gradient in the logits: (p - one_hot(label)) / n.

    Args:
        labels: integers from 0 to classes - 1, shape (...,).
        logits: z, shape (..., classes).
        sample_weights: optional, shape (...,).

    Returns:
        float64 array, shape (..., classes).

    Source: Bishop (2006), equation 4.109. For learning; in a model use `tf.GradientTape`.

    >>> sparse_categorical_cross_entropy_from_logits_gradient([1], [[0.0, 0.0]]).tolist()
    [[0.5, -0.5]]
    """
    labels, logits = _sparse_pair(labels, logits)
    targets = one_hot(labels, logits.shape[-1])
    return categorical_cross_entropy_from_logits_gradient(targets, logits, sample_weights)


# Rare classes and overconfidence


def balanced_class_weights(labels, n_classes):
    """Weights that give every class the same total: n / (classes * n_c), with n_c samples in class c.

    Pass `weights[labels]` as the `sample_weights` of a loss; the weighted mean over all samples then equals
    the mean over classes of each class's own mean.

    Args:
        labels: integers from 0 to n_classes - 1, shape (n,).
        n_classes: number of classes.

    Returns:
        float64 array, shape (n_classes,).

    Raises:
        ValueError: if a label is no class number, or a class has no sample.

    Source: King & Zeng, Logistic Regression in Rare Events Data (2001), with equal class shares.
    For learning; in a model pass them to `fit(class_weight=...)`.

    >>> balanced_class_weights([0, 0, 0, 1], 2).round(4).tolist()
    [0.6667, 2.0]
    """
    labels = _labels(labels, n_classes)
    counts = np.bincount(labels.ravel(), minlength=n_classes)
    if (counts == 0).any():
        missing = int(np.argmin(counts))
        raise ValueError(f"`labels`: class {missing} has no sample, so no weight: add samples, or drop it.")
    return labels.size / (n_classes * counts)


def smooth_labels(targets, smoothing, n_classes=None):
    """Move a share of the certainty to all classes: y (1 - s) + s / classes.

    The gradient of a cross-entropy with smoothed labels stays (p - y) / n, at the smoothed y.

    Args:
        targets: one-hot rows or probabilities, shape (..., classes); or binary labels of any shape.
        smoothing: the share s, from 0 to 1.
        n_classes: number of classes; by default the length of the last axis. Give 2 for binary labels.

    Returns:
        float64 array of the same shape.

    Raises:
        ValueError: if `smoothing` or a target lies outside [0, 1].

    Source: Szegedy et al. 2016, arXiv 1512.00567, section 7.
    For learning; in a model use `keras.losses.CategoricalCrossentropy(label_smoothing=...)`.

    >>> smooth_labels([[0, 1]], 0.2).round(4).tolist()
    [[0.1, 0.9]]
    """
    targets = _numbers("targets", targets)
    _unit_interval("targets", targets)
    _require(0 <= smoothing <= 1, "smoothing", smoothing, "a share from 0 to 1")
    classes = n_classes or _classes_last("targets", targets).shape[-1]
    return targets * (1 - smoothing) + smoothing / classes


def binary_focal_loss(targets, probabilities, gamma=2.0, alpha=None, epsilon=1e-7):
    """Cross-entropy that forgives easy samples: mean of -a_t (1 - p_t)^gamma log(p_t).

    p_t is the probability given to the label that occurred: p where y = 1, 1 - p where y = 0; a_t is alpha
    where y = 1 and 1 - alpha where y = 0. With gamma = 0 and no alpha it is the binary cross-entropy.

    Args:
        targets: labels y, 0 or 1, any shape; n is their count.
        probabilities: predicted p of a 1, same shape.
        gamma: how strongly easy samples are forgiven, 0 or more.
        alpha: optional weight of the ones, from 0 to 1 (Keras: `apply_class_balancing=True, alpha=alpha`).
        epsilon: the clip of p, above 0 and below 1/2.

    Returns:
        float, in nats (weighted).

    Raises:
        ValueError: if the shapes differ, targets are not 0 or 1, probabilities lie outside [0, 1], or gamma
            or alpha is out of range.

    Source: Lin et al. 2017, arXiv 1708.02002, equation 5.
    For learning; in a model use `keras.losses.BinaryFocalCrossentropy`.

    >>> round(binary_focal_loss([1.0], [0.5], gamma=1.0), 4)
    0.3466
    """
    targets, probabilities = _binary_pair(targets, probabilities, epsilon)
    weights = _focal_weights(targets, gamma, alpha)
    likelihood = np.where(targets == 1, probabilities, 1 - probabilities)
    return float((-weights * (1 - likelihood) ** gamma * np.log(likelihood)).mean())


def binary_focal_loss_gradient(targets, probabilities, gamma=2.0, alpha=None, epsilon=1e-7):
    """Gradient in p: +-a_t (gamma (1 - p_t)^(gamma - 1) log(p_t) - (1 - p_t)^gamma / p_t) / n; + where y = 1.

    Args:
        targets: labels y, 0 or 1, any shape; n is their count.
        probabilities: predicted p of a 1, same shape.
        gamma: how strongly easy samples are forgiven, 0 or more.
        alpha: optional weight of the ones, from 0 to 1.
        epsilon: the clip of p, above 0 and below 1/2; the gradient is 0 where p is clipped.

    Returns:
        float64 array of the same shape.

    Source: derivative of Lin et al. 2017, equation 5. For learning; in a model use `tf.GradientTape`.

    >>> binary_focal_loss_gradient([1.0], [0.5], gamma=0.0).tolist()
    [-2.0]
    """
    targets, clipped = _binary_pair(targets, probabilities, epsilon)
    weights = _focal_weights(targets, gamma, alpha)
    likelihood = np.where(targets == 1, clipped, 1 - clipped)
    miss = 1 - likelihood
    slopes = gamma * miss ** (gamma - 1) * np.log(likelihood) - miss**gamma / likelihood
    inside = clipped == np.asarray(probabilities)
    return (2 * targets - 1) * weights * slopes * inside / targets.size


def binary_focal_loss_from_logits(targets, logits, gamma=2.0, alpha=None):
    """The focal loss from logits: p_t = sigmoid(+-z), + where y = 1. Nothing is clipped.

    Args:
        targets: labels y, 0 or 1, any shape; n is their count.
        logits: z, same shape.
        gamma: how strongly easy samples are forgiven, 0 or more.
        alpha: optional weight of the ones, from 0 to 1.

    Returns:
        float, in nats (weighted).

    Raises:
        ValueError: if the shapes differ, targets are not 0 or 1, or gamma or alpha is out of range.

    Source: Lin et al. 2017, arXiv 1708.02002, equation 5 and appendix B.
    For learning; in a model use `keras.losses.BinaryFocalCrossentropy(from_logits=True)`.

    >>> round(binary_focal_loss_from_logits([1.0], [0.0], gamma=1.0), 4)
    0.3466
    """
    targets, logits = _pair(targets, "logits", logits)
    weights = _focal_weights(targets, gamma, alpha)
    toward_label = (2 * targets - 1) * logits
    return float((-weights * sigmoid(-toward_label) ** gamma * _log_sigmoid(toward_label)).mean())


def binary_focal_loss_from_logits_gradient(targets, logits, gamma=2.0, alpha=None):
    """Gradient in the logits: +-a_t (1 - p_t)^gamma (gamma p_t log(p_t) + p_t - 1) / n; + where y = 1.

    Args:
        targets: labels y, 0 or 1, any shape; n is their count.
        logits: z, same shape.
        gamma: how strongly easy samples are forgiven, 0 or more.
        alpha: optional weight of the ones, from 0 to 1.

    Returns:
        float64 array of the same shape.

    Source: Lin et al. 2017, arXiv 1708.02002, appendix B. For learning; in a model use `tf.GradientTape`.

    >>> binary_focal_loss_from_logits_gradient([1.0], [0.0], gamma=0.0).tolist()
    [-0.5]
    """
    targets, logits = _pair(targets, "logits", logits)
    weights = _focal_weights(targets, gamma, alpha)
    sign = 2 * targets - 1
    likelihood, miss = sigmoid(sign * logits), sigmoid(-sign * logits)
    slopes = miss**gamma * (gamma * likelihood * _log_sigmoid(sign * logits) - miss)
    return sign * weights * slopes / targets.size


# Carrying weights over: the pull to the source


def l2_sp(weights, source_weights, strength):
    """Penalty for leaving the source model: strength * ||theta - theta_source||^2.

    Add it to the loss of the target task. The paper writes alpha / 2 for `strength`; its second term,
    ordinary weight decay of the new head, is the same function with `source_weights` of zeros.

    Args:
        weights: theta, an array of any shape.
        source_weights: the weights that training started from, same shape.
        strength: 0 or more; 0 is plain fine-tuning, a very large one keeps the source model.

    Returns:
        float.

    Raises:
        ValueError: if the shapes differ, values are not finite, or `strength` is negative.

    Source: Li, Grandvalet & Davoine 2018, arXiv 1802.01483, section 3.
    For learning; in a model write it as a `keras.regularizers.Regularizer`.

    >>> l2_sp([1.0, 2.0], [1.0, 0.0], strength=0.5)
    2.0
    """
    return float(strength * (_distance(weights, source_weights, strength) ** 2).sum())


def l2_sp_gradient(weights, source_weights, strength):
    """Gradient in the weights: 2 strength (theta - theta_source), a spring that pulls back to the source.

    Args:
        weights: theta, an array of any shape.
        source_weights: the weights that training started from, same shape.
        strength: 0 or more.

    Returns:
        float64 array of the same shape.

    Source: derivative of Li et al. 2018, section 3. For learning; in a model use `tf.GradientTape`.

    >>> l2_sp_gradient([1.0, 2.0], [1.0, 0.0], strength=0.5).tolist()
    [0.0, 2.0]
    """
    return 2 * strength * _distance(weights, source_weights, strength)


# What the functions above share: checks that say what to do


def _log_sigmoid(logits):
    return -np.logaddexp(0, -logits)


def _require(holds, name, found, expected):
    if not holds:
        raise ValueError(f"`{name}` is {found}; expected {expected}.")


def _no_place(wrong, name, values, expected, verb="is"):
    """Raise at the first place where `wrong` is true."""
    if wrong.any():
        where = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise ValueError(f"`{name}` at {where} {verb} {values[where]:.4g}; expected {expected}.")


def _numbers(name, values):
    """Values as a float64 array that is not empty and all finite."""
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"`{name}` is no array of numbers ({error}); pass a list of them.") from error
    _require(array.size > 0, name, "empty", "at least one value")
    _no_place(~np.isfinite(array), name, array, "a finite number (repair it, or drop its sample)")
    return array


def _classes_last(name, values):
    array = _numbers(name, values)
    _require(array.ndim > 0, name, "a single number", "an array whose last axis is the classes")
    return array


def _pair(targets, name, values):
    targets, values = _numbers("targets", targets), _numbers(name, values)
    _require(
        targets.shape == values.shape, name, f"of shape {values.shape}",
        f"{targets.shape}, the shape of `targets`: reshape one to the other",
    )
    return targets, values


def _unit_interval(name, values):
    outside = (values < 0) | (values > 1)
    _no_place(
        outside, name, values, "0 to 1 (integer classes go to sparse_categorical_cross_entropy_from_logits, "
        "logits to a ..._from_logits function)",
    )


def _distributions(name, rows):
    """Rows of the last axis are not negative and sum to 1."""
    _classes_last(name, rows)
    _no_place(rows < 0, name, rows, "0 or more, as every probability (logits go to a ..._from_logits one)")
    sums = rows.sum(axis=-1)
    _no_place(
        np.abs(sums - 1) > _ROW_TOLERANCE, name, sums,
        "1 (encode class numbers with one_hot, turn logits into probabilities with softmax)", verb="sums to",
    )


def _clip(probabilities, epsilon):
    _require(0 < epsilon < 0.5, "epsilon", epsilon, "a number above 0 and below 1/2")
    return np.clip(probabilities, epsilon, 1 - epsilon)


def _binary_pair(targets, probabilities, epsilon):
    targets, probabilities = _pair(targets, "probabilities", probabilities)
    _unit_interval("targets", targets)
    _unit_interval("probabilities", probabilities)
    return targets, _clip(probabilities, epsilon)


def _categorical_pair(targets, probabilities, epsilon):
    targets, probabilities = _pair(targets, "probabilities", probabilities)
    _distributions("targets", targets)
    _distributions("probabilities", probabilities)
    return targets, _clip(probabilities, epsilon)


def _labels(labels, n_classes):
    numbers = _numbers("labels", labels)
    wrong = (numbers < 0) | (numbers >= n_classes) | (numbers != np.floor(numbers))
    _no_place(
        wrong, "labels", numbers,
        f"a whole number from 0 to {n_classes - 1} (renumber the classes, or widen the logits)",
    )
    return numbers.astype(np.int64)


def _sparse_pair(labels, logits):
    logits = _classes_last("logits", logits)
    labels = _labels(labels, logits.shape[-1])
    _require(
        labels.shape == logits.shape[:-1], "labels", f"of shape {labels.shape}",
        f"{logits.shape[:-1]}, one label for a row of `logits`",
    )
    return labels, logits


def _shares(shape, sample_weights):
    """What each sample counts for in the mean: weight / n."""
    count = int(np.prod(shape))
    if sample_weights is None:
        return np.full(shape, 1 / count)
    weights = _numbers("sample_weights", sample_weights)
    _require(weights.shape == shape, "sample_weights", f"of shape {weights.shape}", f"{shape}, one a sample")
    _no_place(weights < 0, "sample_weights", weights, "a weight of 0 or more")
    return weights / count


def _focal_weights(targets, gamma, alpha):
    _no_place((targets != 0) & (targets != 1), "targets", targets, "0 or 1, the focal loss's only labels")
    _require(gamma >= 0, "gamma", gamma, "0 or more")
    _require(alpha is None or 0 <= alpha <= 1, "alpha", alpha, "None or a weight from 0 to 1")
    return np.ones_like(targets) if alpha is None else np.where(targets == 1, alpha, 1 - alpha)


def _distance(weights, source_weights, strength):
    _require(strength >= 0, "strength", strength, "0 or more")
    weights, source_weights = _numbers("weights", weights), _numbers("source_weights", source_weights)
    _require(
        weights.shape == source_weights.shape, "source_weights", f"of shape {source_weights.shape}",
        f"{weights.shape}, the shape of `weights` (leave out layers that the source does not have)",
    )
    return weights - source_weights
