"""Exercises that answer back: a check that names the misconception, graded hints, quizzes, predictions.

Everything is data (what is right, what goes wrong and why), rendered as plain text and as static HTML with
`<details>`: it works in JupyterLab and on a printed or exported page, and it looks the same on every run.
"""

import html
import re
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import wraps
from numbers import Real
from types import FunctionType, MappingProxyType

import numpy as np
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

_BOX = "border-left: 4px solid currentColor; padding: 0.2em 0.8em; margin: 0.4em 0; max-width: 50em"


@dataclass(frozen=True)
class Feedback:
    """What the reader sees: a heading in words, and the reason.

    Args:
        heading: "Right.", "Not yet.", "Not answered yet." or another few words.
        text: the reason; `words between backticks` are shown as code.
        passed: whether the answer was right (`bool(feedback)` says the same).

    Example:
        >>> Feedback("Right.", "A session ends after `30min` of silence.", passed=True)
        Right. A session ends after `30min` of silence.
    """

    heading: str
    text: str
    passed: bool = False

    def __bool__(self):
        return self.passed

    def __repr__(self):
        return textwrap.fill(f"{self.heading} {self.text}", width=88)

    def _repr_html_(self):
        return f'<div style="{_BOX}"><strong>{_inline(self.heading)}</strong> {_inline(self.text)}</div>'


@dataclass(frozen=True)
class Misconception:
    """A mistake that readers really make, how to recognize it, and what to say.

    Args:
        feedback: what the reader probably thought, and why it does not hold.
        when: function of the answer; true if the answer shows this misconception.
        example: an answer that shows it. The course's tests give it to the check and expect this feedback.
    """

    feedback: str
    when: Callable[[object], bool]
    example: object


@dataclass(frozen=True)
class Exercise:
    """A task with its check, the misconceptions it knows, graded hints and a solution.

    Args:
        answer: the name that the solution defines and the reader hands to `check` (a value or a function).
        correct: function of the answer; true if it is right.
        because: why the right answer is right.
        misconceptions: tried in order when the answer is not right.
        hints: from a nudge to nearly the solution.
        solution: Python source that defines `answer`.
        given: names that the solution may use, as the reader has them in the notebook.
        otherwise: said about a wrong answer that shows no known misconception.

    Example:
        >>> sessions = Exercise(
        ...     answer="sessions", correct=lambda n: n == 3, because="Two gaps make three sessions.",
        ...     misconceptions=(Misconception("You counted the gaps.", lambda n: n == 2, example=2),),
        ...     hints=("Draw the gaps.", "A gap separates two sessions."), solution="sessions = gaps + 1",
        ...     given={"gaps": 2})
        >>> sessions.check(2)
        Not yet. You counted the gaps.
        >>> sessions.check(sessions.solve())
        Right. Two gaps make three sessions.
    """

    answer: str
    correct: Callable[[object], bool]
    because: str
    misconceptions: tuple[Misconception, ...]
    hints: tuple[str, ...]
    solution: str
    given: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))
    otherwise: str = "This is none of the usual slips: read the task once more, then ask for `hint(1)`."

    def check(self, answer):
        """Answer at once: right and why, not yet and why, or not answered yet. Never raises.

        Args:
            answer: the reader's value or function. `...`, None, a function that returns one of them or raises
                NotImplementedError, or a tuple, list or dict with `...` inside count as not answered.

        Returns:
            Feedback, with `passed`.
        """
        if _is_blank(answer):
            return _not_answered()
        answer = _noticing_stubs(answer)
        try:
            if self.correct(answer):
                return Feedback("Right.", self.because, passed=True)
        except NotImplementedError:
            return _not_answered()
        except Exception as error:  # whatever the reader's code raises is feedback, not a crash
            trouble = f"Trying your answer raised `{type(error).__name__}: {error}`. {self.otherwise}"
        else:
            trouble = self.otherwise
        shown = (known.feedback for known in self.misconceptions if _shows(known, answer))
        return Feedback("Not yet.", next(shown, trouble))

    def hint(self, number):
        """Show one hint, `hint(1)` being the gentlest.

        Raises:
            ValueError: if there is no such hint; says how many there are.
        """
        if number not in range(1, len(self.hints) + 1):
            raise ValueError(f"hint({number!r}) does not exist: ask for hint(1) to hint({len(self.hints)})")
        return Feedback(f"Hint {number} of {len(self.hints)}.", self.hints[number - 1], passed=True)

    def help(self):
        """Show all hints and the solution, each folded behind its own line, for a page without a kernel."""
        hints = [(f"Hint {n}", f"<p>{_inline(hint)}</p>") for n, hint in enumerate(self.hints, start=1)]
        solution = ("Solution", _code(self.solution))
        return Folded((*hints, solution), plain=f"{len(hints)} hints, 1 solution")

    def solve(self):
        """Run the solution and return the answer that it defines.

        Raises:
            NameError: if the solution does not define the name `answer`.
        """
        names = dict(self.given)
        exec(compile(self.solution, "<solution>", "exec"), names)  # the course's own source, never a reader's
        if self.answer not in names:
            defined = sorted(set(names) - set(self.given) - {"__builtins__"})
            raise NameError(f"the solution must define {self.answer!r}; it defines {defined}")
        return names[self.answer]


def near(value, within):
    """Make the check of a number: whether an answer lies less than `within` from the value.

    Args:
        value: a number.
        within: the distance that is too far, above 0.

    Returns:
        Function of the answer, for `Exercise.correct` or `Misconception.when`.

    Example:
        >>> near(0.25, within=0.01)(0.255)
        True
    """
    return lambda answer: abs(answer - value) < within


def agrees(expected, cases, rtol=1e-6, atol=1e-8):
    """Make the check of a function: whether an answer returns what `expected` returns, in all cases.

    Args:
        expected: the function to compare with.
        cases: tuples of arguments, as many as it takes to tell every known mistake from the right answer.
        rtol, atol: relative and absolute tolerance, as in `numpy.allclose`; shapes must be equal.

    Returns:
        Function of the answer, for `Exercise.correct` or `Misconception.when`.

    Example:
        >>> agrees(lambda a, b: a - b, cases=((3, 1), (1, 3)))(lambda a, b: abs(a - b))
        False
    """

    def check(answer):
        pairs = ((answer(*case), expected(*case)) for case in cases)
        return all(np.shape(a) == np.shape(b) and np.allclose(a, b, rtol, atol) for a, b in pairs)

    return check


@dataclass(frozen=True)
class Option:
    """One option of a question; the explanation says why it is right or wrong."""

    text: str
    explanation: str
    correct: bool = False


@dataclass(frozen=True)
class Question:
    """A question with two or more options, exactly one of them right.

    Raises:
        ValueError: if the number of right options is not one, or an option has no explanation.
    """

    text: str
    options: tuple[Option, ...]

    def __post_init__(self):
        right = sum(option.correct for option in self.options)
        if right != 1:
            raise ValueError(f"question {self.text!r} has {right} right options, expected exactly 1")
        for option in self.options:
            if not option.explanation.strip():
                raise ValueError(f"option {option.text!r} of {self.text!r} has no explanation: add one")


@dataclass(frozen=True)
class Quiz:
    """Questions whose options unfold into their explanations; also answered from a cell.

    Example:
        >>> quiz = Quiz([Question("Which data may a vocabulary see?", [
        ...     Option("all of it", "Then the test items leak into training."),
        ...     Option("the training part", "The future is unknown when a model is built.", correct=True)])])
        >>> quiz.answer(1, "a")
        Not yet. Then the test items leak into training.
        >>> quiz.answer(1, "b").passed
        True
        >>> quiz
        1. Which data may a vocabulary see?
           (a) all of it
           (b) the training part
    """

    questions: tuple[Question, ...]

    def answer(self, number, letter):
        """Answer question `number` (from 1) with a letter; `...` or None is not answered yet.

        Raises:
            ValueError: if there is no such question.
        """
        if number not in range(1, len(self.questions) + 1):
            raise ValueError(f"question {number!r} does not exist: choose 1 to {len(self.questions)}")
        if _is_blank(letter):
            return _not_answered()
        options = dict(_lettered(self.questions[number - 1]))
        chosen = options.get(str(letter).strip().strip("()").lower())
        if chosen is None:
            return Feedback("Not yet.", f"Answer with one letter out of {', '.join(options)}, as a string.")
        return Feedback("Right." if chosen.correct else "Not yet.", chosen.explanation, chosen.correct)

    def __repr__(self):
        return "\n".join(
            "\n".join([f"{number}. {question.text}", *(f"   ({a}) {o.text}" for a, o in _lettered(question))])
            for number, question in enumerate(self.questions, start=1)
        )

    def _repr_html_(self):
        return "\n".join(map(_question_html, range(1, len(self.questions) + 1), self.questions))


@dataclass(frozen=True)
class Folded:
    """Lines that unfold, as (summary, HTML) pairs; `plain` stands for them where there is no HTML."""

    parts: tuple[tuple[str, str], ...]
    plain: str

    def __repr__(self):
        return self.plain

    def _repr_html_(self):
        return "\n".join(_details(summary, body) for summary, body in self.parts)


def predict(guess, question=""):
    """Commit to a guess before the result is shown.

    Args:
        guess: a number, a word, or `...` while the reader has not decided.
        question: what is guessed, repeated in the text.

    Example:
        >>> predict(..., "How many sessions?")
        Your guess? How many sessions? Replace the dots (`...`); a wrong guess teaches most.
        >>> predict(120, "How many sessions?")
        Noted. How many sessions? You say 120.
    """
    lead = f"{question} " if question else ""
    if _is_blank(guess):
        return Feedback("Your guess?", f"{lead}Replace the dots (`...`); a wrong guess teaches most.")
    return Feedback("Noted.", f"{lead}You say {_written(guess)}.", passed=True)


def compare(guess, measured, unit="", digits=3):
    """Say how far a guess is from what was measured.

    Args:
        guess: the reader's number or word; `...` if there was none.
        measured: the number or word that was found.
        unit: appended to the numbers, such as "sessions" or "% of the limit".
        digits: significant digits shown.

    Returns:
        Feedback; `passed` if the words agree, or if the numbers differ by at most a tenth of `measured`.

    Example:
        >>> compare(60, 48, unit="sessions")
        Too high. You guessed 60 sessions, we measured 48 sessions: 12 sessions too high.
        >>> compare(..., 48, unit="sessions")
        No guess. We measured 48 sessions; next time, write down a guess first.
    """
    found = _written(measured, unit, digits)
    if _is_blank(guess):
        return Feedback("No guess.", f"We measured {found}; next time, write down a guess first.")
    if not _is_number(measured):
        agree = str(guess).strip().casefold() == str(measured).strip().casefold()
        heading = "As you said." if agree else "A surprise."
        return Feedback(heading, f"You guessed {guess}, we found {found}.", agree)
    if not _is_number(guess):
        return Feedback("A number, please.", f"You guessed {guess!r}; we measured {found}.")
    error = guess - measured
    close = abs(error) <= 0.1 * abs(measured)
    side = "too high" if error > 0 else "too low"
    distance = "exactly right" if error == 0 else f"{_written(abs(error), unit, digits)} {side}"
    text = f"You guessed {_written(guess, unit, digits)}, we measured {found}: {distance}."
    return Feedback("Close." if close else f"{side.capitalize()}.", text, close)


def _is_blank(answer):
    parts = list(answer.values()) if isinstance(answer, dict) else answer
    unfinished = isinstance(parts, tuple | list) and any(part is Ellipsis for part in parts)
    return answer is None or answer is Ellipsis or unfinished


def _noticing_stubs(answer):
    """Wrap a plain function so that a stub (it returns None or `...`) raises NotImplementedError."""
    if not isinstance(answer, FunctionType):
        return answer

    @wraps(answer)
    def call(*args, **kwargs):
        result = answer(*args, **kwargs)
        if _is_blank(result):
            raise NotImplementedError
        return result

    return call


def _not_answered():
    return Feedback("Not answered yet.", "Replace the dots (`...`), run the cell again; `hint(1)` helps.")


def _shows(misconception, answer):
    try:
        return bool(misconception.when(answer))
    except Exception:  # an answer of another kind cannot show this misconception
        return False


def _lettered(question):
    return zip("abcdefghij", question.options, strict=False)


def _is_number(value):
    return isinstance(value, Real) and not isinstance(value, bool)


def _written(value, unit="", digits=3):
    if not _is_number(value):
        return str(value)
    number = f"{value:,.0f}" if abs(value) >= 10**digits else f"{value:.{digits}g}"
    return f"{number} {unit}".strip()


def _inline(text):
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(text))


def _code(source):
    readable = HtmlFormatter(noclasses=True, prestyles="color: #000; padding: 0.5em")
    return highlight(textwrap.dedent(source).strip(), PythonLexer(), readable).strip()


def _details(summary, body):
    return f"<details><summary>{_inline(summary)}</summary>{body}</details>"


def _question_html(number, question):
    options = "\n".join(
        _details(
            f"({letter}) {option.text}",
            f"<p><strong>{'Right.' if option.correct else 'Not this one.'}</strong> "
            f"{_inline(option.explanation)}</p>",
        )
        for letter, option in _lettered(question)
    )
    return f'<div style="{_BOX}"><p><strong>{number}.</strong> {_inline(question.text)}</p>\n{options}</div>'
