"""The exercises of notebook 03: the largest stable rate, steps without correction, and how slowly weights decay."""

import numpy as np
from sklearn.datasets import load_diabetes

from helpers.course.exercises import Exercise, Misconception, Option, Question, Quiz, agrees, near


def _diabetes_features():
    raw = load_diabetes(scaled=False).data
    return (raw - raw.mean(axis=0)) / raw.std(axis=0)


FEATURES = _diabetes_features()
_CURVATURES = np.linalg.eigvalsh(FEATURES.T @ FEATURES / len(FEATURES))


def _about(value, relative=0.01):
    return lambda answer: abs(answer - value) <= relative * abs(value)


largest_rate = Exercise(
    answer="largest_rate",
    correct=_about(2 / _CURVATURES[-1]),
    because="Along the steepest direction every step multiplies the error by 1 minus rate times curvature, and "
    "beyond 2 / the largest curvature that is below -1. The other nine directions would bear more, but share "
    "the rate.",
    misconceptions=(
        Misconception(
            "That is 1 / the largest curvature. There the steepest direction jumps straight to its floor; a "
            "rate up to twice as large still shrinks the error, overshooting each time.",
            _about(1 / _CURVATURES[-1]),
            example=1 / _CURVATURES[-1],
        ),
        Misconception(
            "You took the smallest curvature. The flattest direction would bear this rate, but the steepest "
            "one flies out long before.",
            _about(2 / _CURVATURES[0]),
            example=2 / _CURVATURES[0],
        ),
        Misconception(
            "You left out the division by n. The loss is a mean over the patients, so its curvature is that "
            "of `X.T @ X / n`.",
            _about(2 / (_CURVATURES[-1] * len(FEATURES))),
            example=2 / (_CURVATURES[-1] * len(FEATURES)),
        ),
        Misconception(
            "That is the largest curvature itself. The larger it is, the smaller the rate must be: divide by "
            "it.",
            _about(_CURVATURES[-1]),
            example=_CURVATURES[-1],
        ),
        Misconception(
            "That is the largest curvature over the smallest. It says how long the flat direction has to wait, "
            "not where the steep one breaks.",
            _about(_CURVATURES[-1] / _CURVATURES[0]),
            example=_CURVATURES[-1] / _CURVATURES[0],
        ),
    ),
    hints=(
        "In the ravine the limit was 2 / 100. Which number of the diabetes data plays the part of 100?",
        "`np.linalg.eigvalsh(features.T @ features / len(features))` gives ten curvatures. Which one limits the "
        "rate?",
    ),
    solution="import numpy as np\n\n"
    "curvatures = np.linalg.eigvalsh(features.T @ features / len(features))\n"
    "largest_rate = 2 / curvatures.max()\n",
    given={"features": FEATURES},
)

_SETTINGS = ((1, 0.9, 0.999), (12, 0.9, 0.999), (1, 0.9, 0.99), (5, 0.5, 0.95), (300, 0.9, 0.999))


def _factor(t, beta_1, beta_2):
    return (1 - beta_1**t) / np.sqrt(1 - beta_2**t)


def _without_root(t, beta_1, beta_2):
    return (1 - beta_1**t) / (1 - beta_2**t)


def _inverse(t, beta_1, beta_2):
    return np.sqrt(1 - beta_2**t) / (1 - beta_1**t)


def _first_step_always(t, beta_1, beta_2):
    return (1 - beta_1) / np.sqrt(1 - beta_2)


def _only_numerator(t, beta_1, beta_2):
    return 1 - beta_1**t


too_long_by = Exercise(
    answer="too_long_by",
    correct=agrees(_factor, _SETTINGS),
    because="The average of the gradients is short by 1 - beta_1^t, the root of the average of their squares by "
    "sqrt(1 - beta_2^t), and the step is one over the other. With beta_2 = 0.99 the first step is 0.1 / "
    "sqrt(0.01) = 1: just right, by accident. Step 5 is 1.85 times too long all the same.",
    misconceptions=(
        Misconception(
            "You forgot the root: the step divides by the square root of the average of squares. Yours says "
            "100 for the usual first step.",
            agrees(_without_root, _SETTINGS),
            example=_without_root,
        ),
        Misconception(
            "Upside down: this is by how much the correction shortens the step. You were asked how much too "
            "long it is without.",
            agrees(_inverse, _SETTINGS),
            example=_inverse,
        ),
        Misconception(
            "Right for the first step, but it does not depend on t. After t steps the weights of the average "
            "sum to 1 - beta^t.",
            agrees(_first_step_always, _SETTINGS),
            example=_first_step_always,
        ),
        Misconception(
            "That is the numerator alone. The denominator starts at zero too, and is hurt more.",
            agrees(_only_numerator, _SETTINGS),
            example=_only_numerator,
        ),
    ),
    hints=(
        "If every gradient is g, what is m after t steps? Use the boxed formula; and what is v?",
        "m = (1 - beta_1^t) g and v = (1 - beta_2^t) g^2. The intended step has length 1.",
    ),
    solution="import numpy as np\n\n\n"
    "def too_long_by(t, beta_1, beta_2):\n"
    "    return (1 - beta_1**t) / np.sqrt(1 - beta_2**t)\n",
)

_HALF = np.log(0.5) / np.log(1 - 0.001 * 0.1)

steps_to_half = Exercise(
    answer="steps_to_half",
    correct=near(_HALF, 2),
    because="Each step keeps 1 - 0.001 * 0.1 = 0.9999 of the weight, and 0.9999^t = 0.5 at t = ln 0.5 / ln 0.9999. "
    "Adam's own step is zero, since the gradient is. Halve the learning rate and it takes twice as long: in "
    "Keras the decay follows the rate, and so also its schedule.",
    misconceptions=(
        Misconception(
            "You let the weight shrink by 0.1 a step. Keras multiplies the decay by the learning rate: 0.0001 "
            "a step.",
            lambda answer: 6 <= answer <= 7,
            example=np.log(0.5) / np.log(0.9),
        ),
        Misconception(
            "You used the learning rate alone. The share lost in a step is learning rate times weight decay.",
            near(np.log(0.5) / np.log(0.999), 2),
            example=np.log(0.5) / np.log(0.999),
        ),
        Misconception(
            "You subtracted 0.0001 of the *first* size each time. It is a share of the current size, so the "
            "loss slows down.",
            near(5000, 2),
            example=5000,
        ),
        Misconception(
            "After 1 / 0.0001 steps the weight is at 1/e, 37 %, of its size. For a half it takes ln 2 = 0.69 of "
            "that.",
            near(10_000, 2),
            example=10_000,
        ),
    ),
    hints=(
        "By which factor does one step multiply the weight?",
        "Solve 0.9999^t = 0.5 for t: take logarithms.",
    ),
    solution="import numpy as np\n\nsteps_to_half = np.log(0.5) / np.log(1 - 0.001 * 0.1)\n",
)

quiz = Quiz((
    Question("Gradient descent zigzags across a ravine. What sets its largest usable rate?", (
        Option("the curvature along the floor", "The flat direction would bear a far larger rate; it is the one "
               "that has to wait."),
        Option("the curvature across, where it is steepest", "Above 2 / curvature the error grows there, "
               "whatever happens along the floor.", correct=True),
        Option("how far away the minimum is", "On a quadratic the error is multiplied by the same factor at any "
               "distance."),
    )),
    Question("Your gradient is too noisy. You make the minibatch four times as large. The noise is then", (
        Option("a quarter", "Its variance is. The standard deviation, which is what a step feels, is the root "
               "of that."),
        Option("half", "The standard deviation falls with the root of the number of examples.", correct=True),
        Option("the same, but without bias", "It was without bias before: a minibatch drawn at random is right "
               "on average at any size."),
    )),
    Question("A colleague's Adam lacks both bias corrections (usual betas). Its first steps are", (
        Option("too short, because both averages start at zero", "True of the average of gradients alone. The "
               "step divides by the root of the other average, which is hurt more."),
        Option("as long as they should be: the zeros cancel", "They would if 1 - beta_1 were the root of 1 - "
               "beta_2, as with 0.9 and 0.99, and then only at the first step."),
        Option("too long: 3 times at first, more than 6 times at step 12", "0.1 / sqrt(0.001) = 3.16, and the "
               "average of gradients recovers before that of the squares does.", correct=True),
    )),
    Question("All gradients are multiplied by 10. With Adam the steps become", (
        Option("10 times as long", "That is gradient descent. Adam divides by the size of the gradients."),
        Option("practically the same", "m and the root of v both grow tenfold; only epsilon, far smaller, does "
               "not.", correct=True),
        Option("a tenth as long", "v grows a hundredfold, but its root only tenfold, and m tenfold too."),
    )),
    Question("With an L2 penalty in Adam's loss, which weights are hardly pulled to zero?", (
        Option("those with large gradients", "The pull is divided by the root of v with all the rest, and v is "
               "large there. AdamW keeps the decay out of the division.", correct=True),
        Option("those with small gradients", "There the division makes the pull of the penalty stronger."),
        Option("none: L2 is weight decay", "For gradient descent it is; Adam rescales it weight by weight."),
    )),
    Question("Fine-tuning wanted a smaller rate than training from scratch. Which measurement explains it?", (
        Option("the gradients of a trained model are smaller", "They may be, but Adam divides by their size: "
               "both models moved about as far at the same rate."),
        Option("at a given rate Adam moves both equally far, and only one has far to go", "The rate is a leash. "
               "A long one leads the fine-tuned model away from what it knew.", correct=True),
        Option("its validation data were easier", "Both were judged on the same sessions."),
    )),
))
