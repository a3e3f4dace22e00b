"""The exercises of notebook 08: where two curves cross, how many labels were saved, and a mixture."""

import math

import numpy as np

from helpers.course.exercises import Exercise, Misconception, Option, Question, Quiz, agrees, near

_CURVES = (
    ((50, 200, 1000), (0.30, 0.35, 0.38), (0.20, 0.33, 0.39)),
    ((50, 200, 1000), (0.30, 0.35, 0.38), (0.20, 0.35, 0.36)),
    ((50, 200, 1000), (0.30, 0.35, 0.38), (0.20, 0.33, 0.37)),
    ((10, 20, 40), (0.1, 0.2, 0.3), (0.3, 0.1, 0.4)),
    ((10, 20, 40), (0.2, 0.3, 0.4), (0.1, 0.35, 0.3)),
)
_MIXED = (
    (np.array([[0.5, 0.5], [1.0, 0.0]]), np.array([[0.1, 0.9], [0.2, 0.8]]), 0.25),
    (np.array([[0.5, 0.5], [1.0, 0.0]]), np.array([[0.1, 0.9], [0.2, 0.8]]), 1.0),
    (np.array([[0.7, 0.3]]), np.array([[0.4, 0.6]]), 0.0),
)


def _crossover(visits, transfer, scratch):
    return next((n for n, a, b in zip(visits, transfer, scratch) if b >= a), math.inf)


def _strictly(visits, transfer, scratch):
    return next((n for n, a, b in zip(visits, transfer, scratch) if b > a), math.inf)


def _other_way(visits, transfer, scratch):
    return next((n for n, a, b in zip(visits, transfer, scratch) if a >= b), math.inf)


def _position(visits, transfer, scratch):
    return next((place for place, (a, b) in enumerate(zip(transfer, scratch)) if b >= a), math.inf)


def _last(visits, transfer, scratch):
    return next((n for n, a, b in reversed(list(zip(visits, transfer, scratch))) if b >= a), math.inf)


crossover = Exercise(
    answer="crossover",
    correct=agrees(_crossover, _CURVES, rtol=0, atol=0),
    because="Below that number of visits the old platform is worth its trouble; from there on it is not, or no longer surely.",
    misconceptions=(
        Misconception("An equal score counts too: from there on the transfer is no longer needed.",
                      agrees(_strictly, _CURVES, rtol=0, atol=0), example=_strictly),
        Misconception("That is where the transfer is ahead. Asked is where scratch has caught up.",
                      agrees(_other_way, _CURVES, rtol=0, atol=0), example=_other_way),
        Misconception("That is a position in the list. Return the number of visits.",
                      agrees(_position, _CURVES, rtol=0, atol=0), example=_position),
        Misconception("That is the last such number. The first one is where scratch has caught up.",
                      agrees(_last, _CURVES, rtol=0, atol=0), example=_last),
    ),
    hints=(
        "Go through the three lists side by side, with `zip`.",
        "Return at the first place where the score from scratch is not lower; after the loop return `math.inf`, which is larger than any number.",
    ),
    solution="import math\n\n\ndef crossover(visits, transfer, scratch):\n    for count, moved, fresh in zip(visits, transfer, scratch):\n"
             "        if fresh >= moved:\n            return count\n    return math.inf\n",
    otherwise="Try `crossover((50, 200), (0.3, 0.35), (0.2, 0.36))`: it should return 200; where scratch never catches up, `math.inf`.",
)


def _mix(model, chain, weight):
    return weight * model + (1 - weight) * chain


def _turned(model, chain, weight):
    return weight * chain + (1 - weight) * model


def _sum(model, chain, weight):
    return model + weight * chain


def _geometric(model, chain, weight):
    return model**weight * chain ** (1 - weight)


mix = Exercise(
    answer="mix",
    correct=agrees(_mix, _MIXED, rtol=1e-9, atol=1e-12),
    because="A weighted mean of two distributions is a distribution again: its rows sum to one, and no item falls to zero that "
            "one of them held possible.",
    misconceptions=(
        Misconception("The weight is the model's: at 1 only the model should speak.",
                      agrees(_turned, _MIXED, rtol=1e-9, atol=1e-12), example=_turned),
        Misconception("The rows no longer sum to one: the chain's share must be what the model leaves, `1 - weight`.",
                      agrees(_sum, _MIXED, rtol=1e-9, atol=1e-12), example=_sum),
        Misconception("That is the geometric mean: its rows do not sum to one, and one zero silences the other. Take the "
                      "arithmetic one.", agrees(_geometric, _MIXED, rtol=1e-9, atol=1e-12), example=_geometric),
    ),
    hints=(
        "At weight 1 the result is the model, at 0 the chain, at one half their mean.",
        "`weight` times the one plus `1 - weight` times the other.",
    ),
    solution="def mix(model, chain, weight):\n    return weight * model + (1 - weight) * chain\n",
    otherwise="Both are arrays of probabilities of one shape. `mix(model, chain, 0.5)` should be their mean.",
)

low_rank_numbers = Exercise(
    answer="low_rank_numbers",
    correct=near(4 * (302 + 32) + 4 * (64 + 302) + 302, within=0.5),
    because="The item table gets 4 * (302 + 32) numbers, the head 4 * (64 + 302) and its 302 biases: 3,102 instead of 29,294.",
    misconceptions=(
        Misconception("The head's biases train too: one for each item.",
                      near(4 * (302 + 32) + 4 * (64 + 302), within=0.5), example=4 * (302 + 32) + 4 * (64 + 302)),
        Misconception("That is the whole of both tables. A correction of rank 4 has 4 numbers a row and 4 a column.",
                      near(302 * 32 + 64 * 302 + 302, within=0.5), example=302 * 32 + 64 * 302 + 302),
        Misconception("That is one number a row and a column: the rank, 4, is missing.",
                      near(302 + 32 + 64 + 302 + 302, within=0.5), example=302 + 32 + 64 + 302 + 302),
    ),
    hints=(
        "A table of m rows and n columns gets two factors: m rows of 4 numbers, and 4 rows of n numbers.",
        "Do this for 302 x 32 and for 64 x 302, add both, and the 302 biases.",
    ),
    solution="low_rank_numbers = 4 * (302 + 32) + 4 * (64 + 302) + 302\n",
    otherwise="Count the two factors of each table, 4 * (rows + columns), then the biases of the head.",
)

quiz = Quiz((
    Question(
        "You have 50 labeled visits on the new platform. Which is the fairest comparison of transfer and scratch?",
        (
            Option("Both with the same trials, the same greatest number of steps, and rates chosen on validation data.",
                   "Yes: then a difference is due to where the weights start.", correct=True),
            Option("Transfer with a searched rate, scratch with the default.",
                   "A rate that suits one may ruin the other; the search is then what you measured."),
            Option("Both until their training loss is zero.",
                   "With 50 visits that is memorizing; what counts is where validation stops."),
        ),
    ),
    Question(
        "A control with shuffled source weights does as well as your transfer. What follows?",
        (
            Option("What the source learnt brought nothing; at best the scale of the weights did.",
                   "Yes. Shuffling keeps the numbers and destroys what they say.", correct=True),
            Option("The source is a good one for many targets.", "A source without its order knows nothing any more."),
            Option("Shuffling should be part of the method.", "It is a control: it shows what is left without knowledge."),
        ),
    ),
    Question(
        "Why is the strategy chosen on validation data and not by the test score?",
        (
            Option("Because the best of many test scores is too good: part of it is luck.",
                   "Yes, and the more candidates there are, the more.", correct=True),
            Option("Because the test data are more expensive.", "They cost the same; but they may be used only once."),
            Option("Because validation scores are higher.", "They may be either; with few visits they are noisy."),
        ),
    ),
    Question(
        "Copying only the first layers and starting the head anew gains little over scratch. What was learnt where?",
        (
            Option("Much of what helps is in the layers above, which were not copied.",
                   "Yes; and the layers were trained together, so that a new head must find its way first.", correct=True),
            Option("The first layers are wrong.", "They may be right and of little use without the rest."),
            Option("The head should never be copied.", "Here copying it is what brings most."),
        ),
    ),
    Question(
        "At 100 % of the labels transfer and scratch are about equal. Is transfer useless?",
        (
            Option("No: it saved the months in which these labels were collected.",
                   "Yes. The gain lies in time, at the left end of the curve.", correct=True),
            Option("Yes, it should be left out from the first day.", "At the first day there are no labels; look at the left end."),
            Option("One cannot know.", "One can: the curve shows both ends."),
        ),
    ),
))
