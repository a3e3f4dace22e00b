"""The exercises of notebook 00: a lift in percent of the limit, and what a larger shift does to it."""

from helpers.course.exercises import Exercise, Misconception, Option, Question, Quiz, near


def _says(word):
    return lambda answer: str(answer).strip().lower() == word


lift = Exercise(
    answer="lift",
    correct=near(30, 0.5),
    because="From floor to ceiling there are 0.30. Scratch covers 0.03 of them, 10 %, the transferred network "
    "0.12, 40 %: transfer lifts it by 30 points.",
    misconceptions=(
        Misconception(
            "That is the difference in HR@10 itself. Divide it by the distance from popularity to the oracle.",
            lambda answer: abs(answer - 9) < 0.5 or abs(answer - 0.09) < 0.005,
            example=9,
        ),
        Misconception(
            "You divided by the score of scratch. That is a relative gain, and it looks large wherever the "
            "score it starts from is small.",
            near(39.1, 0.5),
            example=39.1,
        ),
        Misconception(
            "That is how far the transferred network got. The question is how much further than scratch.",
            near(40, 0.5),
            example=40,
        ),
        Misconception(
            "The right share, as a fraction. In points of the limit the scale goes from 0 to 100.",
            near(0.3, 0.01),
            example=0.3,
        ),
    ),
    hints=(
        "What is the distance from the floor to the ceiling?",
        "Put both networks on the scale from 0 to 100, then subtract.",
    ),
    solution="lift = 100 * (0.32 - 0.23) / (0.50 - 0.20)",
)

lead = Exercise(
    answer="lead",
    correct=_says("smaller"),
    because="Less of what the web taught holds in the app, so less of it helps. Some still does: intents that "
    "last, and actions that follow each other, are common to both.",
    misconceptions=(
        Misconception(
            "The weights that are copied are the same, but what they are worth depends on the platform they "
            "meet.",
            _says("same"),
            example="same",
        ),
        Misconception(
            "Scratch does not suffer from a larger shift, as it never saw the web; the transferred one does.",
            _says("larger"),
            example="larger",
        ),
    ),
    hints=(
        "Which of the two networks depends on the web at all?",
        "Compare the first column of the table at both shifts: fine-tuned minus scratch.",
    ),
    solution='lead = "smaller"',
    otherwise="Answer with one of the words `smaller`, `same` and `larger`, as a string.",
)

quiz = Quiz((
    Question("The last line of the report says that no GPU is seen. What follows?", (
        Option("The course cannot be run", "All lessons are made for a CPU; a GPU only saves time."),
        Option("Nothing: all lessons run on the CPU", "They are small enough on purpose.", correct=True),
        Option("TensorFlow must be told to use the CPU", "It does so by itself, as it uses a GPU by itself."),
    )),
    Question("Why is an HR@10 given together with popularity and an oracle?", (
        Option(
            "Because a score means nothing without what is easy and what is possible",
            "Floor and ceiling tell how much there was to learn, and how much of it was learned.",
            correct=True,
        ),
        Option("Because the network is trained on them", "No network sees either; they only frame the score."),
        Option("Because the average of the two is the expected score", "A model may lie anywhere, even below."),
    )),
    Question("With 800 visits, two curves lie 0.01 apart, for one seed. What do you conclude?", (
        Option("The upper method is better", "Another draw of customers may turn the order around."),
        Option("The two methods are equal", "Not having seen a difference is no proof that there is none."),
        Option(
            "Nothing yet: it needs more seeds and an interval",
            "One seed cannot tell a difference from luck; lesson 06 shows what can.",
            correct=True,
        ),
    )),
    Question("What does the transferred model get that the model from scratch does not?", (
        Option("More visits to the app", "Both learn from the same visits to the app."),
        Option("Weights that were learned on the web site", "They are its starting point.", correct=True),
        Option("A larger network", "Both have the same layers and sizes."),
    )),
))
