"""The course's rules for a notebook, one small function each; every complaint says what to do.

A rule takes a notebook and yields the complaints that it has about it.
"""

import ast
import base64
import re

from notebooks import cell_ids, datasets_of, headings, normalized, read, tags, text_of

SECTIONS = {
    "what you will be able to do": "able to do",
    "Predict": "predict",
    "Evidence": "evidence",
    "Exercises": "exercise",
    "Quiz": "quiz",
    "What to remember": "remember",
    "What this does not show": "does not show",
    "Next": "next",
}
TAGS = {"parameters", "nbval-ignore-output", "raises-exception"}
CODE_LINES, OUTPUT_LINES, OUTPUT_WIDTH, PICTURE_BYTES = 25, 40, 200, 80_000
ASSERT_WITHIN = 3

MACHINE_PATH = re.compile(r"(?<![\w.])(/(home|root|Users|tmp|work|opt|usr|var|mnt)/|[A-Z]:\\)")
WARNING = re.compile(r"\b\w*Warning\b\s*:|^WARNING\b", re.MULTILINE)
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|TBD|[Ll]orem ipsum)\b")
EMBEDDED_PNG = re.compile(r"data:image/(?:png|jpeg);base64,([A-Za-z0-9+/=]+)")
IMAGE_WITHOUT_ALT = re.compile(r"<img(?![^>]*\balt=([\"'])(?!\1))")
ADDRESS = re.compile(r"\bat 0x[0-9a-f]{6,}")


def complaints(path):
    """Return every complaint about the notebook of a file, a list of strings."""
    notebook = read(path)
    found = [line for rule in RULES for line in rule(notebook)]
    if path.read_text(encoding="utf-8") != text_of(normalized(notebook)):
        found.append("its file is not in the committed form: run `make notebooks NB=...`")
    return found


def code_cells(notebook):
    """Return the code cells that hold something, each with its id."""
    return [
        (name, cell)
        for name, cell in zip(cell_ids(notebook), notebook.cells, strict=False)
        if cell.cell_type == "code" and cell.source.strip()
    ]


def tree_of(cell):
    """Return the syntax tree of a code cell, magics left out; raises SyntaxError."""
    return ast.parse(re.sub(r"^(\s*)[%!].*$", r"\1pass", cell.source, flags=re.MULTILINE))


def shown_texts(cell):
    """Return the texts that a cell shows: streams, and results as HTML or else as plain text."""
    texts = [output.text for output in cell.outputs if output.output_type == "stream"]
    for output in cell.outputs:
        data = output.get("data", {})
        texts += [data.get("text/html") or data.get("text/plain", "")] if data else []
    return texts


def ran_from_top_to_bottom(notebook):
    """Every code cell was executed, in order, once, in one kernel."""
    counts = [cell.execution_count for _, cell in code_cells(notebook)]
    if counts != list(range(1, len(counts) + 1)):
        yield f"its cells ran as {counts}, not from 1 to {len(counts)}: run `make notebooks NB=...`"
    if any(cell.cell_type == "code" and not cell.source.strip() for cell in notebook.cells):
        yield "it has an empty code cell: remove it"


def ends_without_errors(notebook):
    """No error is shown, save where the lesson is about it."""
    for name, cell in code_cells(notebook):
        errors = [output.ename for output in cell.outputs if output.output_type == "error"]
        if errors and "raises-exception" not in tags(cell):
            yield f"{name} ended with {errors[0]}: mend it, or tag it raises-exception"
        if "raises-exception" in tags(cell) and not errors:
            yield f"{name} is tagged raises-exception and raises nothing"


def shows_no_noise(notebook):
    """No stderr, no warning, no wall of text, no address, no path of a machine."""
    for name, cell in code_cells(notebook):
        if any(output.get("name") == "stderr" for output in cell.outputs):
            yield f"{name} wrote to stderr: find out why and mend it"
        for text in shown_texts(cell):
            yield from (f"{name} {fault}" for fault in _faults_of_text(text))
        traceback = "\n".join(line for output in cell.outputs for line in output.get("traceback", []))
        if found := MACHINE_PATH.search(traceback):
            yield f"{name} shows a path of one machine in its traceback ({found.group()}...)"


def _faults_of_text(text):
    is_html = text.lstrip().startswith("<")
    rows = text.count("<tr") if is_html else len(text.splitlines())
    width = 0 if is_html else max(map(len, text.splitlines()), default=0)
    if rows > OUTPUT_LINES:
        yield f"shows {rows} lines, more than {OUTPUT_LINES}: show less"
    if width > OUTPUT_WIDTH:
        yield f"shows a line of {width} characters, more than {OUTPUT_WIDTH}: break or shorten it"
    if found := WARNING.search(text):
        yield f"shows a warning ({found.group().strip()}): mend its cause"
    if found := ADDRESS.search(text):
        yield f"shows an object's address ({found.group()}): end the line with a semicolon, or return nothing"
    if found := MACHINE_PATH.search(text):
        yield f"shows a path of one machine ({found.group()}...): print a relative path"


def cells_are_short(notebook):
    """One idea to a cell."""
    for name, cell in code_cells(notebook):
        lines = len(cell.source.splitlines())
        if lines > CODE_LINES:
            yield f"{name} has {lines} lines, more than {CODE_LINES}: split it, or move code to helpers"


def tags_are_known(notebook):
    """A tag with a typing error would be passed over in silence."""
    for name, cell in zip(cell_ids(notebook), notebook.cells, strict=False):
        for tag in tags(cell):
            if tag not in TAGS and not tag.startswith("needs-"):
                known = ", ".join([*sorted(TAGS), "needs-<dataset>"])
                yield f"{name} has the unknown tag {tag!r}; known are {known}"
        if cell.cell_type == "code" and "NBVAL_" in cell.source:
            yield f"{name} steers its check by a comment: use a tag"


def ignored_outputs_are_asserted(notebook):
    """A number that is not compared is bounded by an assertion close by."""
    cells = code_cells(notebook)
    for position, (name, cell) in enumerate(cells):
        if "nbval-ignore-output" in tags(cell):
            near = cells[position : position + ASSERT_WITHIN + 1]
            if not any(_asserts(other) for _, other in near):
                yield f"{name} is not compared, and none of the next {ASSERT_WITHIN} code cells asserts"


def _asserts(cell):
    try:
        nodes = list(ast.walk(tree_of(cell)))
    except SyntaxError:
        return False
    called = [node.func for node in nodes if isinstance(node, ast.Call)]
    names = [getattr(function, "attr", getattr(function, "id", "")) for function in called]
    return any(isinstance(node, ast.Assert) for node in nodes) or any(
        name.startswith("assert") for name in names
    )


def pictures_are_light_and_described(notebook):
    """Every picture has alt text, and loads at once on a slow line."""
    for name, cell in code_cells(notebook):
        for output in cell.outputs:
            faults = _faults_of_pictures(output.get("data", {}))
            yield from (f"{name} shows a picture {fault}" for fault in faults)
    for name, cell in zip(cell_ids(notebook), notebook.cells, strict=False):
        if cell.cell_type == "markdown" and ("![](" in cell.source or IMAGE_WITHOUT_ALT.search(cell.source)):
            yield f"{name} has an image without alt text"


def _faults_of_pictures(data):
    page = data.get("text/html", "")
    bare = [data[kind] for kind in ("image/png", "image/jpeg") if kind in data]
    for picture in EMBEDDED_PNG.findall(page) + bare:
        size = len(base64.b64decode(picture))
        if size > PICTURE_BYTES:
            yield f"of {size // 1000} kB, more than {PICTURE_BYTES // 1000}: fewer points or a lower dpi"
    if bare or IMAGE_WITHOUT_ALT.search(page):
        yield "without alt text: end the cell with alt_text(ax, 'what one sees')"


def opens_with_title_and_minutes(notebook):
    """The first cell says what the lesson asks and how long it takes."""
    first = notebook.cells[0]
    if not headings(first) or not re.match(r"# ", first.source):
        yield "its first cell is not a Markdown title (`# ...`)"
    if not re.search(r"\d+ *(minutes|min)\b", first.source):
        yield "its first cell does not say how many minutes it takes"


def has_every_section(notebook):
    """The anatomy of a lesson: a reader finds the same things at the same places."""
    present = " | ".join(heading.lower() for cell in notebook.cells for heading in headings(cell))
    for section, words in SECTIONS.items():
        if words not in present:
            yield f"no heading has the words {words!r}: the section {section!r} is missing"


def sets_its_parameters(notebook):
    """One cell, tagged `parameters`, holds SEED, and FULL where experiments are run."""
    tagged = [cell for _, cell in code_cells(notebook) if "parameters" in tags(cell)]
    if len(tagged) != 1:
        yield f"{len(tagged)} cells are tagged `parameters`, expected one: the setup cell, which defines SEED"
        return
    setup = tagged[0].source
    if not re.search(r"^SEED\s*=", setup, re.MULTILINE):
        yield "the cell tagged `parameters` does not define SEED"
    uses_full = any(re.search(r"\bFULL\b", cell.source) for _, cell in code_cells(notebook))
    if uses_full and not re.search(r"^FULL\s*=\s*False\b", setup, re.MULTILINE):
        yield "FULL is used, and the cell tagged `parameters` does not say FULL = False"


def is_finished(notebook):
    """No reminder of its author is left in it."""
    for name, cell in zip(cell_ids(notebook), notebook.cells, strict=False):
        if found := UNFINISHED.search(cell.source) or MACHINE_PATH.search(cell.source):
            yield f"{name} still says {found.group()!r}"


def data_tags_name_data_sets(notebook):
    """`needs-<dataset>` names a data set that the course knows."""
    named = {name for cell in notebook.cells for name in datasets_of(cell)}
    if not named:
        return
    from helpers.data import datasets

    for name in sorted(named - set(datasets.SOURCES)):
        yield f"the tag needs-{name} names no data set; there are {', '.join(sorted(datasets.SOURCES))}"


RULES = [
    opens_with_title_and_minutes,
    has_every_section,
    sets_its_parameters,
    ran_from_top_to_bottom,
    ends_without_errors,
    shows_no_noise,
    cells_are_short,
    tags_are_known,
    data_tags_name_data_sets,
    ignored_outputs_are_asserted,
    pictures_are_light_and_described,
    is_finished,
]
