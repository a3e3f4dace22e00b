"""The exercises of notebook 15: a number that averages to the effect, the price of a coupon, a balance check."""

import numpy as np

from helpers.course.exercises import Exercise, Misconception, Option, Question, Quiz, agrees, near
from helpers.data import datasets
from helpers.scenarios import marketing


def _transformed(treated, bought, chance):
    return bought * (treated - chance) / (chance * (1 - chance))


def _no_sign(treated, bought, chance):
    return bought * treated / chance


def _halves(treated, bought, chance):
    return bought * (treated - 0.5) / 0.25


def _forgot_division(treated, bought, chance):
    return bought * (treated - chance)


def _swapped(treated, bought, chance):
    return bought * (chance - treated) / (chance * (1 - chance))


_CASES = tuple((np.array([1, 0, 1, 0]), np.array([1, 1, 0, 0]), chance) for chance in (0.5, 0.2))

transformed = Exercise(
    answer="transformed",
    correct=agrees(_transformed, _CASES),
    because="A treated buyer counts 1/e, a control buyer counts -1/(1 - e), everybody else 0. Rare groups count more, "
    "so both arms stand for the same customers, and the mean is the difference of the two buying rates.",
    misconceptions=(
        Misconception(
            "Control buyers must count against the campaign: without a minus you estimate the response, not the uplift.",
            agrees(_no_sign, _CASES),
            example=_no_sign,
        ),
        Misconception(
            "You wrote 0.5 for the propensity. Use `chance`: with one treated customer in five your number is wrong.",
            agrees(_halves, _CASES),
            example=_halves,
        ),
        Misconception(
            "The division by e (1 - e) is missing: half treated, every effect comes out four times too small.",
            agrees(_forgot_division, _CASES),
            example=_forgot_division,
        ),
        Misconception(
            "The sign is turned around: a treated buyer speaks for the campaign.",
            agrees(_swapped, _CASES),
            example=_swapped,
        ),
    ),
    hints=(
        "What must a treated buyer count so that the mean over all customers is the treated group's buying rate?",
        "Treated buyers count 1/chance, control buyers -1/(1 - chance). `treated - chance` has the right sign for both.",
    ),
    solution="def transformed(treated, bought, chance):\n"
    "    return bought * (treated - chance) / (chance * (1 - chance))\n",
)

coupon = Exercise(
    answer="coupon",
    correct=near(-2.5, 0.01),
    because="0.7 × (20 - 5) - 0.6 × 20 - 1 = -2.5. The campaign moves this customer, and still loses: of 70 who buy "
    "with the coupon, 60 would have paid the full price.",
    misconceptions=(
        Misconception(
            "That is the added margin less the postage, 0.1 × 20 - 1. The coupon is missing, and buyers do redeem it.",
            near(1.0, 0.01),
            example=1.0,
        ),
        Misconception(
            "You charge the coupon to the added buyers alone. Those who would have bought anyway redeem it too.",
            near(0.5, 0.01),
            example=0.5,
        ),
        Misconception(
            "That is what this customer brings, 0.7 × 15 - 1. Take off the 0.6 × 20 that it brings without the campaign.",
            near(9.5, 0.01),
            example=9.5,
        ),
        Misconception(
            "Nearly: the 1 euro of postage is missing.",
            near(-1.5, 0.01),
            example=-1.5,
        ),
    ),
    hints=(
        "Write down what the customer brings on average with the campaign, and what without; then subtract.",
        "With it: a buyer brings 20 - 5, with probability 0.7, less 1 of postage. Without it: 0.6 × 20.",
    ),
    solution="coupon = 0.7 * (20 - 5) - 1 - 0.6 * 20",
)


def _homeowners():
    """Standardized difference of owning a home, its plain difference, and the one with unknown homes as no homes."""
    people = datasets.load_complete_journey("demographics")
    got = datasets.load_complete_journey("campaigns")
    reached = people["household_id"].isin(got.loc[got["campaign_id"].astype(int) == 8, "household_id"])
    owner = (people["home_ownership"] == "Homeowner").astype(float)
    known = people["home_ownership"].notna()

    def standardized(rows):
        a, b = owner[rows & reached], owner[rows & ~reached]
        return (a.mean() - b.mean()) / np.sqrt((a.var() + b.var()) / 2)

    return standardized(known), owner[known & reached].mean() - owner[known & ~reached].mean(), standardized(~known | known)


def _given():
    """The names that the notebook has when it asks for homeowners."""
    got = datasets.load_complete_journey("campaigns")
    reached = got.loc[got["campaign_id"].astype(int) == 8, "household_id"]
    people = datasets.load_complete_journey("demographics")
    return {"people": people, "reached_by_8": reached, "marketing": marketing}


_GAP, _PLAIN, _UNKNOWN = _homeowners()

homeowners = Exercise(
    answer="homeowners",
    correct=near(_GAP, 5e-4),
    because="About -0.09, within the usual limit of 0.1. By this feature the campaign looks randomized, and by spending it "
    "is a whole standard deviation off: balance in what was checked proves nothing about the rest.",
    misconceptions=(
        Misconception(
            "That is the plain difference of the two shares. Divide by the standard deviation, as `marketing.balance` does.",
            near(_PLAIN, 5e-4),
            example=_PLAIN,
        ),
        Misconception(
            "The sign is turned around: it is reached minus not reached.",
            near(-_GAP, 5e-4),
            example=-_GAP,
        ),
        Misconception(
            "You counted households whose `home_ownership` is missing as having no home. Leave them out.",
            near(_UNKNOWN, 5e-4),
            example=_UNKNOWN,
        ),
    ),
    hints=(
        "`home_ownership` is missing for some households: `dropna` first, then compare with \"Homeowner\".",
        "`marketing.balance` takes a table with one column of 0 and 1, and who was reached, as 0 and 1.",
    ),
    solution="known = people.dropna(subset=['home_ownership'])\n"
    "owner = (known['home_ownership'] == 'Homeowner').astype(float)\n"
    "reached = known['household_id'].isin(reached_by_8).astype(int)\n"
    "homeowners = marketing.balance(owner.to_frame('owner'), reached).loc['owner', 'difference']\n",
    given=_given(),
)


quiz = Quiz(
    (
        Question(
            "A model of P(buy | features), learned from customers who were not contacted, ranks a customer first. What "
            "follows for the campaign?",
            (
                Option("Contact this customer first", "It buys anyway: there is little left to add, and the contact "
                       "costs money."),
                Option("Nothing about what the contact would add", "Right: propensity is the level without the "
                       "campaign, uplift the change by it.", correct=True),
                Option("Never contact this customer", "A likely buyer may still be moved. Propensity alone cannot say."),
            ),
        ),
        Question(
            "Why can nobody check a predicted uplift against the customer's own uplift in real data?",
            (
                Option("Uplift is too small", "Large effects have the same problem."),
                Option("Privacy forbids it", "Even with all data at hand there is nothing to look up."),
                Option("Each customer is either contacted or not: one of the two outcomes is never seen",
                       "So groups are compared, as the Qini curve does.", correct=True),
            ),
        ),
        Question(
            "An S-learner with a plain logistic regression earned less than a random choice. Why?",
            (
                Option("Without a product of treatment and feature it gives everybody the same added log-odds",
                       "The probability then changes most where it is near one half: likely buyers come first, moved "
                       "or not.",
                       correct=True),
                Option("Logistic regression cannot predict probabilities", "It can; a T-learner of two such models is "
                       "the best of the table."),
                Option("It saw too few customers", "More customers pin down the same wrong form more exactly."),
            ),
        ),
        Question(
            "A model's Qini coefficient is 0.1, and so is that of the true effect. Is the model bad?",
            (
                Option("Yes: 1 would be perfect", "1 needs to know who happens to buy, chance included."),
                Option("No: the true effect itself ranks no higher, as most of an outcome is chance",
                       "Compare models with each other and with 0, with an interval.", correct=True),
                Option("Yes: below 0.5 is worse than a coin", "That is ROC-AUC's scale. For Qini, luck is 0."),
            ),
        ),
        Question(
            "Customers of a campaign were chosen by a manager. They spend twice as much as the others. What did the "
            "campaign add?",
            (
                Option("Half of their spending", "They may have spent as much before: that is why they were chosen."),
                Option("It cannot be said from these data alone", "A random control group would say it. Without one, "
                       "every answer rests on an assumption: name it and test it.", correct=True),
                Option("Nothing", "That is as unfounded as the other number."),
            ),
        ),
        Question(
            "Uplift learned on the web is to serve the new app, where only 300 labels exist. What first?",
            (
                Option("Train a new model on the 300", "Effects are differences of noisy rates: in the near app such a "
                       "model earned next to nothing, where the web's earned most of what was possible."),
                Option("Use the web's model: customers are customers", "In one of the notebook's two apps it lost about "
                       "four thousand euros."),
                Option("Keep contacts random for a while, and check the web's effect on them",
                       "The slope of `calibrate`, with its interval, says whether the order holds, is flat, or turns "
                       "around.", correct=True),
            ),
        ),
    )
)
