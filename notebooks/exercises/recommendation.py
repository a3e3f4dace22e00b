"""The exercises of notebook 13: how sure a link must be, when MMR changes its mind, and a shop of the reader's own."""

from functools import cache

import numpy as np
import pandas as pd

from helpers.course.exercises import Exercise, Misconception, Option, Question, Quiz, agrees, near
from helpers.data import sessions, simulator
from helpers.evaluation import baselines


@cache
def another_shop(phone=4):
    """Returns in a shop that the lesson did not use: did the next item viewed stand among item-kNN's ten?

    Returns:
        DataFrame, one row a return, with 0 or 1 for a list made without the phone's visit (`unknown`), with it
        (`known`), and with the phone's visit of somebody else (`wrong`).
    """
    shop = simulator.make_shop({"web": 0.0}, seed=7)["web"]
    log = simulator.simulate(shop, 3000, seed=7).query("event_type == 'view'")
    log = log.sort_values(["session_id", "timestamp"], kind="stable")
    rows, next_rows = sessions.session_windows(log["session_id"], length=20)
    tokens = pd.Index(shop.items["item_id"]).get_indexer(log["item_id"]) + 2
    items, targets = sessions.take(tokens, rows), sessions.take(tokens, next_rows)
    train = np.arange(len(items)) < 2000
    model = baselines.ItemKNN().fit(items[train], targets[train], 302)
    popular = baselines.Popularity().fit(items[train], targets[train], 302)
    fits = ~train & (targets[:, phone - 1] > 0)
    seen, wanted = items[fits, :phone], targets[fits, phone - 1]
    scores = {"unknown": popular.scores(seen), "known": model.scores(seen),
              "wrong": model.scores(np.roll(seen, 1, axis=0))}
    best = {name: np.argsort(-table[:, -1, 2:], axis=1, kind="stable")[:, :10] + 2 for name, table in scores.items()}
    return pd.DataFrame({name: (lists == wanted[:, None]).any(axis=1).astype(int) for name, lists in best.items()})


def _break_even(unknown, known, wrong):
    return 1 if known <= unknown else (unknown - wrong) / (known - wrong)


def _without_the_limit(unknown, known, wrong):
    return (unknown - wrong) / (known - wrong)


def _wrong_is_nothing(unknown, known, wrong):
    return unknown / known


def _gain_share(unknown, known, wrong):
    return (known - unknown) / (known - wrong)


def _odds(unknown, known, wrong):
    return (unknown - wrong) / (known - unknown)


def _half(unknown, known, wrong):
    return 0.5


_CASES = ((0.2, 0.4, 0.1), (0.24, 0.3, 0.18), (0.1, 0.5, 0.05))
_ALL = (*_CASES, (0.299, 0.295, 0.201))  # the last: the first baskets in a new store, where no history helps

break_even = Exercise(
    answer="break_even",
    correct=agrees(_break_even, _ALL),
    because="At the break-even, what a right link gains, p times (known - unknown), equals what a wrong one "
    "loses, (1 - p) times (unknown - wrong). Solved for p, that is the loss over gain plus loss. Without a gain, no "
    "p is high enough.",
    misconceptions=(
        Misconception(
            "You let a wrong link earn nothing at all. It earns `wrong`: some items please everybody.",
            agrees(_wrong_is_nothing, _CASES), example=_wrong_is_nothing),
        Misconception(
            "That is the share of the gain, 1 minus the answer: your threshold falls when a wrong link costs more.",
            agrees(_gain_share, _CASES), example=_gain_share),
        Misconception(
            "Those are the odds p / (1 - p) of the break-even. Turn them into a probability.",
            agrees(_odds, _CASES), example=_odds),
        Misconception(
            "More probable than not is a threshold for being right most often. What counts here is what being "
            "right gains and being wrong costs.",
            agrees(_half, _CASES), example=_half),
        Misconception(
            "Right where a right history helps. But with the baskets' .299, .295 and .201 it asks for a probability "
            "other than 1, though even the right history does not help there.",
            agrees(_without_the_limit, _CASES), example=_without_the_limit),
    ),
    hints=(
        "Write down the expected hit rate of a link that is right with probability p.",
        "Set `p * known + (1 - p) * wrong` equal to `unknown` and solve for p; then ask when p is 1 or more.",
    ),
    solution="def break_even(unknown, known, wrong):\n    if known <= unknown:\n        return 1\n"
    "    return (unknown - wrong) / (known - wrong)\n",
)

switch = Exercise(
    answer="switch",
    correct=near(0.7, 0.001),
    because="The second place goes to B while 0.9 t - 0.8 (1 - t) is above 0.6 t - 0.1 (1 - t), so while 0.3 t is "
    "above 0.7 (1 - t): for trade-offs above 0.7.",
    misconceptions=(
        Misconception("That is the weight of the similarity, 1 minus the trade-off.", near(0.3, 0.001), example=0.3),
        Misconception("That is the odds t / (1 - t) at the switch. Turn them into a share.", near(7 / 3, 0.01),
                      example=7 / 3),
        Misconception("Equal weights are not an equal outcome: put both candidates' numbers in.", near(0.5, 0.001),
                      example=0.5),
        Misconception("You compared B with C without C's own similarity to A, 0.1.", near(0.8 / 1.1, 0.001),
                      example=0.8 / 1.1),
    ),
    hints=(
        "Write down the MMR value of B and of C for the second place, with t for the trade-off.",
        "Solve 0.9 t - 0.8 (1 - t) = 0.6 t - 0.1 (1 - t).",
    ),
    solution="switch = 0.7",
)

_SHARES = another_shop().mean()
_NEEDED = float(_break_even(*_SHARES[["unknown", "known", "wrong"]]))

needed = Exercise(
    answer="needed",
    correct=near(_NEEDED, 0.005),
    because="The three hit rates of this shop, put into the formula of the break-even.",
    misconceptions=(
        Misconception("A wrong link still hits sometimes: do not count it as zero.",
                      near(float(_wrong_is_nothing(*_SHARES[["unknown", "known", "wrong"]])), 0.005),
                      example=float(_wrong_is_nothing(*_SHARES[["unknown", "known", "wrong"]]))),
        Misconception("That is 1 minus the answer.",
                      near(1 - _NEEDED, 0.005), example=1 - _NEEDED),
        Misconception("Those are odds, not a probability.",
                      near(_NEEDED / (1 - _NEEDED), 0.005), example=_NEEDED / (1 - _NEEDED)),
        Misconception("The answer is asked for as a probability, between 0 and 1.",
                      near(100 * _NEEDED, 0.5), example=100 * _NEEDED),
    ),
    hints=(
        "`other_returns.mean()` gives the three hit rates.",
        "Hand the three means to your `break_even`, in its order: unknown, known, wrong.",
    ),
    solution="rates = other_returns.mean()\n"
    'needed = (rates["unknown"] - rates["wrong"]) / (rates["known"] - rates["wrong"])\n',
    given={"other_returns": another_shop()},
)

quiz = Quiz((
    Question("A link between two visits is right with probability 0.4. Should its history be used?", (
        Option("No: it is more probably wrong than right", "Being right most often is not the aim. Compare what a "
               "right link gains with what a wrong one loses."),
        Option("It depends on the three hit rates: with the right history, without, and with a wrong one",
               "They give the break-even probability; 0.4 may lie on either side of it.", True),
        Option("Yes: any history is better than none", "A stranger's history is worse than none: its list fits "
               "somebody else."),
    )),
    Question("Why does mixing the two predictions, p times the one with the history and 1 - p times the one without, "
             "need no threshold?", (
        Option("It is the probability of the next item, given all that is known, and the list takes the most probable "
               "items", "That is the law of total probability. The list is the best one as far as the link's "
               "probability and both predictions are true.", True),
        Option("It always uses the history", "At small p it hardly does."),
        Option("It averages two lists of items", "It averages probabilities; the list is made afterwards."),
    )),
    Question("An item arrived this morning. Which recommender cannot show it to anybody, whatever was viewed before?", (
        Option("content-kNN", "It compares attributes, and those are known this morning."),
        Option("item-kNN", "It counts who viewed what together, and nobody has viewed the item yet.", True),
        Option("a network that reads the items' attributes", "It scores the item by its attributes, though its own "
               "learnt score was never the right answer."),
    )),
    Question("MMR made the lists more diverse. What follows for the coverage of the catalogue?", (
        Option("It rises, since the lists are more diverse", "Every visitor may get the same varied list; on this page "
               "coverage fell."),
        Option("Nothing: diversity compares items within a list, coverage counts items over all lists",
               "It may rise or fall. Here it fell slightly at a moderate trade-off and rose at an extreme one.", True),
        Option("It falls, since good items are lost", "Other items take their places: at extreme trade-offs, on this "
               "page, coverage rose."),
    )),
    Question("A model fine-tuned from the mature platform is given the visitor's own history from the phone. What was "
             "transferred?", (
        Option("The history; the model is the same for everybody", "The model's weights came from other customers, on "
               "another platform: that was a transfer too."),
        Option("Two things: what was learnt from other customers, and what this customer did",
               "The first needs a similar platform, the second a link between two visits. Each can fail alone.", True),
        Option("Nothing: the catalogue is the same", "The catalogue is what makes both possible, and it is not what "
               "was carried."),
    )),
))
