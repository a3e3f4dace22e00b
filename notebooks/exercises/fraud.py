"""The exercises of notebook 16: from evidence to a probability, from costs to a threshold, and other people's baskets."""

import numpy as np

from helpers.course.exercises import Exercise, Misconception, Option, Question, Quiz, agrees, near

_CASES = ((0.0, 0.02), (3.0, 0.02), (-2.0, 0.3), (np.log(100), 0.01))


def _posterior(log_ratio, share):
    return share * np.exp(log_ratio) / (share * np.exp(log_ratio) + 1 - share)


def _no_prior(log_ratio, share):
    return np.exp(log_ratio) / (np.exp(log_ratio) + 1)


def _not_normalized(log_ratio, share):
    return share * np.exp(log_ratio)


def _odds(log_ratio, share):
    return share * np.exp(log_ratio) / (1 - share)


def _no_exponential(log_ratio, share):
    return share * log_ratio / (share * log_ratio + 1 - share)


probability_of_fraud = Exercise(
    answer="probability_of_fraud",
    correct=agrees(_posterior, _CASES),
    because="The prior odds share / (1 - share) are multiplied by the ratio, and odds become a probability.",
    misconceptions=(
        Misconception(
            "You left out how rare fraud is: this is right only where half of all events are fraud.",
            agrees(_no_prior, _CASES), example=_no_prior),
        Misconception(
            "This can exceed 1: divide by the sum over both cases, fraud and not fraud.",
            agrees(_not_normalized, _CASES), example=_not_normalized),
        Misconception(
            "These are the odds, fraud to not fraud. Odds o are the probability o / (1 + o).",
            agrees(_odds, _CASES), example=_odds),
        Misconception(
            "The argument is the logarithm of the ratio: take its exponential first.",
            agrees(_no_exponential, _CASES), example=_no_exponential),
    ),
    hints=(
        "Of 1 / share events one is a fraud. How many times likelier is what you see, if it is this one?",
        "`odds = share / (1 - share) * np.exp(log_ratio)`; then turn odds into a probability.",
    ),
    solution="def probability_of_fraud(log_ratio, share):\n"
    "    odds = share / (1 - share) * np.exp(log_ratio)\n"
    "    return odds / (1 + odds)\n",
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
    Question("After an attack, alerts catch a quarter of what they used to. The oracle that knows the new attack catches "
             "no more. What now?", (
        Option("Refit on the latest labels at once", "The notebook did: it gained nothing, as the limit itself had "
               "fallen."),
        Option("Buy a larger network", "No function of these attributes can beat the likelihood ratio."),
        Option("Look for attributes that tell the new fraud apart", "With the old attributes nothing more is possible: "
               "new evidence is needed, or the sum over an account's events.", True),
    )),
    Question("The new app has 100 labeled events, two of them frauds. The web detector is at hand. What do you try first?", (
        Option("Train on the 100 labels alone", "Two frauds say little about seven weights."),
        Option("Use the web detector, and pull new weights toward it; check it against the prevalence", "At a mild "
               "shift this is nearly the limit; the check finds the case where the evidence points the other way.", True),
        Option("Copy the web detector and never look again", "In the launch weeks of the notebook it ranked below chance."),
    )),
    Question("Why may a delay not be averaged over the accounts that were detected?", (
        Option("Because delays are not normally distributed", "True, and not the point: a median has the same flaw."),
        Option("Because never-detected accounts drop out", "A detector that finds only the easy ones, at once, would look "
               "best. Count the missing as infinitely late.", True),
        Option("Because it must be weighted by the number of events", "Weights do not bring the missing back."),
    )),
))  # fmt: skip
