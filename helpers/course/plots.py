"""The course's one style of picture: the same method has the same color, marker and line everywhere.

The nine colors stay apart for readers with deuteranopia or protanopia (a test simulates both), no picture
relies on color alone, and `alt_text` puts a description where screen readers find it.
"""

import base64
import html
from io import BytesIO

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import display
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.ticker import NullLocator
from PIL import Image

_COLORS = "#0072B2 #D55E00 #332288 #56B4E9 #882255 #8C564B #5D3A00 #888888 #000000".split()
_SOURCE, _TARGET = _COLORS[:2]

STYLE = {
    "figure.figsize": (6.4, 3.6),
    "figure.dpi": 100,
    "figure.constrained_layout.use": True,
    "savefig.facecolor": "white",
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.prop_cycle": plt.cycler(color=_COLORS),
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "lines.markersize": 6,
}

METHODS = {
    "popularity": {"color": "#888888", "marker": "None", "linestyle": ":"},
    "markov": {"color": "#8C564B", "marker": "v", "linestyle": "-."},
    "item-kNN": {"color": "#5D3A00", "marker": "P", "linestyle": "-."},
    "content-kNN": {"color": "#E69F00", "marker": "<", "linestyle": "-."},
    "scratch": {"color": "#0072B2", "marker": "o", "linestyle": "-"},
    "direct": {"color": "#882255", "marker": "X", "linestyle": "--"},
    "feature extraction": {"color": "#56B4E9", "marker": "s", "linestyle": "--"},
    "fine-tuned": {"color": "#D55E00", "marker": "D", "linestyle": "-"},
    "pooled": {"color": "#332288", "marker": "^", "linestyle": "--"},
    "oracle": {"color": "#000000", "marker": "None", "linestyle": "-"},
}

EVENTS = {
    "view": {"color": "#56B4E9", "marker": "o"},
    "search": {"color": "#332288", "marker": "|"},
    "add_to_cart": {"color": "#D55E00", "marker": "^"},
    "purchase": {"color": "#882255", "marker": "*"},
    "login": {"color": "#888888", "marker": ">"},
    "payment": {"color": "#000000", "marker": "D"},
}


def use_course_style():
    """Draw everything from here on in the course's style; for one picture, `with plt.rc_context(STYLE)`."""
    plt.rcParams.update(STYLE)


def finding(ax, title, xlabel, ylabel):
    """State the finding as the title and label both axes, with units.

    Args:
        ax: the Axes to label.
        title: what the picture shows, as a sentence: "Transfer saves 400 sessions".
        xlabel, ylabel: quantity and unit: "target sessions", "HR@10 [%]".

    Returns:
        ax.
    """
    ax.set(title=title, xlabel=xlabel, ylabel=ylabel)
    return ax


def method_style(method):
    """Color, marker and line style of a method, for `ax.plot(..., **method_style("scratch"))`.

    Raises:
        KeyError: for an unknown method; lists the known ones.

    Example:
        >>> method_style("fine-tuned")
        {'color': '#D55E00', 'marker': 'D', 'linestyle': '-'}
    """
    if method not in METHODS:
        raise KeyError(f"no style for method {method!r}; known are {list(METHODS)}: use one of these names")
    return dict(METHODS[method])


def curves_with_limit(table, floor=None, ceiling=None, ax=None):
    """Label-efficiency curves with their intervals, between popularity and the oracle.

    Args:
        table: DataFrame with columns `method`, `sessions` (target sessions, > 0), `mean`, `low`, `high`;
            methods are drawn in their order of appearance.
        floor: popularity's value, a dotted gray line; None to leave it out.
        ceiling: the oracle's value, a solid black line; None to leave it out.
        ax: Axes to draw into; a new figure without.

    Returns:
        Axes with a logarithmic x axis.
    """
    ax = _axes(ax, table, ["method", "sessions", "mean", "low", "high"])
    for method, curve in table.groupby("method", sort=False):
        curve, style = curve.sort_values("sessions"), method_style(method)
        ax.plot(curve["sessions"], curve["mean"], label=method, **style)
        ax.fill_between(
            curve["sessions"], curve["low"], curve["high"], color=style["color"], alpha=0.15, lw=0
        )
    for method, value in (("popularity", floor), ("oracle", ceiling)):
        if value is not None:
            ax.axhline(value, label=method, **method_style(method))
    sessions = sorted(table["sessions"].unique())
    ax.set_xscale("log")
    ax.set_xticks(sessions, [f"{count:,}" for count in sessions])
    ax.xaxis.set_minor_locator(NullLocator())
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return ax


def paired_differences(table, ax=None):
    """Forest plot: one row per comparison, its interval, and the line of no difference.

    Args:
        table: DataFrame with columns `comparison` (text), `mean`, `low`, `high` (differences, one unit).
        ax: Axes to draw into; a new figure without.

    Returns:
        Axes; filled markers where the interval excludes zero, hollow ones where it does not.
    """
    ax = _axes(ax, table, ["comparison", "mean", "low", "high"])
    rows = np.arange(len(table))
    apart = (table["low"].to_numpy() > 0) | (table["high"].to_numpy() < 0)
    ax.axvline(0, color="black", linewidth=1)
    ax.hlines(rows, table["low"], table["high"], color=_SOURCE)
    ax.scatter(table["mean"], rows, facecolor=np.where(apart, _SOURCE, "white"), edgecolor=_SOURCE, zorder=3)
    ax.set_yticks(rows, table["comparison"])
    ax.set_ylim(len(table) - 0.5, -0.5)
    ax.grid(axis="y", visible=False)
    return ax


def bars_with_interval(table, ax=None, digits=2):
    """Horizontal bars with an interval and the value written beside each.

    Args:
        table: DataFrame with columns `method`, `mean`, `low`, `high`; a method of the course keeps its color.
        ax: Axes to draw into; a new figure without.
        digits: decimals of the written values.

    Returns:
        Axes, first row on top.
    """
    ax = _axes(ax, table, ["method", "mean", "low", "high"])
    mean, low, high = (table[name].to_numpy() for name in ("mean", "low", "high"))
    colors = [METHODS.get(method, {"color": _SOURCE})["color"] for method in table["method"]]
    rows = np.arange(len(table))
    ax.barh(rows, mean, height=0.6, color=colors, alpha=0.85)
    ax.errorbar(
        mean, rows, xerr=[mean - low, high - mean], fmt="none", ecolor="black", capsize=3, linewidth=1
    )
    for row, (value, end) in enumerate(zip(mean, np.maximum(high, 0), strict=True)):
        ax.annotate(f"{value:.{digits}f}", (end, row), (5, 0), textcoords="offset points", va="center")
    ax.set_yticks(rows, table["method"])
    ax.invert_yaxis()
    ax.margins(x=0.12)
    ax.grid(axis="y", visible=False)
    return ax


def distribution_shift(source, target, names=("source", "target"), ax=None, top=12):
    """Two distributions side by side, largest source shares first.

    Args:
        source, target: Series of counts or shares by category, each normalized to 100 %; a category that one
            side lacks counts as zero there.
        names: what to call the two.
        ax: Axes to draw into; a new figure without.
        top: number of categories shown.

    Returns:
        Axes with the total variation distance between the two, in %, in the legend's title.

    Raises:
        ValueError: if the counts of one side sum to zero.
    """
    ax = _new_axes(ax)
    for name, counts in zip(names, (source, target), strict=True):
        if not counts.sum() > 0:
            raise ValueError(f"the counts of {name!r} sum to {counts.sum()}, expected more than zero")
    shares = pd.DataFrame({"source": source / source.sum(), "target": target / target.sum()}).fillna(0) * 100
    distance = (shares["source"] - shares["target"]).abs().sum() / 2
    shares = shares.sort_values("source", ascending=False, kind="stable").head(top)
    rows = np.arange(len(shares))
    ax.barh(rows - 0.2, shares["source"], height=0.4, color=_SOURCE, label=names[0])
    ax.barh(
        rows + 0.2,
        shares["target"],
        height=0.4,
        color="white",
        edgecolor=_TARGET,
        hatch="////",
        label=names[1],
    )
    ax.set_yticks(rows, shares.index)
    ax.invert_yaxis()
    ax.grid(axis="y", visible=False)
    ax.legend(title=f"{distance:.0f} % differ")
    return ax


def heat_map(values, rows=None, columns=None, ax=None, digits=2, limits=None):
    """A matrix as colors with the value written in each cell.

    Args:
        values: (n_rows, n_columns) numbers or DataFrame, whose labels then serve as `rows` and `columns`.
        rows, columns: labels.
        ax: Axes to draw into; a new figure without.
        digits: decimals of the written values.
        limits: (lowest, highest) value of the color scale; the matrix's own without.

    Returns:
        Axes.
    """
    ax = _new_axes(ax)
    if isinstance(values, pd.DataFrame):
        rows = values.index if rows is None else rows
        columns = values.columns if columns is None else columns
    matrix = np.asarray(values, dtype=float)
    low, high = limits or (np.nanmin(matrix), np.nanmax(matrix))
    ax.imshow(matrix, cmap="cividis", vmin=low, vmax=high, aspect="auto")
    for (row, column), value in np.ndenumerate(matrix):
        color = "white" if value < (low + high) / 2 else "black"
        ax.text(column, row, f"{value:.{digits}f}", ha="center", va="center", color=color, fontsize="small")
    ax.set_xticks(range(matrix.shape[1]), range(matrix.shape[1]) if columns is None else columns)
    ax.set_yticks(range(matrix.shape[0]), range(matrix.shape[0]) if rows is None else rows)
    ax.grid(visible=False)
    return ax


def timeline(events, row="user_id", time="timestamp", kind="event_type", session=None, ax=None):
    """Events on a time axis, one row for each user (or whatever `row` names), one mark for each event type.

    Args:
        events: DataFrame with the columns named below; a few dozen events read best.
        row: column whose values become rows, in order of appearance.
        time: column of timestamps.
        kind: column of event types, each drawn as in `EVENTS`.
        session: column of session numbers: a gray bar then spans each session. None for no bars.
        ax: Axes to draw into; a new figure without.

    Returns:
        Axes.

    Raises:
        KeyError: for an event type without a mark; lists the known ones.
    """
    ax = _axes(ax, events, [row, time, kind] + ([session] if session else []))
    labels = list(dict.fromkeys(events[row]))
    height = events[row].map({label: position for position, label in enumerate(labels)})
    if session:
        spans = events.groupby([height, events[session]])[time].agg(["min", "max"])
        ax.hlines(spans.index.get_level_values(0), spans["min"], spans["max"], color="#DDDDDD", linewidth=12)
    for name in dict.fromkeys(events[kind]):
        if name not in EVENTS:
            raise KeyError(f"no mark for event type {name!r} in column {kind!r}; known are {list(EVENTS)}")
        chosen = events[kind] == name
        ax.scatter(events.loc[chosen, time], height[chosen], s=45, label=name, zorder=3, **EVENTS[name])
    ax.set_yticks(range(len(labels)), labels)
    ax.set_ylim(len(labels) - 0.5, -0.5)
    locator = AutoDateLocator(maxticks=8)
    ax.xaxis.set_major_locator(locator)
    ax.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    ax.grid(axis="y", visible=False)
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return ax


def training_curves(history, metric="loss", ax=None):
    """Training and validation value by epoch, with the best validation epoch marked.

    Args:
        history: mapping of metric name to one value an epoch, as in `model.fit(...).history`.
        metric: the name to draw; `val_` + metric is drawn too where it is there.
        ax: Axes to draw into; a new figure without.

    Returns:
        Axes; the best epoch is the lowest for losses, the highest for other metrics.
    """
    ax = _new_axes(ax)
    epochs = np.arange(1, len(history[metric]) + 1)
    ax.plot(epochs, history[metric], color=_SOURCE, marker="o", label="training")
    validation = history.get(f"val_{metric}")
    if validation is not None:
        best = int(np.argmin(validation) if "loss" in metric else np.argmax(validation))
        ax.plot(epochs, validation, color=_TARGET, marker="D", linestyle="--", label="validation")
        ax.axvline(epochs[best], color="black", linestyle=":", label=f"best epoch: {epochs[best]}")
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.legend()
    return ax


def reliability(predicted, observed, counts=None, ax=None):
    """Reliability diagram: what happened against what was predicted, beside perfect calibration's diagonal.

    Args:
        predicted, observed: (n_bins,) mean probability and frequency of each bin, 0 to 1.
        counts: (n_bins,) observations of each bin; larger bins get larger marks.
        ax: Axes to draw into; a new square figure without.

    Returns:
        Axes.
    """
    ax = _new_axes(ax, figsize=(4, 4))
    sizes = 40 if counts is None else 20 + 180 * np.asarray(counts) / np.max(counts)
    ax.plot([0, 1], [0, 1], color="black", linestyle=":", label="perfectly calibrated")
    ax.plot(predicted, observed, color=_SOURCE)
    ax.scatter(predicted, observed, s=sizes, color=_SOURCE, label="model", zorder=3)
    ax.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
    ax.legend()
    return ax


def descent_paths(loss, paths, limits, ax=None):
    """Paths of optimizers over the contour lines of a loss of two parameters.

    Args:
        loss: function of two equally shaped arrays.
        paths: mapping of name to (steps, 2) visited points.
        limits: ((x_low, x_high), (y_low, y_high)).
        ax: Axes to draw into; a new figure without.

    Returns:
        Axes; each path ends in its marker.
    """
    ax = _new_axes(ax)
    x, y = np.meshgrid(*(np.linspace(low, high, 100) for low, high in limits))
    ax.contour(x, y, loss(x, y), levels=15, colors="#BBBBBB", linewidths=0.8)
    styles = zip(_COLORS, "oD^sXvP", ["-", "--", "-.", ":"] * 2, strict=False)
    for (name, path), (color, marker, line) in zip(paths.items(), styles, strict=False):
        points, style = np.asarray(path), {"color": color, "marker": marker, "linestyle": line}
        ax.plot(*points.T, markevery=[len(points) - 1], label=name, **style)
    ax.set(xlim=limits[0], ylim=limits[1])
    ax.grid(visible=False)
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return ax


def alt_text(picture, text):
    """Show a picture with its description for readers who cannot see it, and close the figure.

    JupyterLab (4.6) and nbconvert's default template drop the `alt` of an `image/png` output, so the picture
    goes out as an HTML image, which keeps it; the text is also the cell's plain-text output.

    Args:
        picture: Axes or Figure.
        text: one or two sentences that state the finding, with its numbers, and what is on the axes.

    Raises:
        ValueError: if the text is empty.

    Example:
        >>> alt_text(finding(plt.figure().add_subplot(), "Flat", "day", "sales"), "Sales stay flat all week.")
        Sales stay flat all week.
    """
    if not text.strip():
        raise ValueError("alt_text needs a sentence that states what the picture shows, found an empty text")
    figure = picture if isinstance(picture, plt.Figure) else picture.get_figure(root=True)
    picture = _Picture(_small_png(figure), " ".join(text.split()))
    plt.close(figure)
    display(picture)


class _Picture:
    """A PNG image that shows as HTML with alt text, and as that text where there is no HTML."""

    def __init__(self, png, text):
        self.png, self.text = png, text

    def __repr__(self):
        return self.text

    def _repr_html_(self):
        data = base64.b64encode(self.png).decode("ascii")
        return f'<img alt="{html.escape(self.text)}" src="data:image/png;base64,{data}">'


def _small_png(figure):
    """A PNG of 128 colors: a third of the bytes, and no difference that an eye can see."""
    full, small = BytesIO(), BytesIO()
    figure.savefig(full, format="png", bbox_inches="tight")
    Image.open(full).convert("RGB").quantize(128).save(small, format="png", optimize=True)
    return small.getvalue()


def _new_axes(ax, figsize=None):
    return plt.subplots(figsize=figsize)[1] if ax is None else ax


def _axes(ax, table, columns):
    missing = [name for name in columns if name not in table.columns]
    if missing:
        raise KeyError(f"the table lacks columns {missing}; found {list(table.columns)}, expected {columns}")
    if table.empty:
        raise ValueError("the table has no rows: nothing to draw")
    return _new_axes(ax)
