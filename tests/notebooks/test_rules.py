"""The rules let a good notebook pass, and name what is wrong with a bad one."""

import base64

import pytest
import rules
from nbformat import v4

import notebooks

SECTIONS = "\n".join(f"## {section}" for section in rules.SECTIONS)


def prose(text):
    return v4.new_markdown_cell(text)


def code(source, *outputs, tags=()):
    return v4.new_code_cell(source, outputs=list(outputs), metadata={"tags": list(tags)} if tags else {})


def prints(text, name="stdout"):
    return v4.new_output("stream", name=name, text=text)


def shows(**data):
    return v4.new_output("display_data", data={kind.replace("_", "/"): value for kind, value in data.items()})


def lesson(*cells, setup="SEED = 7"):
    cells = [
        prose(f"# 42 A lesson\n\n20 minutes, 1 GB\n\n{SECTIONS}"),
        code(setup, tags=["parameters"]),
        *cells,
    ]
    for count, cell in enumerate((cell for cell in cells if cell.cell_type == "code"), start=1):
        cell.execution_count = count
    return notebooks.normalized(v4.new_notebook(cells=cells))


def complaints(tmp_path, notebook):
    path = tmp_path / "42_lesson.ipynb"
    path.write_text(notebooks.text_of(notebook), encoding="utf-8")
    return rules.complaints(path)


PNG = base64.b64encode(b"small").decode()
LARGE = base64.b64encode(bytes(rules.PICTURE_BYTES + 1)).decode()
ERROR = v4.new_output("error", ename="KeyError", evalue="'x'", traceback=["KeyError: 'x'"])
FAR_ERROR = v4.new_output("error", ename="KeyError", evalue="'x'", traceback=["File /usr/lib/a.py:1"])

GOOD = {
    "plain": [prose("why"), code("print(1)", prints("1\n"))],
    "error that is the lesson": [code("{}['x']", ERROR, tags=["raises-exception"])],
    "measured, then asserted": [
        code("seconds", tags=["nbval-ignore-output"]),
        code("1"),
        code("assert seconds < 9"),
    ],
    "asserted by NumPy": [code("x", tags=["nbval-ignore-output"]), code("np.testing.assert_allclose(x, 1)")],
    "magic": [code("%time x", tags=["nbval-ignore-output"]), code("%matplotlib inline\nassert x")],
    "picture with alt text": [
        code("plot()", shows(text_html=f'<img alt="It rises." src="data:image/png;base64,{PNG}">'))
    ],
    "data at hand": [code("load()", tags=["needs-eshop_clothing"])],
    "long line of HTML": [code("table", shows(text_html="<p>" + 300 * "x"))],
    "25 lines": [code("\n".join(["x = 1"] * 25))],
}
BAD = {
    "ended with KeyError": [code("{}['x']", ERROR)],
    "raises nothing": [code("1", tags=["raises-exception"])],
    "path of one machine in its traceback": [code("{}['x']", FAR_ERROR, tags=["raises-exception"])],
    "wrote to stderr": [code("1", prints("oh\n", name="stderr"))],
    "shows a warning": [code("1", prints("lib.py:3: FutureWarning: soon\n"))],
    "shows 41 lines": [code("1", prints("a\n" * 41))],
    "shows a line of 201": [code("1", prints("a" * 201))],
    "shows an object's address": [code("1", shows(text_plain="<Axes at 0x7f00aa11bb22>"))],
    "shows a path of one machine (": [code("1", prints("/home/ada/log.csv\n"))],
    "has 26 lines": [code("\n".join(["x = 1"] * 26))],
    "unknown tag 'nbval-ignore-outptu'": [code("1", tags=["nbval-ignore-outptu"])],
    "names no data set": [code("1", tags=["needs-weather"])],
    "steers its check by a comment": [code("# NBVAL_SKIP\n1")],
    "none of the next 3 code cells asserts": [
        code("1", tags=["nbval-ignore-output"]),
        *(code("1") for _ in range(3)),
        code("assert x"),
    ],
    "without alt text": [code("plot()", shows(image_png=PNG))],
    "of 80 kB": [
        code("plot()", shows(text_html=f'<img alt="It rises." src="data:image/png;base64,{LARGE}">'))
    ],
    "picture without alt text: end": [
        code("plot()", shows(text_html=f'<img alt="" src="data:image/png;base64,{PNG}">'))
    ],
    "has an image without alt text": [prose("![](figure.png)")],
    "still says 'TODO'": [prose("TODO: explain")],
    "still says '/tmp/'": [code("open('/tmp/log.csv')")],
    "empty code cell": [code("")],
    "FULL is used": [code("rows = measure() if FULL else 1")],
    "2 cells are tagged": [code("SEED = 8", tags=["parameters"])],
}


@pytest.mark.parametrize("cells", GOOD.values(), ids=GOOD)
def test_a_good_lesson_passes(cells, tmp_path):
    assert complaints(tmp_path, lesson(*cells)) == []


@pytest.mark.parametrize(("words", "cells"), BAD.items(), ids=BAD)
def test_a_fault_is_named(words, cells, tmp_path):
    assert any(words in line for line in complaints(tmp_path, lesson(*cells)))


def test_a_full_run_is_off_in_the_committed_notebook(tmp_path):
    run = code("rows = measure() if FULL else 1")
    assert complaints(tmp_path, lesson(run, setup="SEED = 7\nFULL = False")) == []
    assert "FULL = False" in complaints(tmp_path, lesson(run, setup="SEED = 7\nFULL = True"))[0]


def test_a_setup_without_a_seed_is_named(tmp_path):
    assert complaints(tmp_path, lesson(setup="rows = 5")) == [
        "the cell tagged `parameters` does not define SEED"
    ]


def test_cells_that_ran_out_of_order_are_named(tmp_path):
    notebook = lesson(code("1"))
    notebook.cells[2].execution_count = 5
    assert "ran as [1, 5], not from 1 to 2" in complaints(tmp_path, notebook)[0]


def test_a_missing_section_title_and_duration_are_named(tmp_path):
    notebook = lesson()
    notebook.cells[0].source = "A lesson\n\n" + SECTIONS.replace("## Quiz", "")
    found = " ".join(complaints(tmp_path, notebooks.normalized(notebook)))
    assert (
        "the section 'Quiz' is missing" in found and "how many minutes" in found and "Markdown title" in found
    )


def test_a_file_that_was_saved_by_hand_is_named(tmp_path):
    notebook = lesson()
    notebook.metadata["widgets"] = {}
    assert complaints(tmp_path, notebook) == [
        "its file is not in the committed form: run `make notebooks NB=...`"
    ]
