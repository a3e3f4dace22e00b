"""Every exercise of `notebooks/exercises/`: its solution passes, each wrong answer gets its own feedback."""

import importlib.util
import json
import re
from pathlib import Path

import pytest

from helpers.course.exercises import Exercise, Quiz

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
MODULES = sorted(path for path in (NOTEBOOKS / "exercises").glob("*.py") if path.name != "__init__.py")


def load(path):
    spec = importlib.util.spec_from_file_location(f"exercises_of_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def collect(kind):
    return [
        pytest.param(value, id=f"{path.stem}.{name}")
        for path in MODULES
        for name, value in vars(load(path)).items()
        if isinstance(value, kind)
    ]


EXERCISES, QUIZZES = collect(Exercise), collect(Quiz)


@pytest.mark.parametrize("exercise", EXERCISES)
def test_the_solution_passes(exercise):
    feedback = exercise.check(exercise.solve())
    assert feedback.passed, feedback


@pytest.mark.parametrize("exercise", EXERCISES)
def test_each_known_wrong_answer_gets_its_own_feedback(exercise):
    assert exercise.misconceptions, "name at least one misconception"
    for known in exercise.misconceptions:
        feedback = exercise.check(known.example)
        assert not feedback.passed and feedback.text == known.feedback
    said = [known.feedback for known in exercise.misconceptions] + [exercise.otherwise, exercise.because]
    assert len(set(said)) == len(said)


@pytest.mark.parametrize("exercise", EXERCISES)
def test_hints_are_graded_and_none_repeats(exercise):
    assert len(exercise.hints) >= 2 and len(set(exercise.hints)) == len(exercise.hints)


@pytest.mark.parametrize("quiz", QUIZZES)
def test_a_quiz_has_four_to_six_questions_and_explains_every_option(quiz):
    assert 4 <= len(quiz.questions) <= 6
    for question in quiz.questions:
        explanations = [option.explanation for option in question.options]
        assert len(explanations) >= 3 and len(set(explanations)) == len(explanations)


@pytest.mark.parametrize("path", [pytest.param(path, id=path.stem) for path in MODULES])
def test_the_notebook_asks_and_checks_each_of_its_exercises(path):
    (notebook,) = NOTEBOOKS.glob(f"[0-9][0-9]_{path.stem}.ipynb")
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    names = vars(load(path)).items()
    for name in (name for name, value in names if isinstance(value, Exercise)):
        assert f"{name}.check(" in code, f"{notebook.name} never checks {name}"
    for name in (name for name, value in names if isinstance(value, Quiz)):
        assert re.search(rf"\b{name}\b", code), f"{notebook.name} never shows {name}"
