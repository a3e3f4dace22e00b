"""The exercises of notebook 12: a tensor as a window, what a modality adds, and neighbors among pictures."""

import numpy as np

from helpers.course.exercises import Exercise, Misconception, Option, Question, Quiz, agrees, near


def _window(numbers, offset, shape, strides):
    return [[numbers[offset + i * strides[0] + j * strides[1]] for j in range(shape[1])] for i in range(shape[0])]


def _in_memory_order(numbers, offset, shape, strides):
    return [[numbers[offset + i * shape[1] + j] for j in range(shape[1])] for i in range(shape[0])]


def _without_offset(numbers, offset, shape, strides):
    return _window(numbers, 0, shape, strides)


def _strides_swapped(numbers, offset, shape, strides):
    return _window(numbers, offset, shape, strides[::-1])


def _shape_swapped(numbers, offset, shape, strides):
    return _window(numbers, offset, shape[::-1], strides)


_WINDOWS = (
    (list(range(10, 22)), 0, (2, 3), (3, 1)),
    (list(range(10, 22)), 1, (3, 2), (1, 4)),
    (list(range(10, 22)), 2, (2, 2), (2, 5)),
)


def _is(function):
    return agrees(function, _WINDOWS, rtol=0, atol=0)


window = Exercise(
    answer="window",
    correct=_is(_window),
    because="Element (i, j) lies at `offset + i * strides[0] + j * strides[1]`. With strides (1, rows) the same numbers "
    "read as the transposed table: nothing was moved.",
    misconceptions=(
        Misconception(
            "You read row after row as if they lay one behind the other. The strides say how far apart they are; in "
            "the file of this lesson nearly every kernel would come out scrambled, with the right shape.",
            _is(_in_memory_order),
            example=_in_memory_order,
        ),
        Misconception("The window starts at `offset`, not at the first number of the storage.", _is(_without_offset),
                      example=_without_offset),
        Misconception("The first stride belongs to the first axis, the rows. You swapped them.", _is(_strides_swapped),
                      example=_strides_swapped),
        Misconception("The shape is (rows, columns). You swapped them.", _is(_shape_swapped), example=_shape_swapped),
    ),
    hints=(
        "Where in the list is the element in row 0 and column 0? And the one in row 1 and column 0?",
        "One step down moves by `strides[0]`, one step to the right by `strides[1]`, both from `offset`.",
    ),
    solution="def window(numbers, offset, shape, strides):\n"
    "    rows, columns = shape\n"
    "    return [[numbers[offset + i * strides[0] + j * strides[1]] for j in range(columns)]\n"
    "            for i in range(rows)]\n",
)

_GAIN_ALONE, _GAIN_LAST = 0.30 - 0.20, 0.41 - 0.40

image_share = Exercise(
    answer="image_share",
    correct=near(100 * (_GAIN_ALONE + _GAIN_LAST) / 2, 0.01),
    because="Added first, the picture is worth 10 points, added after the title 1 point. Neither order is the right one, so "
    "the two are averaged: 5.5 points. The title gets 15.5 in the same way, and both together the 21 that there are.",
    misconceptions=(
        Misconception(
            "That is what the picture adds to ids alone. It credits the picture with everything that the title would have "
            "told too.",
            near(10, 0.01),
            example=10.0,
        ),
        Misconception(
            "That is what the picture adds to id and title. It credits the title with everything that both tell.",
            near(1, 0.01),
            example=1.0,
        ),
        Misconception(
            "That is the whole gain of title and picture together, over ids alone.", near(21, 0.01), example=21.0
        ),
        Misconception("Right as a fraction; the answer is asked for in points.", near(0.055, 0.0005), example=0.055),
        Misconception("You added the two gains; take their mean.", near(11, 0.01), example=11.0),
    ),
    hints=(
        "The picture can come first (id, then picture) or last (id and title, then picture). What does it add each time?",
        "Average the two gains, and turn them into points (hundredths).",
    ),
    solution="image_share = 100 * ((0.30 - 0.20) + (0.41 - 0.40)) / 2",
)


def _neighbor_share(table, labels, itself=False, farthest=False):
    table, labels = np.asarray(table, float), np.asarray(labels)
    distance = ((table[:, None] - table[None]) ** 2).sum(axis=-1)
    if not itself:
        np.fill_diagonal(distance, -np.inf if farthest else np.inf)
    nearest = distance.argmax(axis=1) if farthest else distance.argmin(axis=1)
    return float((labels[nearest] == labels).mean())


def _with_itself(table, labels):
    return _neighbor_share(table, labels, itself=True)


def _with_farthest(table, labels):
    return _neighbor_share(table, labels, farthest=True)


def _with_center(table, labels):
    table, labels = np.asarray(table, float), np.asarray(labels)
    names = sorted(set(labels.tolist()))
    centers = np.array([table[labels == name].mean(axis=0) for name in names])
    nearest = ((table[:, None] - centers[None]) ** 2).sum(axis=-1).argmin(axis=1)
    return float((np.array(names)[nearest] == labels).mean())


def _percent(table, labels):
    return 100 * _neighbor_share(table, labels)


_TABLES = (
    ([[0.0, 0], [0.1, 0], [5, 5], [5, 5.2], [0, 0.3]], [0, 0, 1, 1, 1]),
    ([[0.0], [1], [2.1], [2.9], [9]], [0, 0, 1, 0, 1]),
)

same_class_share = Exercise(
    answer="same_class_share",
    correct=agrees(_neighbor_share, _TABLES),
    because="Each picture is compared with all others, never with itself; the share of pairs of one class says how well "
    "the table keeps like with like, with no classifier in between.",
    misconceptions=(
        Misconception(
            "Each picture found itself, at distance 0, so every table scores 1. Put infinity on the diagonal.",
            agrees(_with_itself, _TABLES),
            example=_with_itself,
        ),
        Misconception("You took the farthest picture: `argmin` of the distances finds the nearest.",
                      agrees(_with_farthest, _TABLES), example=_with_farthest),
        Misconception(
            "You compared with the mean of each class, which the picture itself helped to make. Compare with single "
            "pictures.",
            agrees(_with_center, _TABLES),
            example=_with_center,
        ),
        Misconception("Right in percent; the answer is asked for as a share.", agrees(_percent, _TABLES),
                      example=_percent),
    ),
    hints=(
        "Make the table of squared distances: `((table[:, None] - table[None]) ** 2).sum(axis=-1)`.",
        "`np.fill_diagonal(distance, np.inf)`, then `labels[distance.argmin(axis=1)] == labels`.",
    ),
    solution="def same_class_share(table, labels):\n"
    "    table, labels = np.asarray(table, float), np.asarray(labels)\n"
    "    distance = ((table[:, None] - table[None]) ** 2).sum(axis=-1)\n"
    "    np.fill_diagonal(distance, np.inf)\n"
    "    return (labels[distance.argmin(axis=1)] == labels).mean()\n",
    given={"np": np},
)

quiz = Quiz((
    Question("Why can the weights of an image network not be copied into an LSTM of visits?", (
        Option("Their shapes differ; reshaping them would do", "Any array can be reshaped. The numbers would then mean "
               "nothing: a filter of edges is no gate of a memory."),
        Option("They read different things: one pixels, the other events", "What carries over is what the image network "
               "says of a picture: its vector.", True),
        Option("Because the image network is frozen", "Freezing says what trains. It neither helps nor hinders "
               "copying."),
    )),
    Question("You freeze the layers of model A, then train model B. What has the freezing done?", (
        Option("Nothing to B", "`trainable` belongs to the layers of A, and A is not trained.", True),
        Option("It froze the layers of B with the same names", "Keras connects nothing by name on its own."),
        Option("It made A worse", "A stays exactly as it was."),
    )),
    Question("Why not simply unpickle a file of weights from the network?", (
        Option("It is slow", "It is fast. That is not the trouble."),
        Option("A pickle may call any function while it is read", "So the reader allows the three names that weights "
               "need, and refuses all others.", True),
        Option("Pickles lose digits", "They keep every bit."),
    )),
    Question("Titles name category, tier and brand, and so does the picture. What does the picture add to id and title?", (
        Option("As much as it adds to the id alone", "Two modalities that say the same are not counted twice."),
        Option("Little or nothing", "What it could tell is told already. Compare with a model that has the title.", True),
        Option("It must hurt, since there are more inputs", "It may, where labels are few. That would have to be "
               "measured."),
    )),
    Question("Which change would tell you that the gain comes from what the pictures show?", (
        Option("More units in the LSTM", "That changes the size of the model, not what the pictures say."),
        Option("The same tables, with their rows shuffled among the items", "Size and statistics stay, the content goes: "
               "if the gain stays too, it was not the content.", True),
        Option("Training longer", "That says how far training got, not why."),
    )),
    Question("On warm items, a model of ids scores as high as the oracle, and on cold items zero. How can that be?", (
        Option("It has found out what the oracle does not know", "The oracle knows the truth from which the visits were "
               "drawn; over all items no model with the same history is better on average."),
        Option("It never recommends a new item, so only the old ones compete for its ten places", "The oracle gives "
               "places to new items where they are likely. Warm and cold are two halves of one list: judge them "
               "together.", True),
        Option("The test visits were used for training", "Then it would find cold items too."),
    )),
))
