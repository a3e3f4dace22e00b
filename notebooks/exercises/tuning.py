"""The exercises of notebook 09: the winner's luck on shared visits, a bracket's epochs, a fair report."""

import numpy as np
import pandas as pd

from helpers.course.exercises import Exercise, Misconception, Option, Question, Quiz, agrees, near

_SHARED = 0.02 * np.sqrt(0.1 / np.pi)

winners_luck = Exercise(
    answer="winners_luck",
    correct=near(_SHARED, 1e-4),
    because="The difference of the two errors has a variance of 2 (1 - 0.9) 0.02^2: the common part drops out, and "
    "cannot make a winner.",
    misconceptions=(
        Misconception(
            "Each score alone is right on average; the larger of two is not, unless their errors are equal.",
            near(0.0, 1e-6),
            example=0.0,
        ),
        Misconception(
            "That is the luck of independent errors. Here most of the error is common to both scores.",
            near(0.02 / np.sqrt(np.pi), 2e-4),
            example=0.02 / np.sqrt(np.pi),
        ),
        Misconception(
            "You took the common part for the part that differs: the difference has a variance of 2 (1 - 0.9) 0.02^2.",
            near(0.02 * np.sqrt(0.9 / np.pi), 2e-4),
            example=0.02 * np.sqrt(0.9 / np.pi),
        ),
        Misconception(
            "That is the mean distance between the two scores. The larger one is half of it above their mean.",
            near(2 * _SHARED, 1e-4),
            example=2 * _SHARED,
        ),
        Misconception(
            "The variance of the difference shrinks by 1 - 0.9; its standard deviation by the root of that.",
            near(0.002 / np.sqrt(np.pi), 1e-4),
            example=0.002 / np.sqrt(np.pi),
        ),
        Misconception(
            "You scored against the wrong middle: report how far the winner's score lies above 0.40.",
            near(0.40 + _SHARED, 1e-4),
            example=0.40 + _SHARED,
        ),
    ),
    hints=(
        "Only the difference of the two errors decides who wins. What is its standard deviation?",
        "To simulate: an error is sqrt(0.9) times a common normal number plus sqrt(0.1) times one of its own, times 0.02.",
    ),
    solution="import numpy as np\n\n"
    "random = np.random.default_rng(0)\n"
    "common, own = random.normal(size=(1_000_000, 1)), random.normal(size=(1_000_000, 2))\n"
    "errors = 0.02 * (np.sqrt(0.9) * common + np.sqrt(0.1) * own)\n"
    "winners_luck = errors.max(axis=1).mean()\n",
)

_BRACKETS = (([6, 2], [4, 15]), ([9, 3, 1], [1, 3, 9]), ([3], [15]), ([8, 4, 2], [2, 6, 20]))


def _bracket(sizes, upto):
    done, total = 0, 0
    for size, epochs in zip(sizes, upto, strict=True):
        total += size * (epochs - done)
        done = epochs
    return total


def _anew(sizes, upto):
    return sum(size * epochs for size, epochs in zip(sizes, upto, strict=True))


def _all_to_the_end(sizes, upto):
    return sizes[0] * upto[-1]


def _only_the_last(sizes, upto):
    return sizes[-1] * upto[-1]


bracket_epochs = Exercise(
    answer="bracket_epochs",
    correct=agrees(_bracket, _BRACKETS, rtol=0, atol=0),
    because="What goes on keeps its weights, so a round costs only the epochs that it adds.",
    misconceptions=(
        Misconception(
            "You let the survivors start anew in each round. They go on from their weights: only new epochs cost.",
            agrees(_anew, _BRACKETS, rtol=0, atol=0),
            example=_anew,
        ),
        Misconception(
            "That is random search, where every training goes on to the end.",
            agrees(_all_to_the_end, _BRACKETS, rtol=0, atol=0),
            example=_all_to_the_end,
        ),
        Misconception(
            "Those that were stopped early have cost something too.",
            agrees(_only_the_last, _BRACKETS, rtol=0, atol=0),
            example=_only_the_last,
        ),
    ),
    hints=(
        "How many epochs are new in the second round of `[6, 2]`, `[4, 15]`?",
        "Each of the 2 trains 15 - 4 epochs more.",
    ),
    solution="def bracket_epochs(sizes, upto):\n"
    "    before = [0, *upto[:-1]]\n"
    "    return sum(n * (end - start) for n, start, end in zip(sizes, before, upto))\n",
)

_TABLES = tuple((pd.DataFrame({"validation": v, "test": t}, index=i),) for v, t, i in (
    ([0.3, 0.5, 0.4], [0.36, 0.37, 0.41], [0, 1, 2]), ([0.2, 0.1], [0.1, 0.3], [7, 9]),
    ([0.31, 0.33, 0.32, 0.3], [0.33, 0.32, 0.35, 0.31], [3, 2, 1, 0])))


def _fair(trials):
    return trials["test"].iloc[trials["validation"].to_numpy().argmax()]


def _best_test(trials):
    return trials["test"].max()


def _validation_of_the_winner(trials):
    return trials["validation"].max()


def _mean_test(trials):
    return trials["test"].mean()


report = Exercise(
    answer="report",
    correct=agrees(_fair, _TABLES),
    because="Validation chooses, test judges what was chosen, and nothing else.",
    misconceptions=(
        Misconception(
            "The best test score is chosen by the test: it is too good by the winner's luck.",
            agrees(_best_test, _TABLES),
            example=_best_test,
        ),
        Misconception(
            "The winner's validation score was looked at to make it the winner: report its test score.",
            agrees(_validation_of_the_winner, _TABLES),
            example=_validation_of_the_winner,
        ),
        Misconception(
            "That is what a setting drawn at random reaches, and nothing was chosen.",
            agrees(_mean_test, _TABLES),
            example=_mean_test,
        ),
    ),
    hints=(
        "Which row would you have shipped without looking at the test?",
        "`trials[\"validation\"].idxmax()` is its label.",
    ),
    solution="def report(trials):\n    return trials.loc[trials[\"validation\"].idxmax(), \"test\"]\n",
)

quiz = Quiz((
    Question("A colleague tunes her own method over 50 trials and takes yours at its defaults. Hers wins. What follows?", (
        Option("Her method is better", "Tuning alone may have made the difference."),
        Option("Nothing yet: both need as many trials of as many steps", "An untuned rival is the easiest to beat.", True),
        Option("Your method needs fewer settings", "It needs as fair a search, whatever their number."),
    )),
    Question("Why is the winner's validation score higher than its test score, on average?", (
        Option("The test data is harder", "It may be or not; the effect is there when both are drawn alike."),
        Option("The network has seen the validation data in training", "No gradient was taken on it."),
        Option("It became the winner partly by luck on just this validation data",
               "The luck does not repeat itself on other data.", True),
    )),
    Question("Suppose that no setting matters. What rises with more trials on the same validation set, on average?", (
        Option("The winner's validation score", "The best of more is luckier.", True),
        Option("The winner's test score", "All settings are equally good, so whichever wins is as good as any."),
        Option("The gain over the default, on the test", "There is nothing to gain where no setting matters."),
    )),
    Question("What does Hyperband save?", (
        Option("Trials", "It makes more of them, of which most are short."),
        Option("Epochs of trainings that look bad early", "The bet is that an early score says something of the late one.",
               True),
        Option("The validation set", "It looks at validation even more often."),
    )),
    Question("A training was killed and goes on from weights alone, without the optimizer's state. What is lost?", (
        Option("Nothing: the weights are the model", "For predictions, yes. For training, Adam's averages start anew."),
        Option("Adam's running averages and step count: the first steps differ from those of a training that went through",
               "The bias correction starts anew too.", True),
        Option("The vocabulary", "It is not part of the optimizer."),
    )),
))
