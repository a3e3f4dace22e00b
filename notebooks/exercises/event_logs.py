"""The exercises of notebook 05: a leaking split, where a session ends, aligned tokens, whole windows."""

from functools import cache

import numpy as np

from helpers.course.exercises import Exercise, Misconception, Option, Question, Quiz, agrees
from helpers.data import sessions, simulator, splits


@cache
def _lab():
    """A small log of views, its sessions, and the row of each view that another one follows."""
    log = simulator.simulate(simulator.make_shop({"web": 0.0}, seed=0)["web"], 200, seed=7)
    log = log[log["event_type"] == "view"]
    log = log.sort_values(["user_id", "timestamp"], kind="stable", ignore_index=True)
    ids = sessions.sessionize(log)
    return log, ids, np.flatnonzero(ids[:-1] == ids[1:])


def _leak(split):
    """What is wrong with the parts of a split, in a word; empty if nothing leaks."""
    log, ids, row = _lab()
    masks = [np.asarray(mask) for mask in split(log, ids, row)]
    if len(masks) != 2 or any(mask.shape != row.shape or mask.dtype != bool for mask in masks):
        return "masks"
    if not all(mask.any() for mask in masks):
        return "empty"
    train, test = (np.isin(ids, ids[row[mask]]) for mask in masks)  # all rows of the sessions of a part
    if (train & test).any():
        return "sessions"
    return "time" if log["timestamp"][train].max() >= log["timestamp"][test].min() else ""


def _of_events(log, ids, row):
    masks = splits.temporal_split(log, ids)
    return masks["train"], masks["test"]


def _nothing_held_out(log, ids, row):
    return np.ones(len(row), bool), np.zeros(len(row), bool)


def _shuffled(log, ids, row):
    test = np.random.default_rng(0).random(len(row)) < 0.15
    return ~test, test


def _shuffled_sessions(log, ids, row):
    test = (np.random.default_rng(0).random(ids.max() + 1) < 0.15)[ids[row]]
    return ~test, test


my_split = Exercise(
    answer="my_split",
    correct=lambda answer: _leak(answer) == "",
    because="No session is in two parts, and training is over before the test begins.",
    misconceptions=(
        Misconception(
            "Return two arrays of True and False, training and test, with one value to each example: "
            "from a mask over the rows of `log`, `mask[row]` picks them.",
            lambda answer: _leak(answer) == "masks",
            example=_of_events,
        ),
        Misconception(
            "One of the two parts is empty.",
            lambda answer: _leak(answer) == "empty",
            example=_nothing_held_out,
        ),
        Misconception(
            "It still leaks: some session has examples in both parts, and a longer prefix in training "
            "shows the answer of a shorter one in the test.",
            lambda answer: _leak(answer) == "sessions",
            example=_shuffled,
        ),
        Misconception(
            "Sessions are whole now, and the large leak is closed. But some training session ends after the "
            "test has begun: training knows the future. Split by time, and leave out what straddles the boundary.",
            lambda answer: _leak(answer) == "time",
            example=_shuffled_sessions,
        ),
    ),
    hints=(
        "Two examples of one session share its first items. May they be in different parts?",
        "`splits.temporal_split(log, ids)` gives masks over the rows of `log`; `mask[row]` turns one into a "
        "mask over the examples.",
    ),
    solution="def my_split(log, ids, row):\n"
    "    masks = splits.temporal_split(log, ids)\n"
    "    return masks['train'][row], masks['test'][row]\n",
    given={"splits": splits},
)

_CASES = (([0, 5, 50], 30), ([0, 30, 60], 30), ([0, 31, 62], 30), ([7], 30))


def _count(minutes, pause):
    return 1 + sum(b - a > pause for a, b in zip(minutes, minutes[1:], strict=False))


def _gaps(minutes, pause):
    return _count(minutes, pause) - 1


def _at_the_limit(minutes, pause):
    return 1 + sum(b - a >= pause for a, b in zip(minutes, minutes[1:], strict=False))


def _from_the_start(minutes, pause):
    return 1 + sum(b - minutes[0] > pause for b in minutes[1:])


count_sessions = Exercise(
    answer="count_sessions",
    correct=agrees(_count, _CASES, rtol=0, atol=0),
    because="Every pause longer than the limit starts one more session after the first.",
    misconceptions=(
        Misconception(
            "You counted the long pauses. One pause separates two sessions: add the first.",
            agrees(_gaps, _CASES, rtol=0, atol=0),
            example=_gaps,
        ),
        Misconception(
            "A pause of exactly the limit still belongs to the session here: use `>`, not `>=`.",
            agrees(_at_the_limit, _CASES, rtol=0, atol=0),
            example=_at_the_limit,
        ),
        Misconception(
            "You measured from the first event. What counts is the pause since the event before.",
            agrees(_from_the_start, _CASES, rtol=0, atol=0),
            example=_from_the_start,
        ),
    ),
    hints=(
        "Look at the difference of each minute to the one before.",
        "Sum `b - a > pause` over `zip(minutes, minutes[1:])`, and remember the first session.",
    ),
    solution="def count_sessions(minutes, pause):\n"
    "    return 1 + sum(b - a > pause for a, b in zip(minutes, minutes[1:]))\n",
)

token = Exercise(
    answer="token",
    correct=lambda answer: answer == 4,
    because="0 is padding, 1 is unknown, boot and hat keep 2 and 3, and the first new item follows.",
    misconceptions=(
        Misconception(
            "You sorted all items anew. Then boot and hat change their numbers, and a trained embedding row "
            "would stand for another item.",
            lambda answer: answer == 2,
            example=2,
        ),
        Misconception(
            "That number is taken: the items start at 2, since 0 and 1 are padding and unknown.",
            lambda answer: answer == 3,
            example=3,
        ),
        Misconception(
            "hat is sold on both platforms and keeps its number: it is not added again.",
            lambda answer: answer == 5,
            example=5,
        ),
    ),
    hints=("Which numbers do boot and hat have?", "New items follow the old ones; none of the old moves."),
    solution="token = 2 + len(['boot', 'hat'])",
)

windows = Exercise(
    answer="windows",
    correct=lambda answer: answer == 5,
    because="45 events need three windows, 20 fill one exactly, and 3 take one with padding.",
    misconceptions=(
        Misconception(
            "You packed all events one after another. A window never holds two sessions.",
            lambda answer: answer == 4,
            example=4,
        ),
        Misconception(
            "One window a session, or full windows only, would lose events: "
            "padding is there to keep them.",
            lambda answer: answer == 3,
            example=3,
        ),
        Misconception(
            "20 events fill one window exactly; no second, empty one follows.",
            lambda answer: answer == 6,
            example=6,
        ),
    ),
    hints=("How many windows does each session need alone?", "Divide each by 20 and round up, then add."),
    solution="windows = sum(-(-events // 20) for events in (45, 20, 3))",
)

quiz = Quiz((
    Question("What may a vocabulary be fitted on?", (
        Option("the training part", "The future's items are unknown on the day of training.", True),
        Option("training and test, so that no item is unknown", "It hides how many items will be unknown."),
        Option("the whole log, as it holds no labels", "Item numbers tell which items will exist one day."),
    )),
    Question("Examples are prefixes of sessions. How should they be split?", (
        Option("shuffled, example by example", "A longer prefix in training shows the answer of a shorter."),
        Option("by session and time", "Prefixes of a session stay in one part, later ones in test.", True),
        Option("by length of the prefix", "Then test holds long histories only, and still leaks."),
    )),
    Question("A session starts before the boundary and ends after it. Where does it go?", (
        Option("to training", "Training would then hold events of the test period."),
        Option("cut in two", "Both halves are of one visit, and one would explain the other."),
        Option("to neither, and it is counted", "It is lost, but not silently.", True),
    )),
    Question("Why is padding on the right, and number 0?", (
        Option("so that position 0 is always the session's first event", "And 0 is never an item.", True),
        Option("because recurrent networks need it there", "They work with either side, given a mask."),
        Option("so that windows save memory", "Padding costs the same memory on either side."),
    )),
    Question("A score fell after a leak was closed. What happened to the model?", (
        Option("it got worse", "Its use on new sessions was never as good as the old score said."),
        Option("it overfits less", "Closing a leak is no regularization; only the measurement changed."),
        Option("nothing that a customer would notice", "The measurement became honest.", True),
    )),
))
