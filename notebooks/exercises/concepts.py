"""The exercises of notebook 01: settings named, counts pooled by hand, and two stores of one chain."""

import numpy as np

from helpers.course.exercises import Exercise, Misconception, Option, Question, Quiz, agrees

_RIGHT = {"A": "inductive", "B": "transductive", "C": "unsupervised", "D": "inductive"}


def _but(**changed):
    return _RIGHT | changed


settings = Exercise(
    answer="settings",
    correct=lambda answer: {case: name.strip().lower() for case, name in answer.items()} == _RIGHT,
    because="A and D have labels in the target, B has them in the source alone, C has none anywhere. "
    "That D asks another question "
    "than its source did changes nothing: labels of its own are what it needs, and it has them.",
    misconceptions=(
        Misconception(
            "Look at A again: a recorded visit brings its own labels, because each event is followed by "
            "the answer to "
            "`what comes next`. Nobody has to label 200 visits.",
            lambda answer: answer["A"] != "inductive",
            example=_but(A="transductive"),
        ),
        Misconception(
            "In B there are labels, but all of them in the source. Unsupervised transfer has none on "
            "either side.",
            lambda answer: answer["B"] == "unsupervised",
            example=_but(B="unsupervised"),
        ),
        Misconception(
            "In B no payment of the app is known to be fraud: there is nothing to induce the app's rule "
            "from. Inductive "
            "transfer needs some labels of the target.",
            lambda answer: answer["B"] == "inductive",
            example=_but(B="inductive"),
        ),
        Misconception(
            "C only groups visitors: no answer is known for any of them, on either platform, so no "
            "label is used at all.",
            lambda answer: answer["C"] != "unsupervised",
            example=_but(C="transductive"),
        ),
        Misconception(
            "In D the two questions differ, and transductive transfer is defined for one question asked "
            "in two domains.",
            lambda answer: answer["D"] == "transductive",
            example=_but(D="transductive"),
        ),
        Misconception(
            "D has the outcome of 500 visits to the app. These are labels.",
            lambda answer: answer["D"] == "unsupervised",
            example=_but(D="unsupervised"),
        ),
    ),
    hints=(
        "For each case, ask first whether some answers are known in the app, then whether some are "
        "known on the web site.",
        "Known in the app: inductive. Known on the web site alone: transductive. Known nowhere: "
        "unsupervised.",
        "In A, is the next item of a recorded visit known? In D, is it known how the 500 visits ended?",
    ),
    solution='settings = {"A": "inductive", "B": "transductive", "C": "unsupervised", "D": "inductive"}',
    otherwise="The three names are `inductive`, `transductive` and `unsupervised`, one for each of the "
    "keys A, B, C and D.",
)

_CASES = (
    ([4, 0, 1], [10, 30, 60], 0.1),
    ([0, 0, 0], [1, 2, 1], 0.5),
    ([3, 1, 0], [0, 0, 9], 0.0),
    ([2, 2, 0], [0, 8, 8], 1.0),
)


def _pooled(target, source, weight):
    counts = [t + weight * s for t, s in zip(target, source, strict=True)]
    return [count / sum(counts) for count in counts]


def _mixed_shares(target, source, weight):
    shares = [np.asarray(counts) / max(sum(counts), 1) for counts in (target, source)]
    return list((1 - weight) * shares[0] + weight * shares[1])


def _added_shares(target, source, weight):
    shares = [np.asarray(counts) / max(sum(counts), 1) for counts in (target, source)]
    mixed = shares[0] + weight * shares[1]
    return list(mixed / mixed.sum())


def _weights_the_target(target, source, weight):
    counts = [weight * t + s for t, s in zip(target, source, strict=True)]
    return [count / sum(counts) for count in counts]


def _counts_alone(target, source, weight):
    return [t + weight * s for t, s in zip(target, source, strict=True)]


def _no_weight(target, source, weight):
    return _pooled(target, source, 1.0)


pooled_row = Exercise(
    answer="pooled_row",
    correct=agrees(_pooled, _CASES, rtol=1e-5),
    because="One web visit counts as `weight` app visits, and then shares are taken. The more the app "
    "has seen, the less the web site "
    "matters, without anyone having to say so: with no app visit the row is the web site's, with many "
    "it is the app's own.",
    misconceptions=(
        Misconception(
            "You mixed the two rows of shares. Then a row that rests on three app visits weighs as much "
            "as one that rests on three "
            "thousand: add the counts first, and divide once.",
            agrees(_mixed_shares, _CASES, rtol=1e-5),
            example=_mixed_shares,
        ),
        Misconception(
            "You turned each platform's counts into shares before you added them, so the number of "
            "visits behind each is lost. "
            "Add the counts.",
            agrees(_added_shares, _CASES, rtol=1e-5),
            example=_added_shares,
        ),
        Misconception(
            "You weighted the app's counts. The app is what we want to predict: its visits count in "
            "full, the web site's are discounted.",
            agrees(_weights_the_target, _CASES, rtol=1e-5),
            example=_weights_the_target,
        ),
        Misconception(
            "The counts are right, but a row of probabilities sums to one: divide by the sum.",
            agrees(_counts_alone, _CASES, rtol=1e-5),
            example=_counts_alone,
        ),
        Misconception(
            "You added all web visits in full. Where is `weight`?",
            agrees(_no_weight, _CASES, rtol=1e-5),
            example=_no_weight,
        ),
    ),
    hints=(
        "Work in counts until the last line.",
        "What does one web visit count for, if an app visit counts for 1?",
        "`counts = [t + weight * s for t, s in zip(target, source)]`, and then divide each by their sum.",
    ),
    solution="def pooled_row(target, source, weight):\n"
    "    counts = [t + weight * s for t, s in zip(target, source)]\n"
    "    return [count / sum(counts) for count in counts]\n",
)

_SHARED = {"customers": 5 / 106, "items": 265 / 276}
_STORES = {  # as many distinct customers and items, and as many in common, as the two stores have
    "first": {"user_id": range(205), "item_id": range(279)},
    "second": {"user_id": range(200, 306), "item_id": range(14, 290)},
}


def _near(answer, customers, items):
    return abs(answer["customers"] - customers) < 0.002 and abs(answer["items"] - items) < 0.004


shared = Exercise(
    answer="shared",
    correct=lambda answer: _near(answer, **_SHARED),
    because="Of the second store's customers hardly one in twenty is known to the first, but of what "
    "they buy nearly everything is: two "
    "shops with shared items, the second of the three pictures. What one store counted about items can "
    "be carried to the other; "
    "what it knows of a customer cannot.",
    misconceptions=(
        Misconception(
            "You divided by what the first store has. It is the second one's customers that must be "
            "served, so ask which share of "
            "*them* is known.",
            lambda answer: _near(answer, 5 / 205, 265 / 279),
            example={"customers": 5 / 205, "items": 265 / 279},
        ),
        Misconception(
            "You divided by everyone who shops in either. That measures how alike the two are, not how "
            "much of the target is known.",
            lambda answer: _near(answer, 5 / 306, 265 / 290),
            example={"customers": 5 / 306, "items": 265 / 290},
        ),
        Misconception(
            "Right, but in percent: shares lie between 0 and 1.",
            lambda answer: _near({key: value / 100 for key, value in answer.items()}, **_SHARED),
            example={key: 100 * value for key, value in _SHARED.items()},
        ),
        Misconception(
            "These are counts. How large a part of the second store is that?",
            lambda answer: answer["customers"] == 5 and answer["items"] == 265,
            example={"customers": 5, "items": 265},
        ),
        Misconception(
            "You have the two the other way round.",
            lambda answer: _near(answer, customers=_SHARED["items"], items=_SHARED["customers"]),
            example={"customers": _SHARED["items"], "items": _SHARED["customers"]},
        ),
    ),
    hints=(
        "A customer counts once, however often she came: work with sets, or with `unique()`.",
        "`set(first[column]) & set(second[column])` is what both know; divide by what the second store "
        "has.",
    ),
    solution="shared = {\n"
    "    name: len(set(first[column]) & set(second[column])) / len(set(second[column]))\n"
    '    for name, column in (("customers", "user_id"), ("items", "item_id"))\n'
    "}\n",
    given=_STORES,
    otherwise='Give a dict with the keys "customers" and "items", each a share of what the *second* '
    'store has.',
)

quiz = Quiz((
    Question("The app sells what the web site sells, to people who want other things next. Which part "
    "differs?", (
        Option("The inputs' space X: other people are other inputs", "X is what can be written down at "
        "all: visits over the same items. "
               "It is the same."),
        Option("The rule f: the same visit so far is followed by other items", "f is P(next item | "
        "visit so far), and that is what "
               "changed. The task differs, though the question is worded alike.", True),
        Option("The answers' space Y", "The same items can come next on both."),
    )),
    Question("Two shops share neither customers nor items. What of a network over item numbers can be "
    "carried over?", (
        Option("Everything: the item table is only an index", "Row 17 is boots here and a belt there: "
        "its numbers mean nothing in the other shop."),
        Option("Nothing at all", "The layers that read the rows are not tied to a catalogue, and "
        "attributes or titles can join the two."),
        Option("The layers between the item tables; the tables must be bridged by something both "
        "describe", "Titles, attributes or "
               "images give the items of both a common language.", True),
    )),
    Question("A colleague proposes model extraction to speed up the app's launch. What did he say?", (
        Option("To copy a model by asking it many questions", "That is what the term means, and it is "
        "an attack. He probably means "
               "feature extraction: freeze the source's layers, train a new head.", True),
        Option("To take the features that a trained model computes", "That is feature extraction; the "
        "terms differ by one word and by "
               "who owns the model."),
        Option("To make a model smaller", "That is compression, or distillation where a small model "
        "learns from a large one."),
    )),
    Question("With shift 1, the model that learned from both platforms found fewer next items than the "
    "one with 200 app visits alone. Why?", (
        Option("Two data sets always disturb each other", "With small shift the same pooling helped: "
        "the whole interval lies above zero."),
        Option("4,000 visits of other habits outvoted 200 of the right ones", "The counts are added, so "
        "the larger log wins, right or "
               "wrong. That is negative transfer.", True),
        Option("The app is harder to predict at shift 1", "The oracle's score does not fall with the "
        "shift, and the app's own chain does as well as before."),
    )),
    Question("A fine-tuned network reached the score of scratch with fewer app visits. Was it cheaper?", (
        Option("Yes: fewer visits, so less time", "The source had to be trained first, on thousands of "
        "visits."),
        Option("No: training twice can never be cheaper", "One source may serve many targets; then its "
        "cost is shared."),
        Option("In visits to the app, yes; in computing, only if the source was there already or is "
        "used again", "Both are costs. "
               "Name the one that is scarce in your case.", True),
    )),
    Question("Which sentence about large pretrained models is right?", (
        Option("Transformer, BERT and GPT are three large models", "The first is an architecture; the "
        "others are models of that "
               "architecture, trained to fill gaps and to go on."),
        Option("A large enough model over item numbers transfers to any shop", "Size does not give a "
        "number a meaning in another catalogue."),
        Option("They carry over because the words of a title are the same words in both shops", "The "
        "vocabulary of a language model is "
               "shared; a catalogue's numbers are not.", True),
    )),
))
