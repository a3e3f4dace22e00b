"""The exercises of notebook 04: attention with a mask, the parameters of a GRU, and chance with unequal classes."""

import numpy as np

from helpers.course.exercises import Exercise, Misconception, Option, Question, Quiz, agrees, near


def _softmax(scores, axis=-1):
    powers = np.exp(scores - scores.max(axis=axis, keepdims=True))
    return powers / powers.sum(axis=axis, keepdims=True)


def _attend(query, key, value, allowed):
    scores = query @ key.T / np.sqrt(key.shape[1])
    return _softmax(np.where(allowed, scores, -np.inf)) @ value


def _unscaled(query, key, value, allowed):
    return _softmax(np.where(allowed, query @ key.T, -np.inf)) @ value


def _divided_by_size(query, key, value, allowed):
    return _softmax(np.where(allowed, query @ key.T / key.shape[1], -np.inf)) @ value


def _unmasked(query, key, value, allowed):
    return _softmax(query @ key.T / np.sqrt(key.shape[1])) @ value


def _masked_late(query, key, value, allowed):
    return (allowed * _softmax(query @ key.T / np.sqrt(key.shape[1]))) @ value


def _masked_by_zero(query, key, value, allowed):
    return _softmax(allowed * (query @ key.T) / np.sqrt(key.shape[1])) @ value


def _over_the_queries(query, key, value, allowed):
    scores = np.where(allowed, query @ key.T / np.sqrt(key.shape[1]), -np.inf)
    return _softmax(scores, axis=0) @ value


_random = np.random.default_rng(4)
_CASES = tuple(
    (*(_random.normal(size=(length, size)) for size in (4, 4, 3)), np.tril(np.ones((length, length), bool)))
    for length in (3, 6)
)


attend = Exercise(
    answer="attend",
    correct=agrees(_attend, _CASES, rtol=1e-5, atol=1e-6),
    because="Scores are divided by the root of the key's size, forbidden places get minus infinity before the "
    "softmax, so that each row of shares still sums to 1, and the shares mix the values.",
    misconceptions=(
        Misconception(
            "The scores are not divided by the root of the key's size: with long vectors one share takes all.",
            agrees(_unscaled, _CASES, rtol=1e-5, atol=1e-6),
            example=_unscaled,
        ),
        Misconception(
            "You divided by the key's size. The spread of a dot product grows with its root.",
            agrees(_divided_by_size, _CASES, rtol=1e-5, atol=1e-6),
            example=_divided_by_size,
        ),
        Misconception(
            "`allowed` has no effect: the first event sees the last one, that is, the future.",
            agrees(_unmasked, _CASES, rtol=1e-5, atol=1e-6),
            example=_unmasked,
        ),
        Misconception(
            "You masked the shares after the softmax. What is left of a row no longer sums to 1: the forbidden "
            "places have still taken their part.",
            agrees(_masked_late, _CASES, rtol=1e-5, atol=1e-6),
            example=_masked_late,
        ),
        Misconception(
            "You set forbidden scores to 0. A score of 0 is still a vote, since exp(0) = 1: use minus infinity.",
            agrees(_masked_by_zero, _CASES, rtol=1e-5, atol=1e-6),
            example=_masked_by_zero,
        ),
        Misconception(
            "Your softmax runs over the queries (axis 0). Each query shares out its own 1 among the keys: last "
            "axis.",
            agrees(_over_the_queries, _CASES, rtol=1e-5, atol=1e-6),
            example=_over_the_queries,
        ),
    ),
    hints=(
        "Three steps: scores of all pairs, shares of each row, shares times values.",
        "`scores = query @ key.T / np.sqrt(key.shape[1])`; which number has the exponential 0?",
        "`np.where(allowed, scores, -np.inf)`, then the softmax over the last axis.",
    ),
    solution="def attend(query, key, value, allowed):\n"
    "    scores = query @ key.T / np.sqrt(key.shape[1])\n"
    "    scores = np.where(allowed, scores, -np.inf)\n"
    "    powers = np.exp(scores - scores.max(axis=1, keepdims=True))\n"
    "    return powers / powers.sum(axis=1, keepdims=True) @ value\n",
    given={"np": np},
)

gru_numbers = Exercise(
    answer="gru_numbers",
    correct=lambda answer: answer == 10_656,
    because="Three times a dense layer that reads the event (24), the memory (48) and a bias, and Keras' second "
    "bias: 3 * (24 + 48 + 1) * 48 + 3 * 48.",
    misconceptions=(
        Misconception(
            "Nearly: that is the GRU with one bias. Keras' default, `reset_after=True`, has two, one for the "
            "event and one for the memory.",
            lambda answer: answer == 10_512,
            example=10_512,
        ),
        Misconception(
            "That is an LSTM, with four parts. A GRU has three: update, reset and candidate.",
            lambda answer: answer in (14_016, 14_208),
            example=14_016,
        ),
        Misconception(
            "You left out the biases.",
            lambda answer: answer == 10_368,
            example=10_368,
        ),
        Misconception(
            "You counted what reads the event, and left out the square matrices that read the memory.",
            lambda answer: answer in (3_456, 3_600, 3_744),
            example=3_600,
        ),
        Misconception(
            "That is one part out of three: update, reset and candidate have weights of their own.",
            lambda answer: answer in (3_504, 3_552),
            example=3_504,
        ),
    ),
    hints=(
        "Start from a dense layer that reads the event and the memory beside each other.",
        "One such part has (24 + 48 + 1) * 48 numbers. How many parts has a GRU?",
        "Look at the biases in the table of the three cells: Keras' GRU keeps two rows of them.",
    ),
    solution="gru_numbers = 3 * (24 + 48 + 1) * 48 + 3 * 48",
)

DEPARTMENTS = (
    ("GROCERY", 92), ("DRUG GM", 89), ("PRODUCE", 29), ("NUTRITION", 22), ("DELI", 12), ("FLORAL", 10),
    ("MEAT", 10), ("MEAT-PCKGD", 9), ("PASTRY", 8), ("COSMETICS", 4), ("SEAFOOD-PCKGD", 4), ("RESTAURANT", 3),
    *((name, 1) for name in (
        "AUTOMOTIVE", "COUPON", "FROZEN GROCERY", "FUEL", "GARDEN CENTER", "MISCELLANEOUS", "SALAD BAR",
        "SEAFOOD", "SPIRITS", "TOYS")),
)  # fmt: skip
_sizes = [size for _, size in DEPARTMENTS]
_total = sum(_sizes)
_chance = sum(size * (size - 1) for size in _sizes) / (_total * (_total - 1))

chance = Exercise(
    answer="chance",
    correct=near(_chance, 6e-4),
    because="A category of a department of n has n - 1 of the other 301 categories beside it; sum up over all. "
    "Two large departments make a lucky guess far more likely than one in 22.",
    misconceptions=(
        Misconception(
            "That would be right if the 22 departments were equally large. Two of them hold most categories.",
            near(1 / 22, 2e-3),
            example=1 / 22,
        ),
        Misconception(
            "Almost: you let a category be its own neighbor. Of n categories in a department, n - 1 are others.",
            near(sum(size**2 for size in _sizes) / _total**2, 6e-4),
            example=sum(size**2 for size in _sizes) / _total**2,
        ),
        Misconception(
            "That is the share of the largest department: how often the guess GROCERY is right. A random "
            "neighbor is not always from there.",
            near(92 / 302, 2e-3),
            example=92 / 302,
        ),
        Misconception(
            "Right as a percentage; the answer is asked for as a share between 0 and 1.",
            near(100 * _chance, 6e-2),
            example=100 * _chance,
        ),
    ),
    hints=(
        "Take one category of PRODUCE. How many of the other 301 categories belong to PRODUCE too?",
        "(29 - 1) / 301 is the chance of that category, and 29 of 302 categories are in its place.",
        "Sum up n / 302 * (n - 1) / 301 over the departments.",
    ),
    solution="chance = sum(n * (n - 1) for n in sizes) / (302 * 301)",
    given={"sizes": _sizes},
)

quiz = Quiz((
    Question("An item is on sale, but occurs in no training session. What does its row of the table hold?", (
        Option("the average of all rows", "Nothing computes an average. A row learns from the places where its "
               "token stood, and there were none."),
        Option("the random numbers it started with", "Its gradient was zero in every batch, so nothing moved it. "
               "A model that reads it reads noise.", True),
        Option("zeros", "Rows start at small random numbers; only training moves them, and not to zero."),
    )),
    Question("A forget gate stays at 0.9 for 20 events. How much of the memory is left?", (
        Option("about 12 %", "0.9 multiplied 20 times is 0.12: a gate must be very near 1 to remember a whole "
               "session.", True),
        Option("90 %", "The gate acts at every event, not once."),
        Option("nothing: 20 times a tenth is lost, which is more than all", "Each event takes a tenth of what is "
               "still there, not of what was there at the start."),
    )),
    Question("Windows are padded with 0 on the right. An LSTM without a mask returns its last output. What is it?", (
        Option("the state after the last event, since zeros change nothing", "A vector of zeros is an event like "
               "any other: biases and memory still act, gate by gate."),
        Option("the state after the visitor has, as the model sees it, done many more things", "Padding was read "
               "as events. Use a mask, or read the state at the last event.", True),
        Option("an error is raised", "Shapes fit, so nothing complains; only the score suffers."),
    )),
    Question("One attention layer, no positions. Can it answer differently at `belt` after `boots, hat, belt` than "
             "after `hat, boots, belt`?", (
        Option("yes, because attention sees all events at once", "It sees them as a set: it computes the same sum, "
               "with its terms in another order."),
        Option("no: the answer at `belt` is exactly the same", "Scores and values depend on the pair of events "
               "alone, not on where they stand.", True),
        Option("yes, if there are several heads", "Each head is blind to the order, so all of them together are."),
    )),
    Question("A new shop sells nothing that the old one sold. Which part of the model can be copied with its "
             "meaning intact?", (
        Option("the item table", "Its rows belong to items that the new shop does not sell."),
        Option("the output layer", "It holds one column an item: a table too, and just as tied to the old items."),
        Option("none of these two; the encoder can be copied, but it needs a table that speaks its language",
               "Its weights name no item. They read coordinates, which the new table must learn to write, or get "
               "from titles or images.", True),
    )),
    Question("Two trainings, equal but for the seed. May one take the table of the first and the encoder of the "
             "second?", (
        Option("yes, both were trained on the same data", "The same data fixes distances between rows at best, "
               "never their directions."),
        Option("no: each training chooses its own coordinates, and an encoder reads only those of its own table",
               "A rotation of the table and the opposite one of the encoder cancel: the loss cannot tell the two "
               "models apart.", True),
        Option("yes, if the sizes agree", "Then no error is raised, and the scores are those of a broken model."),
    )),
))
