"""The exercises of notebook 07: the size of an LSTM, what a transfer copies, and the ceiling of ids."""

from helpers.course.exercises import Exercise, Misconception, Option, Question, Quiz, agrees, near

_SIZES = ((32, 64), (3, 5), (1, 1), (10, 2))
_LOGS = ((["a", "b"], ["a", "c", "a", "a"]), (["a", "a", "c"], ["a", "b"]), (["a"], ["b", "c"]), (["a", "b", "a"], ["b", "a"]),
         (["d", "e", "f"], ["d", "d", "g", "g", "g", "h"]))


def _lstm(inputs, units):
    return 4 * units * (inputs + units + 1)


def _one_gate(inputs, units):
    return units * (inputs + units + 1)


def _without_memory(inputs, units):
    return 4 * units * (inputs + 1)


def _without_bias(inputs, units):
    return 4 * units * (inputs + units)


def _gru(inputs, units):
    return 3 * units * (inputs + units + 1)


lstm_parameters = Exercise(
    answer="lstm_parameters",
    correct=agrees(_lstm, _SIZES, rtol=0, atol=0),
    because="Each of the four gates has `units` outputs, and each output reads `inputs + units` numbers and a bias.",
    misconceptions=(
        Misconception(
            "That is one gate. An LSTM has four: input, forget, candidate and output.",
            agrees(_one_gate, _SIZES, rtol=0, atol=0),
            example=_one_gate,
        ),
        Misconception(
            "The gates read the last output too, `units` numbers more: without it there is no recurrence.",
            agrees(_without_memory, _SIZES, rtol=0, atol=0),
            example=_without_memory,
        ),
        Misconception(
            "The biases are missing: one for each unit of each gate.",
            agrees(_without_bias, _SIZES, rtol=0, atol=0),
            example=_without_bias,
        ),
        Misconception(
            "Three gates make a GRU. An LSTM has four.",
            agrees(_gru, _SIZES, rtol=0, atol=0),
            example=_gru,
        ),
    ),
    hints=(
        "How many numbers does one unit of one gate read? Do not forget the bias.",
        "One gate has `units * (inputs + units + 1)` numbers.",
    ),
    solution="def lstm_parameters(inputs, units):\n    return 4 * units * (inputs + units + 1)\n",
)


share_copied = Exercise(
    answer="share_copied",
    correct=near(102 / 252, 0.0005),
    because="100 shared items and the rows of padding and unknown, of 252 rows in the target's table.",
    misconceptions=(
        Misconception(
            "Count the two rows of padding and unknown too, above and below the line.",
            near(100 / 250, 0.0005),
            example=100 / 250,
        ),
        Misconception(
            "You divided by the source's table. The report speaks of the target's: it is what the new model has.",
            lambda answer: near(102 / 402, 0.0005)(answer) or near(100 / 400, 0.0005)(answer),
            example=102 / 402,
        ),
        Misconception(
            "Padding and unknown are rows of the table as well: add them below the line, as you did above.",
            near(102 / 250, 0.0005),
            example=102 / 250,
        ),
        Misconception(
            "Padding and unknown are copied as well: add them above the line, as you did below.",
            near(100 / 252, 0.0005),
            example=100 / 252,
        ),
    ),
    hints=(
        "How many rows has the target's table, padding and unknown included?",
        "Of these rows, those of the shared items and the first two come from the source.",
    ),
    solution="share_copied = (100 + 2) / (250 + 2)\n",
)


def _known(train_items, test_items):
    return sum(item in set(train_items) for item in test_items) / len(test_items)


def _distinct(train_items, test_items):
    return len(set(train_items) & set(test_items)) / len(set(test_items))


def _unknown(train_items, test_items):
    return 1 - _known(train_items, test_items)


def _of_training(train_items, test_items):
    return sum(item in set(test_items) for item in train_items) / len(train_items)


known_share = Exercise(
    answer="known_share",
    correct=agrees(_known, _LOGS, rtol=0, atol=1e-9),
    because="Every test event counts once, so an item that is often asked for counts often.",
    misconceptions=(
        Misconception(
            "You counted distinct items. The hit rate is over events: a popular item counts as often as it occurs.",
            agrees(_distinct, _LOGS, rtol=0, atol=1e-9),
            example=_distinct,
        ),
        Misconception(
            "That is the share of events that cannot be hit. The ceiling is what is left.",
            agrees(_unknown, _LOGS, rtol=0, atol=1e-9),
            example=_unknown,
        ),
        Misconception(
            "You went over the training events. The hit rate is measured over those of the test.",
            agrees(_of_training, _LOGS, rtol=0, atol=1e-9),
            example=_of_training,
        ),
    ),
    hints=(
        "For one test event: is its item among those of the training?",
        "Take the mean of that over all test events, each as often as it occurs.",
    ),
    solution="def known_share(train_items, test_items):\n"
    "    known = set(train_items)\n"
    "    return sum(item in known for item in test_items) / len(test_items)\n",
)

quiz = Quiz((
    Question("Why does the model score an item by its id and by its attributes?", (
        Option("Because ids are slower to look up", "Both are one row of a table."),
        Option(
            "So that what it learns about attributes holds for items that it has never seen",
            "An id says nothing of a new item; its category, brand and price do.",
            correct=True,
        ),
        Option("Because ids alone cannot tell two items apart", "They can; attributes alone may not."),
    )),
    Question("The oracle reaches 48 % HR@10, the model 46 %. What could a larger network gain?", (
        Option("Up to 54 points", "Nobody can: most of what comes next is chance, even for who knows the truth."),
        Option("About 2 points", "The rest is chance, which no model can predict.", correct=True),
        Option("Nothing, since the LSTM is already perfect", "There is a little room between the two."),
    )),
    Question("At the large shift with 1000 visits, feature extraction is behind scratch. Why?", (
        Option(
            "Probably since its frozen encoder sums up visits by habits that do not hold on the app",
            "The head alone cannot mend what the frozen layers leave out.",
            correct=True,
        ),
        Option("It has fewer weights in all", "It has as many; fewer of them are trained."),
        Option("Its learning rate was not chosen", "It was, on validation data, with as many trials as the others."),
    )),
    Question("On the e-shop, fine-tuning and a pooled Markov chain are about even. What follows?", (
        Option("The network is useless", "With 20 visits it is far ahead of a network from scratch."),
        Option("The network needs more layers", "Nothing shows that; the chain has no layer at all."),
        Option(
            "Here the simple method with the source's visits is a sensible first choice",
            "It costs seconds, and nothing was shown to beat it there.",
            correct=True,
        ),
    )),
    Question("Why is the strategy chosen on validation data, seed by seed, and not on the test?", (
        Option("The test is too small", "Its size is not the point: nothing that chooses may judge."),
        Option(
            "The best of several scores on the test is too high by luck; in practice there is no test to look at",
            "Whatever is chosen on data cannot be judged on the same data.",
            correct=True,
        ),
        Option("Validation is faster", "Time is not the point: the same data must not choose and judge."),
    )),
))
