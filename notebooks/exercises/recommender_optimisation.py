"""The exercises of notebook 14: the weights of a log, the size of a test, and the unit that was drawn."""

import numpy as np

from helpers.course.exercises import Exercise, Misconception, Option, Question, Quiz, agrees, near

_LOGS = tuple(
    tuple(np.array(column, float) for column in log)
    for log in (
        ([1, 0, 1, 0, 1], [0.5, 0.2, 0.1, 0.4, 0.8], [0.1, 0.6, 0.4, 0.2, 0.3]),
        ([0, 1, 1], [0.9, 0.3, 0.5], [0.4, 0.8, 0.1]),
    )
)


def _ips(rewards, propensities, target):
    return np.mean(target / propensities * rewards)


def _no_propensity(rewards, propensities, target):
    return np.mean(target * rewards)


def _normalized(rewards, propensities, target):
    weights = target / propensities
    return np.sum(weights * rewards) / np.sum(weights)


def _upside_down(rewards, propensities, target):
    return np.mean(propensities / target * rewards)


def _clicks_only(rewards, propensities, target):
    return np.sum(target / propensities * rewards) / np.sum(rewards)


ips_value = Exercise(
    answer="ips_value",
    correct=agrees(_ips, _LOGS),
    because="Each reward is weighted by how much more often the new policy would have shown the item, and the mean "
    "is over all displays, also those without a click.",
    misconceptions=(
        Misconception(
            "You weighted by the new policy alone. What the old policy showed often stands in the log often, and "
            "has to be divided by its propensity.",
            agrees(_no_propensity, _LOGS),
            example=_no_propensity,
        ),
        Misconception(
            "You divided by the sum of the weights: that is SNIPS. IPS divides by the number of displays.",
            agrees(_normalized, _LOGS),
            example=_normalized,
        ),
        Misconception(
            "Your weight is upside down. An item that the new policy shows more often must count more, not less.",
            agrees(_upside_down, _LOGS),
            example=_upside_down,
        ),
        Misconception(
            "You averaged over the clicks. A display without a click is an outcome too, and counts as zero.",
            agrees(_clicks_only, _LOGS),
            example=_clicks_only,
        ),
    ),
    hints=(
        "An item that the new policy would show four times as often should count four times.",
        "The weight is `target / propensities`; average weight times reward over all displays.",
    ),
    solution="def ips_value(rewards, propensities, target):\n"
    "    weights = target / propensities\n"
    "    return (weights * rewards).mean()\n",
)


def _size(alpha_quantile, power_quantile, lift=0.01):
    other = 0.04 + lift
    return (alpha_quantile + power_quantile) ** 2 * (0.04 * 0.96 + other * (1 - other)) / lift**2


_PLANNED = _size(1.95996, 1.28155)

readers = Exercise(
    answer="readers",
    correct=near(_PLANNED, 0.005 * _PLANNED),
    because="The quantiles are 1.960 for a two-sided 0.05 and 1.282 for a power of 0.9; their sum, squared, times the "
    "two variances over the squared gain gives about nine thousand in each arm.",
    misconceptions=(
        Misconception(
            "That is both arms together. The question asks for the readers of each arm.",
            near(2 * _PLANNED, 0.01 * _PLANNED),
            example=2 * _PLANNED,
        ),
        Misconception(
            "That is the size for a power of 0.8. A power of 0.9 needs a larger quantile, hence more readers.",
            near(_size(1.95996, 0.84162), 0.005 * _PLANNED),
            example=_size(1.95996, 0.84162),
        ),
        Misconception(
            "That is the size of a one-sided test. Two-sided, each side gets 0.025, and the quantile is 1.960.",
            near(_size(1.64485, 1.28155), 0.005 * _PLANNED),
            example=_size(1.64485, 1.28155),
        ),
        Misconception(
            "You read the gain as 1 % of 4 %. From 4 % to 5 % is an absolute gain of 0.01.",
            near(_size(1.95996, 1.28155, lift=0.0004), 0.005 * _size(1.95996, 1.28155, lift=0.0004)),
            example=_size(1.95996, 1.28155, lift=0.0004),
        ),
    ),
    hints=(
        "The formula is in the section on the A/B test; `recommendation.sample_size` holds it.",
        "The rate is 0.04 and the lift 0.01; pass `power=0.9`.",
    ),
    solution="from helpers.scenarios import recommendation\n"
    "readers = recommendation.sample_size(0.04, 0.01, power=0.9)\n",
)

_SHARES = np.array([0.1, 0.5, 0.4, 0.9, 0.2, 0.6, 0.0])
_CASES = (
    (_SHARES, np.array([1, 0, 1, 1, 0, 1, 0], bool)),
    (_SHARES[::-1] ** 2, np.array([0, 0, 1, 1, 1, 0, 1], bool)),
)


def _arms(share, treated):
    return share[treated], share[~treated]


def _by_household(share, treated):
    a, b = _arms(share, treated)
    return (a.mean() - b.mean()) / np.sqrt(a.var(ddof=1) / len(a) + b.var(ddof=1) / len(b))


def _spread_of_one(share, treated):
    a, b = _arms(share, treated)
    return (a.mean() - b.mean()) / np.sqrt(a.var(ddof=1) + b.var(ddof=1))


def _as_rates(share, treated):
    a, b = (arm.mean() for arm in _arms(share, treated))
    return (a - b) / np.sqrt(a * (1 - a) / treated.sum() + b * (1 - b) / (~treated).sum())


def _of_all(share, treated):
    a, b = _arms(share, treated)
    return (a.mean() - b.mean()) / np.sqrt(share.var(ddof=1) / len(share))


z_by_household = Exercise(
    answer="z_by_household",
    correct=agrees(_by_household, _CASES),
    because="Households were drawn, so households are the units: one number for each, and the variance between them, "
    "which holds all that the baskets of a household have in common.",
    misconceptions=(
        Misconception(
            "You divided by the spread of single households. The mean of an arm varies less: divide each variance by "
            "the number of households in the arm.",
            agrees(_spread_of_one, _CASES),
            example=_spread_of_one,
        ),
        Misconception(
            "p (1 - p) is the variance of a yes or no. A household's share lies between: take the variance that the "
            "shares have.",
            agrees(_as_rates, _CASES),
            example=_as_rates,
        ),
        Misconception(
            "That is the standard error of one mean of all households. A difference of two means has the variances "
            "of both, each over its own number.",
            agrees(_of_all, _CASES),
            example=_of_all,
        ),
        Misconception(
            "The sign is turned: treated minus control is asked for.",
            agrees(lambda share, treated: -_by_household(share, treated), _CASES),
            example=lambda share, treated: -_by_household(share, treated),
        ),
    ),
    hints=(
        "Split `share` into `share[treated]` and `share[~treated]`; each is a sample of independent numbers.",
        "The squared standard error is `a.var(ddof=1) / len(a) + b.var(ddof=1) / len(b)`.",
    ),
    solution="import numpy as np\n\n"
    "def z_by_household(share, treated):\n"
    "    a, b = share[treated], share[~treated]\n"
    "    error = np.sqrt(a.var(ddof=1) / len(a) + b.var(ddof=1) / len(b))\n"
    "    return (a.mean() - b.mean()) / error\n",
)

quiz = Quiz((
    Question("The ranker is excellent and the page is not. Retrieval fetches 50 of a million items with a recall of "
    "0.4. What helps?", (
        Option("a better ranker", "It would order the same 50. Six in ten of the right items are not among them."),
        Option("better or more candidates", "Recall is the ceiling of everything that follows.", True),
        Option("a faster index", "Speed does not bring back what was missed; it may pay for more candidates."),
    )),
    Question("Why do the item tower's inputs matter for a new platform?", (
        Option("A number means nothing there; attributes can be read on both", "An item that was never sold on the source "
               "has no row in a table of numbers.", True),
        Option("Attributes make the search faster", "The search sees vectors of the same length either way."),
        Option("They do not: fine-tuning adds what is missing", "It needs sessions, and the first day has none."),
    )),
    Question("The old policy never explored. IPS gives a narrow interval for the new one. What is it worth?", (
        Option("Little: what was never shown counts as zero clicks; at best a lower limit", "The mean weight, far "
               "below one, tells.", True),
        Option("It is right, only uncertain", "The interval counts the luck in the log, not what the log cannot "
               "hold."),
        Option("It is an upper limit", "What was never shown would add clicks, not take them away: it errs low."),
    )),
    Question("What does the doubly robust estimate do with a wrong table from another platform?", (
        Option("It inherits the table's bias", "That is the direct method. Right propensities correct the errors."),
        Option("It stays unbiased if the propensities are right; the spread may suffer", "The weighted errors of the "
               "table are added back.", True),
        Option("It ignores the table", "The table sets where it starts, and how much is left to correct."),
    )),
    Question("A test planned for 12,000 visitors an arm shows z = 2.1 after a quarter of them. The plan has one look.", (
        Option("Stop: 2.1 is above 1.96", "That limit was made for one look at the end. This is an extra chance."),
        Option("Go on to the end, and read it there", "Or plan the looks beforehand, with limits made for them.", True),
        Option("Throw the test away", "Looking did no harm; acting on it would."),
    )),
    Question("Greedy choice on the source's table earned most in ten rounds. What was lost?", (
        Option("nothing, it earned most", "The next policy cannot be judged from a log that shows one item each."),
        Option("clicks in the long run, certainly", "Ten rounds do not show that, and at the small shift the choice "
               "was near the best."),
        Option("the means to judge another policy", "A log holds what was shown. Exploration buys comparisons.", True),
    )),
))
