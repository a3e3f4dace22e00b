"""The exercises of notebook 02: counts, a thinned-out log, and the loss of knowing nothing."""

import numpy as np

from helpers.course.exercises import Exercise, Misconception, Option, Question, Quiz, agrees, near

_VISITS = ((np.array([0.0, 3.0, 1.0, 7.0]), np.array([-0.5, 1.0, 0.2, 1.5])),)  # counts, logits
_THINNED = tuple((q, kept) for q in (0.05, 0.3, 0.5, 0.9) for kept in (0.1, 0.25, 1.0))
COUPON_SHARE = 9827 / 155848


def _poisson(y, z):
    return (np.exp(z) - y) / len(y)


def _undo(q, kept):
    return q * kept / (q * kept + 1 - q)


def _example(function):
    """A known wrong answer that a reader would write: the same formula as a function of its own."""
    return lambda *values: function(*values)


poisson_gradient = Exercise(
    answer="poisson_gradient",
    correct=agrees(_poisson, _VISITS),
    because="The mean surprise is the mean of `exp(z) - y z + log(y!)`; the last term does not contain z. "
    "What is left is predicted count minus observed count, divided by n: p - y once more.",
    misconceptions=(
        Misconception(
            "The sign is turned: that is the gradient of the likelihood, which rises where the loss falls.",
            agrees(lambda y, z: -_poisson(y, z), _VISITS),
            example=_example(lambda y, z: -_poisson(y, z)),
        ),
        Misconception(
            "You took z itself for the predicted count. The model predicts `exp(z)`; its derivative in z is "
            "`exp(z)` too.",
            agrees(lambda y, z: (z - y) / len(y), _VISITS),
            example=_example(lambda y, z: (z - y) / len(y)),
        ),
        Misconception(
            "Right for each visit, but the loss is a mean over n visits, so each counts for 1/n.",
            agrees(lambda y, z: np.exp(z) - y, _VISITS),
            example=_example(lambda y, z: np.exp(z) - y),
        ),
        Misconception(
            "That is the derivative in the count `f = exp(z)`, which is 1 - y/f. The chain rule's second "
            "factor, df/dz = f, is missing.",
            agrees(lambda y, z: (1 - y / np.exp(z)) / len(y), _VISITS),
            example=_example(lambda y, z: (1 - y / np.exp(z)) / len(y)),
        ),
        Misconception(
            "The observed counts are missing: a gradient that does not look at the data cannot learn from it.",
            agrees(lambda y, z: np.exp(z) / len(y), _VISITS),
            example=_example(lambda y, z: np.exp(z) / len(y)),
        ),
    ),
    hints=(
        "Take minus the logarithm of the formula: a product becomes a sum of three terms.",
        "Which of the three terms contain z? Their derivatives are `exp(z)` and `-y`.",
        "Check yourself: `losses.numerical_gradient` of the mean of `np.exp(z) - y * z` must agree.",
    ),
    solution="def poisson_gradient(y, z):\n    return (np.exp(z) - y) / len(y)\n",
    given={"np": np},
)

true_probability = Exercise(
    answer="true_probability",
    correct=agrees(_undo, _THINNED),
    because="Keeping a share r of the non-purchases divides their number by 1/r, so the model's odds are "
    "1/r times the true odds. Multiply its odds by r, and turn the odds into a probability again.",
    misconceptions=(
        Misconception(
            "You multiplied the probability. It is the odds that are stretched: with `kept = 0.1`, a model "
            "that says 1 would be corrected to 0.1, although nothing is more certain than 1.",
            agrees(lambda q, kept: q * kept, _THINNED),
            example=_example(lambda q, kept: q * kept),
        ),
        Misconception(
            "That is the other direction: it makes the purchases even more frequent. They are too frequent "
            "already, since only non-purchases were thrown away.",
            agrees(lambda q, kept: q / (q + kept * (1 - q)), _THINNED),
            example=_example(lambda q, kept: q / (q + kept * (1 - q))),
        ),
        Misconception(
            "These are odds, purchases for one non-purchase. A probability is odds / (1 + odds).",
            agrees(lambda q, kept: kept * q / (1 - q), _THINNED),
            example=_example(lambda q, kept: kept * q / (1 - q)),
        ),
        Misconception(
            "You left the probability as it is. It is right for the thinned-out log, and far too high for "
            "the customers, who were not thinned out.",
            agrees(lambda q, kept: q + 0 * kept, _THINNED),
            example=_example(lambda q, kept: q),
        ),
    ),
    hints=(
        "Write the model's answer as odds: purchases for one non-purchase, q / (1 - q).",
        "Ten times as many non-purchases make the odds ten times as small.",
        "From odds o back to a probability: o / (1 + o).",
    ),
    solution="def true_probability(q, kept):\n"
    "    odds = kept * q / (1 - q)\n"
    "    return odds / (1 + odds)\n",
)

_ENTROPY = -(COUPON_SHARE * np.log(COUPON_SHARE) + (1 - COUPON_SHARE) * np.log(1 - COUPON_SHARE))

floor = Exercise(
    answer="floor",
    correct=near(_ENTROPY, 0.0015),
    because="The best constant is the share itself, and its mean surprise is the entropy of that share. "
    "A model whose loss is not below it has learned nothing that the share did not say.",
    misconceptions=(
        Misconception(
            "That is log 2, the loss of answering 1/2 to everything. The share alone does much better.",
            near(np.log(2), 0.0015),
            example=np.log(2),
        ),
        Misconception(
            "That is the surprise at a coupon only. Most baskets have none, and surprise little: weigh the "
            "two kinds of surprise by how often they occur.",
            near(-np.log(COUPON_SHARE), 0.0015),
            example=-np.log(COUPON_SHARE),
        ),
        Misconception(
            "That is the rate of errors of always answering no, not a surprise: the loss asks how much "
            "probability the truth was given.",
            near(COUPON_SHARE, 0.0015),
            example=COUPON_SHARE,
        ),
        Misconception(
            "Right, but in bits: you used the logarithm to base 2. Keras, and this course, count in nats.",
            near(_ENTROPY / np.log(2), 0.0015),
            example=_ENTROPY / np.log(2),
        ),
        Misconception(
            "You forgot the baskets without a coupon: they surprise too, a little each, and there are many.",
            near(-COUPON_SHARE * np.log(COUPON_SHARE), 0.0015),
            example=-COUPON_SHARE * np.log(COUPON_SHARE),
        ),
    ),
    hints=(
        "Which constant is best? The first picture of this notebook answers it.",
        "Put p = share into the binary cross-entropy; a share of the labels is 1, the rest is 0.",
        "`losses.binary_cross_entropy(coupon, np.full(len(coupon), ...))` computes it from the labels.",
    ),
    solution="floor = -(share * np.log(share) + (1 - share) * np.log(1 - share))",
    given={"np": np, "share": COUPON_SHARE},
)

quiz = Quiz((
    Question("A network with 50 classes has just been initialized and has learned nothing. Its loss should be about", (
        Option("log 50 = 3.9", "It gives every class about 1/50, and -log(1/50) = log 50. A first loss far "
               "from it is a sign of a mistake.", correct=True),
        Option("1/50 = 0.02", "That is the probability that it gives to the truth; the loss is minus its "
               "logarithm. A mean over classes, too, would give a number as small as this."),
        Option("log 2 = 0.69", "That is the loss of knowing nothing about a yes or no."),
    )),
    Question("Squared error fits best when the observed numbers", (
        Option("lie between 0 and 1", "The range says little; a yes or no lies there too, and has another "
               "likelihood."),
        Option("scatter around the prediction like a bell, equally wide everywhere", "Minus the logarithm of "
               "that bell is a parabola in the error.", correct=True),
        Option("have outliers, which must not be ignored", "Squaring an outlier's error makes it rule the "
               "fit. Heavy tails ask for another loss, such as the absolute error."),
    )),
    Question("A loss went to -300 during training. What is the first thing to look at?", (
        Option("The learning rate", "Too large a rate makes a loss explode upward; it cannot carry a "
               "cross-entropy below zero, where a surprise never is."),
        Option("Whether labels and loss belong together", "A cross-entropy is a surprise, and so at least 0, "
               "as long as the labels are probabilities. Class numbers in a binary loss are not.", correct=True),
        Option("Nothing, lower is better", "A number that cannot be a surprise is no better, only wrong."),
    )),
    Question("Class weights of 16 to 1 were used in training. The model says 0.5. The truth is nearer to", (
        Option("0.5", "That would hold if both classes had been weighted alike."),
        Option("0.06", "The odds were multiplied by 16: what looks like 1 to 1 is 1 to 16, a probability of 1/17.", correct=True),
        Option("0.94", "That would be the odds multiplied once more, instead of divided."),
    )),
    Question("Which of these can be repaired after training, without training again?", (
        Option("The calibration that class weights destroyed", "Subtract the logarithm of the weight from "
               "the logits.", correct=True),
        Option("A sigmoid where a softmax over ten classes was needed", "The one number that it puts out does "
               "not hold the nine that are missing."),
        Option("Gradients that vanished behind the clip of a probability", "What was not learned is not in "
               "the weights; train again, from logits."),
    )),
    Question("What does the pull to the source weights become as its strength grows without bound?", (
        Option("Ordinary weight decay", "That would pull to zero, not to the source."),
        Option("Training from scratch", "That is close to the other end: strength 0, where only the data speak."),
        Option("Direct transfer: the source model as it is", "Every step away costs more than the data can "
               "pay.", correct=True),
    )),
))
