"""The tools run a notebook, tell a failure in plain words, and write one normal form."""

import importlib.util
import os
import sys
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import experiments
import pytest
from nbformat import v4

import notebooks

TEST_PY = Path(notebooks.__file__).with_name("test.py")


@pytest.fixture(scope="module")
def checker():
    """tools/test.py, under a name that is not that of a package of Python's."""
    spec = importlib.util.spec_from_file_location("course_checker", TEST_PY)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def code(source, *tags):
    return v4.new_code_cell(source, metadata={"tags": list(tags)} if tags else {})


def saved(path, *cells):
    path.write_text(notebooks.text_of(v4.new_notebook(cells=list(cells))), encoding="utf-8")
    return path


@pytest.fixture
def folder(tmp_path):
    for name in ("00_start_here", "07_embedding_lstm"):
        saved(tmp_path / f"{name}.ipynb")
    return tmp_path


@pytest.mark.parametrize("prefix", ["07", "7", "07_embedding_lstm", "notebooks/07_embedding_lstm.ipynb"])
def test_a_notebook_is_found_by_its_number_or_name(prefix, folder):
    assert [path.stem for path in notebooks.find(prefix, folder)] == ["07_embedding_lstm"]


def test_without_a_name_all_are_found_in_order(folder):
    assert [path.stem[:2] for path in notebooks.find(None, folder)] == ["00", "07"]


def test_an_unknown_number_is_answered_with_those_that_exist(folder):
    with pytest.raises(notebooks.NotebookFailure, match="'08'; there are: 00_start_here, 07_embedding_lstm"):
        notebooks.find("08", folder)


def test_the_normal_form_is_stable_and_drops_what_changes_by_itself():
    cell = code("x", "needs-eshop_clothing")
    cell.metadata |= {"execution": {"iopub.busy": "2026-01-01"}, "collapsed": True}
    view = {"application/vnd.jupyter.widget-view+json": {"model_id": "f00"}, "text/plain": "slider"}
    cell.outputs = [v4.new_output("display_data", data=view)]
    notebook = v4.new_notebook(
        cells=[cell], metadata={"language_info": {"name": "python", "version": "3.11.7"}}
    )
    once = notebooks.normalized(notebook)
    assert notebooks.text_of(once) == notebooks.text_of(notebooks.normalized(once))
    assert once.cells[0].metadata == {"tags": ["needs-eshop_clothing"]}
    assert once.cells[0].outputs[0].data == {"text/plain": "slider"}
    assert once.metadata == {"kernelspec": notebooks.KERNEL, "language_info": {"name": "python"}}
    assert notebooks.text_of(once).endswith("}\n")


def test_a_cell_is_named_after_its_heading_and_code_blocks_are_no_headings():
    cells = [
        code("1"),
        v4.new_markdown_cell("## Ideas: *one*"),
        v4.new_markdown_cell("```\n# no\n```"),
        code("2"),
    ]
    assert notebooks.cell_ids(v4.new_notebook(cells=cells)) == [
        "top-01",
        "ideas-one-01",
        "ideas-one-02",
        "ideas-one-03",
    ]


def test_the_files_of_the_project_are_named_from_its_root():
    here = os.path.join(notebooks.ROOT, "helpers", "data")
    output = v4.new_output("error", ename="E", evalue="", traceback=[f"File {here}:3"])
    notebook = notebooks.normalized(v4.new_notebook(cells=[v4.new_code_cell("x", outputs=[output])]))
    assert notebook.cells[0].outputs[0].traceback == [f"File {os.path.join('helpers', 'data')}:3"]


def test_running_writes_nothing_and_keeping_writes_the_normal_form(tmp_path, capsys):
    path = saved(tmp_path / "07_x.ipynb", code("import sys; sys.stdout.write('hello');"))
    before = path.read_text()
    notebooks.run_all([path], keep=False)
    assert path.read_text() == before
    notebooks.run_all([path], keep=True)
    (cell,) = notebooks.read(path).cells
    assert (cell.execution_count, cell.outputs[0].text, cell.id) == (1, "hello", "top-01")
    assert "07_x: " in capsys.readouterr().out


def test_kernels_find_the_data_from_another_folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    environment = {"COURSE_DATA_DIR": "data", "CUDA_VISIBLE_DEVICES": "0"}
    notebooks.prepare(environment)
    assert environment["COURSE_DATA_DIR"] == str(tmp_path / "data")
    assert environment["CUDA_VISIBLE_DEVICES"] == "0"


def test_a_failing_cell_is_told_with_its_source_and_error(tmp_path):
    notebook = v4.new_notebook(cells=[code("x = 1"), code("x / 0"), code("raise SystemExit")])
    with pytest.raises(
        notebooks.NotebookFailure, match=r"(?s)cell 1 .*    x / 0.*ZeroDivisionError: division by zero"
    ):
        notebooks.execute(notebook, tmp_path, skip_missing=True)


def test_what_goes_to_stderr_is_a_failure(tmp_path):
    notebook = v4.new_notebook(cells=[code("import warnings; warnings.warn('beware')")])
    with pytest.raises(notebooks.NotebookFailure, match="(?s)stderr.*UserWarning: beware"):
        notebooks.execute(notebook, tmp_path, skip_missing=True)


def test_cells_without_their_data_are_passed_over_or_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(notebooks, "missing_datasets", lambda cell: notebooks.datasets_of(cell))
    notebook = v4.new_notebook(cells=[code("1 / 0", "needs-eshop_clothing"), code("2")])
    assert notebooks.execute(notebook, tmp_path, skip_missing=True) == ["eshop_clothing"]
    with pytest.raises(notebooks.NotebookFailure, match="it needs eshop_clothing, absent here"):
        notebooks.execute(notebook, tmp_path, skip_missing=False)


def test_memory_is_that_of_the_processes_below():
    with notebooks.MemoryGauge(0.01) as memory:
        process = notebooks.psutil.Popen(
            [sys.executable, "-c", "x = b'x' * 10**8; print(1, flush=True); input()"], stdin=-1, stdout=-1
        )
        process.stdout.readline()
        assert memory.take() > 10**8
        process.communicate(b"\n")
        memory.take()
        assert memory.take() < 10**8


def test_a_notebook_with_a_switch_has_experiments():
    assert experiments.has_experiments(v4.new_notebook(cells=[code("SEED = 1\nFULL = False", "parameters")]))
    assert not experiments.has_experiments(
        v4.new_notebook(cells=[code("SEED = 1", "parameters"), code("FULL = 1")])
    )


def test_an_experiment_runs_in_full_and_leaves_the_notebook_alone(tmp_path, capfd):
    path = saved(tmp_path / "07_x.ipynb", code("FULL = False", "parameters"), code("print('full is', FULL)"))
    before = path.read_text()
    experiments.measure(path)
    assert "full is True" in capfd.readouterr().out
    assert path.read_text() == before and list(tmp_path.iterdir()) == [path]


def test_stale_tables_are_adopted_by_a_notebook_that_would_only_read_them(tmp_path, capfd):
    cell = ("from helpers.evaluation import evidence\ndef total(n):\n    return {{'total': {}}}\n"
            "evidence.{}_table('totals.csv', [{{'n': 5}}, {{'n': 9}}], total)")
    first, second = code(cell.format("sum(range(n))", "run")), code(cell.format("n * (n - 1) // 2", "read"))
    experiments.measure(saved(tmp_path / "07_x.ipynb", first))
    path = saved(tmp_path / "07_x.ipynb", second)
    with pytest.raises(notebooks.NotebookFailure, match="StaleTableError"):
        experiments.measure(path)
    experiments.measure(path, adopt=2)
    assert capfd.readouterr().out.count("comes out as it was") == 2
    experiments.measure(path)


def test_a_cell_that_is_meant_to_fail_fails_no_experiment(tmp_path):
    experiments.measure(
        saved(tmp_path / "12_x.ipynb", code("FULL = False", "parameters"), code("1 / 0", "raises-exception"))
    )


def test_a_failing_experiment_is_told(tmp_path):
    path = saved(tmp_path / "07_x.ipynb", code("FULL = False", "parameters"), code("1 / 0"))
    with pytest.raises(notebooks.NotebookFailure, match="(?s)07_x failed.*ZeroDivisionError"):
        experiments.measure(path)


def weigh(checker, seconds, gigabytes, factor=3):
    path = Path("08_transfer.ipynb")
    cells = SimpleNamespace(
        seconds=Counter({path: seconds}), peaks=Counter({path: gigabytes * notebooks.GIB})
    )
    return checker.weighed(cells, factor)


def test_ceilings_bound_time_with_patience_and_memory_without(checker):
    assert weigh(checker, 100, 1)[1] == []
    lines, over = weigh(checker, 200, 1)
    assert "slow" in lines[0] and over == []
    assert weigh(checker, 600, 1)[1] == [
        "08_transfer took 600 s; 180 s are allowed, 3 times that on a slow machine"
    ]
    assert weigh(checker, 100, 2.5)[1] == ["08_transfer took 2.50 GiB of memory; 2 are allowed"]
    assert "together the notebooks took 67 min" in weigh(checker, 4000, 1)[1][1]


def test_the_data_is_hidden_for_a_while(checker, monkeypatch):
    monkeypatch.setenv("COURSE_DATA_DIR", "somewhere")
    with checker.no_downloads():
        assert list(Path(os.environ["COURSE_DATA_DIR"]).iterdir()) == []
    assert os.environ["COURSE_DATA_DIR"] == "somewhere"


VALIDATE = """
import sys
from pathlib import Path
import notebooks, test
with notebooks.MemoryGauge() as memory:
    passed, cells = test.check_notebooks([Path(sys.argv[1])], memory, 1)
print("passed", passed, "ran", cells.ran, "skipped", cells.skipped, "timed", cells.seconds.total() > 0)
"""


def test_cells_with_real_data_are_counted_or_skipped_with_the_reason(tmp_path):
    cells = [code("1 / 0", "needs-online_retail"), code("print(2)", "needs-simulated_shop")]
    cells[1].execution_count, cells[1].outputs = 2, [v4.new_output("stream", name="stdout", text="2\n")]
    path = saved(tmp_path / "07_x.ipynb", *cells)
    (tmp_path / "nothing").mkdir()
    environment = os.environ | {
        "COURSE_DATA_DIR": str(tmp_path / "nothing"),
        "PYTHONPATH": str(TEST_PY.parent),
    }
    process = notebooks.subprocess.run(
        [sys.executable, "-c", VALIDATE, str(path)],
        capture_output=True,
        text=True,
        env=environment,
        cwd=tmp_path,
    )
    assert "the data set online_retail is not here" in process.stdout, process.stderr
    assert "passed True ran 1 skipped 1 timed True" in process.stdout
