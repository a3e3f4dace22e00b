"""The exercises of notebook 11: n-grams that two words share, a correction by hand, and aisles from names."""

import numpy as np

from helpers.course.exercises import Exercise, Misconception, Option, Question, Quiz, agrees, near

_WORDS = (("boots", "booties"), ("jacket", "coat"), ("banana", "bandana"), ("mug", "mug"), ("hat", "that"))


def _shared(a, b):
    first, second = ({f" {w} "[i:i + 3] for i in range(len(w))} for w in (a, b))
    return len(first & second)


def _without_spaces(a, b):
    first, second = ({w[i:i + 3] for i in range(len(w) - 2)} for w in (a, b))
    return len(first & second)


def _letters(a, b):
    return len(set(a) & set(b))


def _all_of_both(a, b):
    first, second = ({f" {w} "[i:i + 3] for i in range(len(w))} for w in (a, b))
    return len(first | second)


def _with_repeats(a, b):
    first, second = ([f" {w} "[i:i + 3] for i in range(len(w))] for w in (a, b))
    return sum(piece in second for piece in first)


shared_ngrams = Exercise(
    answer="shared_ngrams",
    correct=agrees(_shared, _WORDS, rtol=0, atol=0),
    because="`boots` and `booties` share ` bo`, `boo` and `oot`. `jacket` and `coat` share none: to n-grams they have "
    "nothing in common, though they are nearly the same thing.",
    misconceptions=(
        Misconception("You left out the spaces around the word. They mark where a word starts and ends, so that the "
                      "`hat` of `that` is not all of `hat`.",
                      agrees(_without_spaces, _WORDS, rtol=0, atol=0), example=_without_spaces),
        Misconception("You counted letters. Pieces of three letters keep some of the order.",
                      agrees(_letters, _WORDS, rtol=0, atol=0), example=_letters),
        Misconception("You counted the pieces of either word; asked for are those in both.",
                      agrees(_all_of_both, _WORDS, rtol=0, atol=0), example=_all_of_both),
        Misconception("You counted a piece once for each time that it occurs: `ana` stands twice in `banana`. Count "
                      "distinct pieces.", agrees(_with_repeats, _WORDS, rtol=0, atol=0), example=_with_repeats),
    ),
    hints=("What are the pieces of three characters of ` mug `, with its two spaces?",
           "Make a set of `padded[i:i + 3]` for each word; `&` keeps what both hold."),
    solution="def shared_ngrams(a, b):\n"
    "    first, second = ({f' {w} '[i:i + 3] for i in range(len(w))} for w in (a, b))\n"
    "    return len(first & second)\n",
)

correction = Exercise(
    answer="correction",
    correct=near(float(np.log(10 / 6)), 0.01),
    because="Four expected views of prior are added on both sides: log((6 + 4) / (2 + 4)) = log(10 / 6) = 0.51. The "
    "item came three times as often as expected, but six views are too few to believe all of it.",
    misconceptions=(
        Misconception("That is log(6 / 2), without the prior: it believes six views in full, and an item that never "
                      "came would get minus infinity.", near(float(np.log(3)), 0.01), example=float(np.log(3))),
        Misconception("That is the factor on the item's rate; what is added to a score is its logarithm.",
                      near(10 / 6, 0.01), example=10 / 6),
        Misconception("The ratio is upside down: the item came more often than expected, so its score must rise.",
                      near(float(np.log(6 / 10)), 0.01), example=float(np.log(6 / 10))),
        Misconception("You added the prior to what came alone. It belongs on both sides, so that no label means no "
                      "correction.", near(float(np.log(5)), 0.01), example=float(np.log(5))),
    ),
    hints=("What does the formula give when the item came exactly as often as expected?",
           "Put n = 6, e = 2 and w = 4 into log((n + w) / (e + w))."),
    solution="import math\n\ncorrection = math.log((6 + 4) / (2 + 4))",
)

same_department = Exercise(
    answer="same_department",
    correct=near(0.409, 0.008),
    because="Four in ten names have their nearest other name in the same department. The names alone know a good part "
    "of how a grocer sorts the store (always guessing the largest department would be right in three of ten), and miss "
    "the larger part of it.",
    misconceptions=(
        Misconception("Every name is nearest to itself. Take each category out of its own list, for example with "
                      "`np.fill_diagonal(cosines, -2)`.", near(1.0, 0.008), example=1.0),
        Misconception("That is the share with character n-grams. Asked for are static vectors.",
                      near(0.347, 0.008), example=0.3465),
        Misconception("That is the share of the largest department, which asks no vector.",
                      near(0.304, 0.008), example=0.3036),
        Misconception("That is the number of hits; divide it by the number of categories.",
                      near(124, 3), example=124),
    ),
    hints=("What is the nearest neighbor of a name, if the name itself is among the candidates?",
           "`cosines = vectors @ vectors.T`, fill the diagonal with -2, take `argmax(axis=1)`, compare departments."),
    solution="from helpers.data import datasets\n"
    "from helpers.models import text\n"
    "import numpy as np\n\n"
    "products = datasets.load_complete_journey('products')\n"
    "aisles = products.value_counts(['product_category', 'department']).reset_index()\n"
    "aisles = aisles.drop_duplicates('product_category').sort_values('product_category')\n"
    "vectors = text.static_vectors(aisles['product_category'])\n"
    "cosines = vectors @ vectors.T\n"
    "np.fill_diagonal(cosines, -2)\n"
    "department = aisles['department'].to_numpy()\n"
    "same_department = (department[cosines.argmax(axis=1)] == department).mean()\n",
)

quiz = Quiz((
    Question("Why can a table of item ids not rank a catalogue that it has never seen?", (
        Option("A new id has no row, or a row that was never trained", "The table holds one vector for each id it saw; "
               "nothing connects a new id to it.", True),
        Option("It has too few parameters", "A larger table has more rows, and still none for a new item."),
        Option("It can, if the new catalogue has the same number of items", "Then the program runs, and row 17 speaks "
               "for whatever item happens to be number 17: the shuffled control."),
    )),
    Question("A new shop writes `coat` where the old one wrote `jacket`. What do character n-grams see?", (
        Option("Two similar words", "They share no piece of three letters; similar in meaning is not similar in "
               "spelling."),
        Option("Nothing in common", "N-grams compare spelling. Meaning has to come from text that was read "
               "elsewhere, or from pairs that somebody named.", True),
        Option("An unknown word, hence an error", "Any text has n-grams; the vector is there, it is only far away."),
    )),
    Question("What may be trained or chosen with the target's visits in a zero-shot result?", (
        Option("The learning rate", "Then labels were used: say how many, and call it few-shot."),
        Option("The items' popularity", "Popularity is a count of labels."),
        Option("Nothing", "Not one visit of the target: neither weights, nor counts, nor settings.", True),
    )),
    Question("The network was swapped onto titles that were dealt out at random. Its hit rate fell to about chance. "
             "What does this show?", (
        Option("That the ranking came from the titles", "All else is as before: weights, visits, catalogue.", True),
        Option("That the network is overfitted", "Overfitting would show on the titles as they are."),
        Option("That titles should be cleaned", "The titles are the same ones, on other items."),
    )),
    Question("A few labels arrive. What can the popularity correction learn that the text cannot?", (
        Option("That customers want coats after hats", "That is about attributes; fine-tuning may learn it."),
        Option("That one of two coats with the same title sells better", "Equal titles have equal vectors, hence equal "
               "scores: only something of the item's own can part them.", True),
        Option("What the words of the new shop mean", "It adds a number to each item, and leaves the vectors alone."),
    )),
))
