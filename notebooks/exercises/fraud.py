"""The exercises of notebook 16: the evidence of a device, from costs to a threshold, and other people's baskets."""

import numpy as np

from helpers.course.exercises import Exercise, Misconception, Option, Question, Quiz, agrees, near

_CASES = ((True,), (False,))


def _evidence(new):
    return np.log(0.1 / 0.6) if new else np.log(0.9 / 0.4)


def _swapped(new):
    return -_evidence(new)


def _known_is_neutral(new):
    return np.log(0.1 / 0.6) if new else 0.0


def _no_logarithm(new):
    return 0.1 / 0.6 if new else 0.9 / 0.4


def _same_for_known(new):
    return np.log(0.1 / 0.6) if new else np.log(0.4 / 0.9)


device_evidence = Exercise(
    answer="device_evidence",
    correct=agrees(_evidence, _CASES),
    because="A new device speaks for the customer here, log(0.1 / 0.6) is below 0, and a known one against: the web's "
    "weight for new devices, which is above 0, points the wrong way.",
    misconceptions=(
        Misconception(
            "The ratio is that of fraud to legitimate: how likely the device is among frauds stands above.",
            agrees(_swapped, _CASES), example=_swapped),
        Misconception(
            "A known device is evidence too: it appears in 90 % of the frauds and in 40 % of the legitimate events.",
            agrees(_known_is_neutral, _CASES), example=_known_is_neutral),
        Misconception(
            "This is the ratio; asked for is its logarithm, since logarithms add up over the attributes.",
            agrees(_no_logarithm, _CASES), example=_no_logarithm),
        Misconception(
            "For a known device the share among frauds, 0.9, stands above, and 0.4 below.",
            agrees(_same_for_known, _CASES), example=_same_for_known),
    ),
    hints=(
        "How likely is a new device among frauds, and how likely among legitimate events? And a known one?",
        "`np.log(p / q)` with p and q for a new device, and with 1 - p and 1 - q for a known one.",
    ),
    solution="def device_evidence(new):\n"
    "    return np.log(0.1 / 0.6) if new else np.log(0.9 / 0.4)\n",
    given={"np": np},
)  # fmt: skip

threshold = Exercise(
    answer="threshold",
    correct=near(6 / 90, 0.001),
    because="A check costs 6 euros in any case and saves 90 with probability p: it pays where 90 p > 6.",
    misconceptions=(
        Misconception(
            "One half counts both mistakes alike. Here a missed fraud costs fifteen times as much as a check.",
            near(0.5, 0.001), example=0.5),
        Misconception(
            "You charged the check to false alarms only. The analyst is paid for true alarms too: compare 6 with 90 p.",
            near(6 / 96, 0.001), example=6 / 96),
        Misconception(
            "That is how many checks one missed fraud pays for; the probability is one over it.",
            near(15, 0.01), example=15.0),
        Misconception(
            "That is the greatest probability of a legitimate event at which a check pays. Asked is that of fraud.",
            near(1 - 6 / 90, 0.001), example=1 - 6 / 90),
    ),
    hints=(
        "Write down what a check costs and what it saves on average, if fraud has probability p.",
        "At the threshold both are equal: 6 = 90 p.",
    ),
    solution="threshold = 6 / 90",
)  # fmt: skip

unusual_share = Exercise(
    answer="unusual_share",
    correct=near(0.0128, 0.0002),
    because="1.3 % of the baskets exceed five times what the household spent before on average, so at one basket in "
    "78 this rule alone would keep somebody busy, and nothing says that any of them is wrong.",
    misconceptions=(
        Misconception(
            "You compared with the mean of the whole year. On the day of the basket its future is unknown, and the "
            "basket itself raises the mean.",
            near(0.0101, 0.00015), example=0.01006),
        Misconception(
            "You compared with the mean of all households: that finds those who always buy much.",
            near(0.0175, 0.0002), example=0.01749),
        Misconception(
            "The basket itself is part of your mean, and hides itself: subtract it from the running sum.",
            near(0.0098, 0.0001), example=0.00979),
        Misconception(
            "You kept baskets with fewer than ten before them: the mean of one or two baskets is no habit.",
            near(0.0159, 0.0002), example=0.01587),
        Misconception("Right in percent; asked for is the share, between 0 and 1.", near(1.28, 0.02), example=1.28),
    ),
    hints=(
        "What was known of the household just before the basket? `groupby(\"user_id\")[\"price\"].cumsum()` still "
        "contains the basket itself.",
        "`before = mine.cumcount()` counts earlier baskets, `(mine.cumsum() - baskets[\"price\"]) / before` is their "
        "mean; keep the rows with `before >= 10`.",
    ),
    solution="from helpers.data import datasets\n"
    "lines = datasets.complete_journey_events()\n"
    "baskets = lines.groupby([\"user_id\", \"timestamp\", \"session_id\"], as_index=False)[\"price\"].sum()\n"
    "baskets = baskets[baskets[\"price\"] > 0]\n"
    "mine = baskets.groupby(\"user_id\")[\"price\"]\n"
    "before = mine.cumcount()\n"
    "usual = (mine.cumsum() - baskets[\"price\"]) / before.clip(lower=1)\n"
    "known = before >= 10\n"
    "unusual_share = (baskets[\"price\"] > 5 * usual)[known].mean()\n",
)  # fmt: skip

quiz = Quiz((
    Question("Two percent of all events are fraud. A detector is right on 98 % of them. How good is it?", (
        Option("Very good", "Alerting nobody is right on 98 % too, and finds nothing."),
        Option("It cannot be said from this number", "Accuracy is the same for a detector that finds nothing. Ask for "
               "PR-AUC with the prevalence, or for the frauds caught at your capacity.", True),
        Option("Bad, since 2 % are wrong", "Which 2 %? False alarms cost a check, missed frauds cost the goods."),
    )),
    Question("A detector without labels scores events by how rare they are. When does it fail?", (
        Option("When what is rare is harmless, or fraud looks usual", "It knows only one side of the likelihood "
               "ratio: what is usual. Rare and fraudulent are different things.", True),
        Option("When there are too few frauds", "It never sees labels, so their number does not matter to it."),
        Option("When its scores are no probabilities", "Only the order of the alerts counts at a fixed capacity."),
    )),
    Question("After an attack the alerts are worse. Refits on 15 and on 60 days of new labels leave them as bad. What now?", (
        Option("Refit on yet more of the same labels", "Four times the labels brought nothing: more of the same is "
               "unlikely to."),
        Option("Buy a larger network", "If the attributes no longer tell the fraud apart, no function of them does."),
        Option("Look for attributes that tell the new fraud apart", "New evidence is needed, or the sum over an "
               "account's events.", True),
    )),
    Question("The new app has 100 labeled events, two of them frauds. The web detector is at hand. What do you try first?", (
        Option("Train on the 100 labels alone", "Two frauds say little about seven weights."),
        Option("Pull new weights toward the web's, and check the top alerts", "At a mild shift this is nearly the limit; "
               "the check finds the case where the evidence points the other way.", True),
        Option("Use the web detector as it is; two frauds are too few to check anything", "Its own alerts can be "
               "checked: in the launch weeks of the notebook its top forty were no better than a random order."),
    )),
    Question("Why may a delay not be averaged over the accounts that were detected?", (
        Option("Because delays are not normally distributed", "True, and not the point: a median has the same flaw."),
        Option("Because never-detected accounts drop out", "A detector that finds only the easy ones, at once, would look "
               "best. Count the missing as infinitely late.", True),
        Option("Because it must be weighted by the number of events", "Weights do not bring the missing back."),
    )),
))  # fmt: skip
