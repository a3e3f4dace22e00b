"""The exercises of notebook 06: a rank with ties, what sampling gives away, and a distance to the limit."""

from helpers.course.exercises import Exercise, Misconception, Option, Question, Quiz, agrees, near


def _optimistic(scores, target):
    return 1 + sum(score > scores[target] for score in scores)


def _from_zero(scores, target):
    return sum(score >= scores[target] for score in scores) - 1


def _lowest_first(scores, target):
    return sum(score <= scores[target] for score in scores)


_CASES = (([0.1, 0.7, 0.2], 1), ([0.1, 0.7, 0.2], 0), ([0.5, 0.5, 0.5, 0.5], 2), ([0.4, 0.9, 0.4], 0))


def _pessimistic(scores, target):
    return sum(score >= scores[target] for score in scores)


pessimistic_rank = Exercise(
    answer="pessimistic_rank",
    correct=agrees(_pessimistic, _CASES, rtol=0, atol=0),
    because="Everything that scores at least as high as the target stands before it, and the target counts "
    "itself, so the best rank is 1 and a constant scorer is always last.",
    misconceptions=(
        Misconception(
            "You counted what scores strictly higher, so ties favor the model: a constant scorer would get "
            "rank "
            "1 and a perfect hit rate.",
            agrees(_optimistic, _CASES, rtol=0, atol=0),
            example=_optimistic,
        ),
        Misconception(
            "Your ranks start at 0. The formulas of NDCG and MRR need 1 for the best.",
            agrees(_from_zero, _CASES, rtol=0, atol=0),
            example=_from_zero,
        ),
        Misconception(
            "You counted what scores lower. A high score means that the item should be shown first.",
            agrees(_lowest_first, _CASES, rtol=0, atol=0),
            example=_lowest_first,
        ),
    ),
    hints=(
        "What rank must the target get when all scores are equal?",
        "Count the scores that are at least as high as `scores[target]`; the target is one of them.",
    ),
    solution="def pessimistic_rank(scores, target):\n"
    "    return sum(score >= scores[target] for score in scores)\n",
)

chance = Exercise(
    answer="chance",
    correct=near(10 / 101, 3e-4),
    because="Target and 100 negatives are 101 candidates, and blind luck puts the target in each place "
    "equally "
    "often: 10 of the 101 places are hits. Against the full catalogue of 300 it would be a third of that.",
    misconceptions=(
        Misconception(
            "That is chance against the full catalogue. The sampled ranking compares with 100 others only.",
            near(10 / 300, 1e-3),
            example=10 / 300,
        ),
        Misconception(
            "Almost: the target itself is a candidate too, so there is one more than the negatives.",
            near(10 / 100, 1e-6),
            example=0.1,
        ),
        Misconception(
            "That is the chance of the first place; HR@10 counts ten places.",
            near(1 / 101, 1e-3),
            example=1 / 101,
        ),
    ),
    hints=(
        "How many candidates are ranked, the target included?",
        "Ten places out of all candidates are hits, and each place is equally likely.",
    ),
    solution="chance = 10 / (100 + 1)",
)

share = Exercise(
    answer="share",
    correct=near(60, 0.5),
    because="Of the 0.25 that can be learned beyond popularity, 0.15 was learned.",
    misconceptions=(
        Misconception(
            "You divided model by oracle. Popularity, which knows nothing of the session, would already get "
            "credit: start to count from popularity.",
            near(100 * 0.35 / 0.45, 0.5),
            example=100 * 0.35 / 0.45,
        ),
        Misconception(
            "That is the gain relative to popularity, which says nothing about how much more was possible.",
            near(75, 0.5),
            example=75.0,
        ),
        Misconception(
            "Right as a fraction; the answer is asked for in percent.",
            near(0.6, 0.005),
            example=0.6,
        ),
    ),
    hints=(
        "Where does the scale start, and where does it end?",
        "Divide what the model gained over popularity by what the oracle gains over popularity.",
    ),
    solution="share = 100 * (0.35 - 0.20) / (0.45 - 0.20)",
)

quiz = Quiz((
    Question("A model scores every item alike. Which HR@10 should an honest evaluation report?", (
        Option("0: ties count against the model", "It has told nothing apart, and must not be paid for "
        "it.", True),
        Option("1: no item beats the target", "That is what counting strictly better items gives: a bug that "
               "rewards a broken model."),
        Option("whatever `argsort` happens to give", "Then the number depends on the order of the "
        "catalogue, and "
               "changes when it is sorted differently."),
    )),
    Question("A paper reports HR@10 = 0.80 against 100 sampled negatives. What follows for the full "
    "catalogue?", (
        Option("It is about 0.80 there too", "Fewer rivals make every rank better; the full number is "
        "lower."),
        Option("Very little, not even the order of two models", "Sampling inflates, and by a different "
        "amount for "
               "different shapes of rank distributions.", True),
        Option("The number shrinks, but the order of models stays", "The order can flip too; the notebook "
        "shows a lead that turns, "
               "on average, into a deficit."),
    )),
    Question("Purchases are rare. ROC-AUC is high and PR-AUC is low. What is going on?", (
        Option("One of the two has a bug", "Both equal scikit-learn's; they answer different questions."),
        Option("The model is calibrated badly", "Neither area looks at calibration: only the order counts."),
        Option("Among the many negatives, a small share of false alarms outnumbers the hits", "PR-AUC "
        "starts at "
               "the prevalence, ROC-AUC at one half: read each beside its own floor.", True),
    )),
    Question("Why compare two models on the same seeds and subtract seed by seed?", (
        Option("Luck that both share, such as an easy test set, cancels", "What remains is the variation of "
        "the "
               "difference itself, usually far smaller.", True),
        Option("It makes each model better", "The models stay as they are; only the interval changes."),
        Option("It makes five seeds as good as fifty", "Few seeds remain few: Student's t takes a wide "
        "quantile "
               "for them."),
    )),
    Question("Households have many events each. What should a bootstrap resample?", (
        Option("events", "Events of one household resemble each other: the interval comes out too narrow."),
        Option("whole households", "Households are what was drawn, so they are what may be redrawn.", True),
        Option("nothing: with thousands of events there is no uncertainty", "The number of independent "
        "units is "
               "that of the households."),
    )),
))
