"""The course's pictures: one style, distinguishable colors, labels, small images, alt text."""

import html
import itertools
import re

import matplotlib
import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pandas as pd
import pytest
from IPython.core.formatters import DisplayFormatter
from nbconvert import HTMLExporter

from helpers.course import plots

matplotlib.use("agg")

# Machado, Oliveira and Fernandes (2009), "A Physiologically-based Model for Simulation of Color Vision
# Deficiency", severity 1.0, on linear RGB.
VISIONS = {
    "normal": np.eye(3),
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
}


@pytest.fixture(autouse=True)
def course_style():
    with plt.rc_context(plots.STYLE):
        yield
    plt.close("all")


@pytest.fixture
def curves():
    rows = itertools.product(["scratch", "fine-tuned"], [50, 500, 5000], [0.2])
    table = pd.DataFrame(rows, columns=["method", "sessions", "mean"])
    return table.assign(low=table["mean"] - 0.1, high=table["mean"] + 0.1)


@pytest.fixture
def events():
    times = pd.to_datetime(
        ["2026-01-05 10:00", "2026-01-05 10:02", "2026-01-05 12:00", "2026-01-05 10:30"], utc=True
    )
    kinds = ["view", "purchase", "login", "search"]
    return pd.DataFrame(
        {"user_id": [7, 7, 7, 9], "timestamp": times, "event_type": kinds, "visit": [0, 0, 1, 2]}
    )


@pytest.fixture
def shown(monkeypatch):
    outputs = []
    monkeypatch.setattr(
        plots, "display", lambda picture: outputs.append(DisplayFormatter().format(picture)[0])
    )
    return outputs


def linear(colors):
    srgb = np.array([matplotlib.colors.to_rgb(color) for color in colors])
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def lab(rgb):
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = rgb @ to_xyz.T / [0.9505, 1, 1.089]
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], axis=1)


@pytest.mark.parametrize("vision", VISIONS)
@pytest.mark.parametrize("marks", [plots.METHODS, plots.EVENTS], ids=["methods", "events"])
def test_colors_stay_apart(vision, marks):
    seen = lab(
        np.clip(linear([mark["color"] for mark in marks.values()]) @ np.transpose(VISIONS[vision]), 0, 1)
    )
    distances = [np.linalg.norm(a - b) for a, b in itertools.combinations(seen, 2)]
    assert min(distances) > 18  # CIE76; 2.3 is just noticeable


def test_colors_stand_out_from_white():
    luminance = linear([style["color"] for style in plots.METHODS.values()]) @ [0.2126, 0.7152, 0.0722]
    assert (1.05 / (luminance + 0.05)).min() > 2.2


def test_no_two_methods_share_marker_and_line_and_none_relies_on_color_alone():
    looks = [(style["marker"], style["linestyle"]) for style in plots.METHODS.values()]
    assert len(set(looks)) == len(looks)
    assert len({mark["marker"] for mark in plots.EVENTS.values()}) == len(plots.EVENTS)


def test_style_is_used_from_then_on():
    plt.rcParams["axes.grid"] = False
    plots.use_course_style()
    assert plt.rcParams["axes.grid"] and plt.rcParams["figure.dpi"] == 100


def test_unknown_method_is_an_error_listing_the_known():
    with pytest.raises(KeyError, match=r"'magic'.*fine-tuned"):
        plots.method_style("magic")


def test_finding_labels_the_axes():
    ax = plots.finding(plt.figure().add_subplot(), "Less is enough", "sessions", "HR@10 [%]")
    assert (ax.get_title(loc="left"), ax.get_xlabel(), ax.get_ylabel()) == (
        "Less is enough",
        "sessions",
        "HR@10 [%]",
    )


def test_curves_lie_between_floor_and_ceiling_on_a_log_axis(curves):
    ax = plots.curves_with_limit(curves, floor=0.1, ceiling=0.6)
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == ["scratch", "fine-tuned", "popularity", "oracle"] and ax.get_xscale() == "log"
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["50", "500", "5,000"]
    assert len(ax.collections) == 2  # one band of intervals for each method
    assert len(plots.curves_with_limit(curves).get_legend().get_texts()) == 2


def test_drawing_into_a_given_axes(curves):
    given = plt.figure().add_subplot()
    assert plots.curves_with_limit(curves, ax=given) is given


def test_missing_column_and_empty_table_are_errors(curves):
    with pytest.raises(KeyError, match=r"lacks columns \['low'\]"):
        plots.curves_with_limit(curves.drop(columns="low"))
    with pytest.raises(ValueError, match="no rows"):
        plots.curves_with_limit(curves.head(0))


def test_forest_plot_fills_the_markers_whose_interval_excludes_zero():
    table = pd.DataFrame(
        {"comparison": ["a", "b", "c"], "mean": [1, 1, -1], "low": [0.5, -1, -2], "high": [2, 3, -0.5]}
    )
    faces = plots.paired_differences(table).collections[1].get_facecolor()
    assert np.array_equal(faces[0], faces[2]) and np.array_equal(faces[1], [1, 1, 1, 1])


def test_bars_write_their_values():
    table = pd.DataFrame(
        {"method": ["scratch", "mine"], "mean": [0.25, 0.5], "low": [0.2, 0.4], "high": [0.3, 0.6]}
    )
    ax = plots.bars_with_interval(table)
    assert [text.get_text() for text in ax.texts] == ["0.25", "0.50"]
    assert ax.patches[0].get_facecolor()[:3] == matplotlib.colors.to_rgb(plots.METHODS["scratch"]["color"])


def test_distribution_shift_normalizes_and_measures_the_distance():
    ax = plots.distribution_shift(pd.Series({"a": 3, "b": 1}), pd.Series({"b": 10, "c": 10}))
    widths = [patch.get_width() for patch in ax.patches]
    assert widths == [75, 25, 0, 0, 50, 50] and ax.get_legend().get_title().get_text() == "75 % differ"


def test_distribution_without_counts_is_an_error():
    with pytest.raises(ValueError, match="'target' sum to 0"):
        plots.distribution_shift(pd.Series({"a": 1}), pd.Series({"a": 0}))


def test_heat_map_writes_readable_values():
    ax = plots.heat_map(pd.DataFrame([[0.0, 1.0]], index=["row"], columns=["x", "y"]))
    assert [(text.get_text(), text.get_color()) for text in ax.texts] == [
        ("0.00", "white"),
        ("1.00", "black"),
    ]
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["x", "y"]
    assert len(plots.heat_map(np.eye(3), limits=(0, 2)).texts) == 9


def test_timeline_has_a_row_for_each_user_and_a_bar_for_each_session(events):
    ax = plots.timeline(events, session="visit")
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["7", "9"]
    assert len(ax.collections[0].get_segments()) == 3 and len(ax.get_legend().get_texts()) == 4
    assert len(plots.timeline(events).collections) == 4


def test_timeline_names_an_event_without_a_mark(events):
    with pytest.raises(KeyError, match="'hover'"):
        plots.timeline(events.assign(event_type="hover"))


@pytest.mark.parametrize(("metric", "best"), [("loss", 2), ("accuracy", 3)])
def test_training_curves_mark_the_best_epoch(metric, best):
    ax = plots.training_curves({metric: [3, 2, 1], f"val_{metric}": [3, 2, 4]}, metric)
    assert ax.get_legend().get_texts()[-1].get_text() == f"best epoch: {best}"
    assert len(plots.training_curves({metric: [3, 2]}, metric).lines) == 1


def test_reliability_sizes_marks_by_count():
    sizes = plots.reliability([0.2, 0.8], [0.3, 0.7], counts=[1, 9]).collections[0].get_sizes()
    assert sizes[1] > sizes[0]
    assert len(plots.reliability([0.5], [0.5]).collections) == 1


def test_descent_paths_end_in_their_marker():
    ax = plots.descent_paths(
        lambda x, y: x**2 + y**2, {"sgd": [[1, 1], [0, 0]], "adam": [[1, 0]]}, ((-1, 1), (-1, 1))
    )
    assert [line.get_markevery() for line in ax.lines] == [[1], [0]]


def test_images_are_small_and_the_figure_is_closed(curves, shown):
    plots.alt_text(plots.curves_with_limit(curves, 0.1, 0.6), "Both curves are flat.")
    assert len(shown[0]["text/html"]) < 60_000 and not plt.get_fignums()


def test_alt_text_reaches_the_exported_page(curves, shown):
    plots.alt_text(plots.curves_with_limit(curves).figure, 'Both "curves"\n are < flat.')
    assert shown[0]["text/plain"] == 'Both "curves" are < flat.'
    output = nbformat.v4.new_output("display_data", shown[0])
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("", outputs=[output])])
    page, _ = HTMLExporter().from_notebook_node(notebook)
    (image,) = (tag for tag in re.findall("<img[^>]*>", page) if "data:image/png" in tag)
    assert 'Both "curves" are < flat.' in html.unescape(image)


def test_alt_text_must_say_something(curves):
    with pytest.raises(ValueError, match="empty"):
        plots.alt_text(plots.curves_with_limit(curves), " ")
