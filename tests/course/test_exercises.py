"""The exercises' own behavior: feedback, hints, quizzes and predictions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.course.exercises import (
    Exercise,
    Feedback,
    Misconception,
    Option,
    Question,
    Quiz,
    agrees,
    compare,
    near,
    predict,
)


@pytest.fixture
def mean_exercise():
    return Exercise(
        answer="mean",
        correct=lambda mean: mean([1, 2, 6]) == 3,
        because="The sum over the count.",
        misconceptions=(
            Misconception("The median <b>.", lambda mean: mean([1, 2, 6]) == 2, lambda v: sorted(v)[1]),
            Misconception("That is the sum.", lambda mean: mean([1, 2, 6]) == 9, example=sum),
        ),
        hints=("Think of `sum`.", "Divide."),
        solution="""
            def mean(values):
                return total(values) / len(values)
        """.replace("\n            ", "\n"),
        given={"total": sum},
    )


@pytest.fixture
def quiz():
    wrong = Option("never <ever>", "It does & often.")
    right = Option("sometimes", "See the shift.", correct=True)
    return Quiz((Question("Does transfer `hurt`?", (wrong, right)),))


def unfinished(values):
    raise NotImplementedError


STUBS = [..., None, lambda values: None, lambda values: ..., unfinished, (1, ...), {"a": ...}, [...]]


@pytest.mark.parametrize("stub", STUBS)
def test_a_stub_is_not_answered_yet_and_does_not_raise(mean_exercise, stub):
    feedback = mean_exercise.check(stub)
    assert feedback.heading == "Not answered yet." and not feedback.passed and not feedback


def test_the_solution_passes_and_says_why(mean_exercise):
    feedback = mean_exercise.check(mean_exercise.solve())
    assert feedback.passed and feedback and feedback.text == "The sum over the count."


def test_each_misconception_gets_its_own_feedback(mean_exercise):
    for known in mean_exercise.misconceptions:
        assert mean_exercise.check(known.example) == Feedback("Not yet.", known.feedback)


def test_an_unknown_slip_gets_the_general_feedback(mean_exercise):
    assert mean_exercise.check(lambda values: 77).text == mean_exercise.otherwise


def test_an_answer_that_raises_becomes_feedback_naming_the_error(mean_exercise):
    feedback = mean_exercise.check(lambda values: values["mean"])
    assert not feedback.passed and "TypeError" in feedback.text


def test_an_answer_of_another_kind_becomes_feedback(mean_exercise):
    assert "not callable" in mean_exercise.check(3).text


def test_hints_are_graded_and_counted(mean_exercise):
    assert repr(mean_exercise.hint(1)) == "Hint 1 of 2. Think of `sum`."
    assert mean_exercise.hint(2).text == "Divide."
    with pytest.raises(ValueError, match=r"hint\(3\).*hint\(1\) to hint\(2\)"):
        mean_exercise.hint(3)


def test_help_folds_hints_and_highlighted_solution_without_scripts(mean_exercise):
    page = mean_exercise.help()
    static = page._repr_html_()
    assert static.count("<details>") == static.count("<summary>") == 3
    assert "<code>sum</code>" in static and "<script" not in static and " id=" not in static
    assert repr(page) == "2 hints, 1 solution"


def test_a_solution_without_its_answer_is_an_error_naming_it(mean_exercise):
    broken = Exercise(**{**vars(mean_exercise), "solution": "average = 3"})
    with pytest.raises(NameError, match=r"'mean'.*average"):
        broken.solve()


def test_feedback_escapes_html_and_marks_code():
    static = Feedback("Not yet.", "`a < b` & <script>")._repr_html_()
    assert "<code>a &lt; b</code> &amp; &lt;script&gt;" in static


def test_long_feedback_is_wrapped():
    assert max(map(len, repr(Feedback("Right.", "word " * 60)).splitlines())) <= 88


def test_quiz_answers_by_letter(quiz):
    assert quiz.answer(1, "b").passed and quiz.answer(1, "(B)").passed
    assert quiz.answer(1, "a").text == "It does & often."
    assert quiz.answer(1, ...).heading == "Not answered yet."
    assert "a, b" in quiz.answer(1, "z").text
    with pytest.raises(ValueError, match="choose 1 to 1"):
        quiz.answer(2, "a")


def test_quiz_page_is_static_escaped_and_says_right_or_wrong_in_words(quiz):
    static = quiz._repr_html_()
    assert static.count("<details>") == 2 and "<script" not in static and " id=" not in static
    assert "never &lt;ever&gt;" in static and "Not this one." in static and "Right." in static
    assert "(b) sometimes" in repr(quiz)


@pytest.mark.parametrize("right", [(False, False), (True, True)])
def test_a_question_needs_exactly_one_right_option(right):
    with pytest.raises(ValueError, match="expected exactly 1"):
        Question("?", tuple(Option(str(i), "why", correct) for i, correct in enumerate(right)))


def test_an_option_needs_an_explanation():
    with pytest.raises(ValueError, match=r"'no' of 'Q.' has no explanation"):
        Question("Q?", (Option("yes", "because", correct=True), Option("no", " ")))


def test_predictions_are_noted_or_asked_for():
    assert not predict(...).passed and predict("fine-tuning").passed
    assert "fine-tuning" in predict("fine-tuning").text


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
def test_compare_names_the_side_of_the_error(guess, measured):
    feedback = compare(guess, measured, unit="%")
    side = "too high" if guess > measured else "too low" if guess < measured else "exactly right"
    assert side in feedback.text
    assert feedback.passed == (abs(guess - measured) <= 0.1 * abs(measured))


def test_compare_words_and_kinds():
    assert compare("Fine-tuning ", "fine-tuning").passed
    assert compare("scratch", "fine-tuning").heading == "A surprise."
    assert compare("many", 3).heading == "A number, please."
    assert compare(None, 12_345.6, "sessions").text.startswith("We measured 12,346 sessions")


@pytest.mark.parametrize("answer, right", [(0.5, True), (0.6, True), (0.625, False), (0.3, False), (-0.5, False)])
def test_a_number_is_near_within_its_bound(answer, right):
    assert near(0.5, within=0.125)(answer) == right


@pytest.mark.parametrize("answer, right", [
    (lambda a, b: a + b, True),
    (lambda a, b: a + b + 1e-9, True),
    (lambda a, b: a + b + 1e-4, False),
    (lambda a, b: a + abs(b), False),  # equal in the first case alone
    (lambda a, b: [a + b, a + b], False),
    (lambda a, b: float("nan"), False),
])
def test_a_function_agrees_in_every_case_and_in_shape(answer, right):
    assert agrees(lambda a, b: a + b, cases=((1.0, 2.0), (1.0, -2.0)))(answer) == right


def test_without_a_tolerance_only_equal_results_agree():
    check = agrees(lambda a: a, cases=((1.0,),), rtol=0, atol=0)
    assert check(lambda a: a) and not check(lambda a: a + 1e-12)
