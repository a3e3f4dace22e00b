"""The exercises of notebook 10: who may look at whom, a slope with and without the limit, and copies that give away."""

import numpy as np

from helpers.course.exercises import Exercise, Misconception, Option, Question, Quiz, agrees, near

_TOKENS = (([5, 7, 9],), ([5, 7, 0, 0],), ([3, 0],))


def _may_look(tokens):
    tokens = np.asarray(tokens)
    return np.tri(len(tokens), dtype=bool) & (tokens != 0)


def _future(tokens):
    return _may_look(tokens).T & (np.asarray(tokens) != 0)


def _not_itself(tokens):
    return _may_look(tokens) & ~np.eye(len(tokens), dtype=bool)


def _both_sides(tokens):
    return np.ones((len(tokens), 1), bool) & (np.asarray(tokens) != 0)


def _no_padding(tokens):
    return np.tri(len(tokens), dtype=bool)


may_look = Exercise(
    answer="may_look",
    correct=agrees(_may_look, _TOKENS, rtol=0, atol=0),
    because="An event looks at itself and at what came before it, and nobody looks at padding. With padding on the "
    "right, the triangle alone would do for all real events; the second condition makes it safe on any side.",
    misconceptions=(
        Misconception(
            "That is the other triangle: your events look at the future, which is what they are asked for.",
            agrees(_future, _TOKENS, rtol=0, atol=0), example=_future),
        Misconception(
            "An event may look at itself: it has happened, and is the best hint of what comes next.",
            agrees(_not_itself, _TOKENS, rtol=0, atol=0), example=_not_itself),
        Misconception(
            "That is the BERT way: all events but padding. A causal model would read its own answer.",
            agrees(_both_sides, _TOKENS, rtol=0, atol=0), example=_both_sides),
        Misconception(
            "The triangle is right, but a padded event can still be looked at by those behind it: padding is 0.",
            agrees(_no_padding, _TOKENS, rtol=0, atol=0), example=_no_padding),
    ),
    hints=("Start with the triangle: `np.tri(n, dtype=bool)` is True where column <= row.",
           "Then take away the columns where the token is 0: `& (tokens != 0)`."),
    solution="import numpy as np\n\ndef may_look(tokens):\n    tokens = np.asarray(tokens)\n"
    "    return np.tri(len(tokens), dtype=bool) & (tokens != 0)\n",
)

_CASES = ((500, 4.8, 1000, 4.6, 4.4), (1000, 5.0, 8000, 4.5, 4.4), (100, 3.0, 200, 2.5, 0.0))


def _exponent(n_1, loss_1, n_2, loss_2, limit):
    return np.log((loss_1 - limit) / (loss_2 - limit)) / np.log(n_2 / n_1)


def _no_limit(n_1, loss_1, n_2, loss_2, limit):
    return np.log(loss_1 / loss_2) / np.log(n_2 / n_1)


def _turned(n_1, loss_1, n_2, loss_2, limit):
    return -_exponent(n_1, loss_1, n_2, loss_2, limit)


def _straight(n_1, loss_1, n_2, loss_2, limit):
    return (loss_1 - loss_2) / np.log(n_2 / n_1)


exponent = Exercise(
    answer="exponent",
    correct=agrees(_exponent, _CASES),
    because="On logarithmic axes a power law is a straight line, and the exponent is how far the logarithm of the "
    "excess falls for each step of the logarithm of the data. What cannot fall, the limit, is taken off first.",
    misconceptions=(
        Misconception(
            "You took the loss itself. Most of it is the limit, which never falls, so the exponent comes out tiny.",
            agrees(_no_limit, _CASES[:2]), example=_no_limit),
        Misconception("The size is right, the sign is not: with excess = a * n ** -b, a falling loss has b > 0.",
                      agrees(_turned, _CASES), example=_turned),
        Misconception("That is a slope per unit of loss. A power law is straight where *both* axes are logarithms.",
                      agrees(_straight, _CASES), example=_straight),
    ),
    hints=("Write excess = loss - limit for both, and divide one equation by the other: `a` is gone.",
           "excess_1 / excess_2 = (n_2 / n_1) ** b; take logarithms of both sides."),
    solution="from math import log\n\ndef exponent(n_1, loss_1, n_2, loss_2, limit):\n"
    "    return log((loss_1 - limit) / (loss_2 - limit)) / log(n_2 / n_1)\n",
)

_LOGS = (([1, 1, 1, 2, 2], ["a", "a", "b", "b", "b"]), ([1, 1, 2], ["a", "b", "b"]), ([1, 1, 1], ["a", "b", "a"]))


def _given_away(session, item):
    session, item = np.asarray(session), np.asarray(item)
    same = (session[1:] == session[:-1]) & (item[1:] == item[:-1])
    return (np.r_[same, False] | np.r_[False, same]).mean()


def _across(session, item):
    item = np.asarray(item)
    same = item[1:] == item[:-1]
    return (np.r_[same, False] | np.r_[False, same]).mean()


def _before_only(session, item):
    session, item = np.asarray(session), np.asarray(item)
    return np.r_[False, (session[1:] == session[:-1]) & (item[1:] == item[:-1])].mean()


def _anywhere(session, item):
    pairs = list(zip(session, item))
    return np.mean([pairs.count(pair) > 1 for pair in pairs])


given_away = Exercise(
    answer="given_away",
    correct=agrees(_given_away, _LOGS),
    because="A hidden item is given away if the event before it or after it, in the same visit, holds the same item.",
    misconceptions=(
        Misconception("The last event of one visit and the first of the next are no neighbors: compare visits too.",
                      agrees(_across, _LOGS), example=_across),
        Misconception("You looked back only. A masked model reads both sides, so the event after tells as much.",
                      agrees(_before_only, _LOGS), example=_before_only),
        Misconception("You counted repetitions anywhere in the visit. Asked are direct neighbors.",
                      agrees(_anywhere, _LOGS), example=_anywhere),
    ),
    hints=("First the pairs: is event t + 1 of the same visit and the same item as event t?",
           "Each such pair gives away two events: `np.r_[same, False] | np.r_[False, same]`."),
    solution="import numpy as np\n\ndef given_away(session, item):\n"
    "    session, item = np.asarray(session), np.asarray(item)\n"
    "    same = (session[1:] == session[:-1]) & (item[1:] == item[:-1])\n"
    "    return (np.r_[same, False] | np.r_[False, same]).mean()\n",
)

passes = Exercise(
    answer="passes",
    correct=near(12, 0.5),
    because="Each question needs a window of its own, with the mask after the event that is asked about.",
    misconceptions=(
        Misconception("That is the causal model's number: it answers at every event in one pass.",
                      near(1, 0.1), example=1),
        Misconception("The questions are counted, not the events: 8 of the 20 are not followed by a view.",
                      near(20, 0.1), example=20),
        Misconception("Those are the events that are *not* asked about.", near(8, 0.1), example=8),
    ),
    hints=("Can two masks stand in one window, if the second question may not know the first answer?",
           "One window to a question."),
    solution="passes = 12",
)

quiz = Quiz((
    Question("What is the difference between the GPT way and the BERT way, in one block?", (
        Option("which keys an event may look at", "The layers are the same; a triangle or the padding decides, and "
               "the training question follows from it.", True),
        Option("one has attention, the other a recurrent layer", "Both are made of the same attention blocks."),
        Option("the masked one is deeper", "Depth is a choice in both."),
    )),
    Question("Why may a masked model not simply be trained to score the next item at every event?", (
        Option("It can see the next item", "Its events look to both sides: it would copy the answer, and know "
               "nothing when the answer is not there.", True),
        Option("It has no output layer", "It has the same one."),
        Option("It would be too slow", "It would be as fast as the causal one; and worthless."),
    )),
    Question("Log loss with 100 sampled negatives is 3.2, the oracle's over all items is 4.4. What follows?", (
        Option("The model is better than the oracle", "No model is, on average. The two numbers answer different "
               "questions."),
        Option("Nothing: the first is a choice among 101 items, the second among all", "Only the full softmax may "
               "be set beside the oracle.", True),
        Option("The oracle is wrong", "It knows the simulator's own probabilities; notebook 06 checks it."),
    )),
    Question("Why is the oracle's loss taken off before a power law is fitted?", (
        Option("The part above it is what more data can take away", "With the limit left in, nearly nothing seems "
               "to fall, and the line would promise losses below what is possible.", True),
        Option("To make all numbers smaller", "It changes the shape, not only the size."),
        Option("Because logarithms need numbers below 1", "They need numbers above 0."),
    )),
    Question("You have two platforms with logs and a new shop with 50 visits. What do you try first?", (
        Option("the largest Transformer that fits", "Nothing on this page shows that it would win."),
        Option("item neighbors over all logs, then a small recurrent network, then a Transformer", "Each must beat "
               "the one before on validation data of the new shop.", True),
        Option("train from scratch, since other shops differ", "The measurement says what that costs with 50 "
               "visits."),
    )),
    Question("Pretraining was worth about 10 points and more with 50 visits, 2 with 500 and none with 3,000. Why?", (
        Option("The pretrained network gets worse with more visits", "It gets better, too; the one from scratch "
               "catches up."),
        Option("What the platforms teach, enough visits of one's own teach as well", "Transfer saves labels. Where "
               "labels are plenty, there is little left to save.", True),
        Option("The learning rate was chosen for 50 visits", "It was chosen for each number of visits anew."),
    )),
))
