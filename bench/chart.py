"""Tables as pictures: webhooks received a second; what grows with the record, and what does not."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.table import Rate


def draw(rates: Sequence[Rate], path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 0.55 * len(rates) + 1.1), layout="constrained")
    axes = figure.subplots()
    values = [rate.delivered for rate in rates]
    spread = [[r.delivered - r.lowest for r in rates], [r.highest - r.delivered for r in rates]]
    colours = ["#0072B2" if rate.name.startswith("citybrain") else "#767676" for rate in rates]
    bars = axes.barh([rate.name for rate in rates], values, xerr=spread, color=colours, ecolor="#333333", capsize=3)
    texts = [
        f"{rate.delivered:,.0f}/s" + (f", {rate.times_naive:,.0f} x" if rate.times_naive else "") for rate in rates
    ]
    axes.bar_label(bars, texts, padding=8)
    axes.set_xscale("log")
    axes.set_xlim(min(values) / 3, max(values) * 8)
    axes.set_title("events a second, from durable 202 to signed webhook received", loc="left", fontsize=11)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, metadata={"Date": None})


def draw_growth(sizes: Sequence[int], costs: Mapping[str, Sequence[float]], path: Path) -> None:
    """Each cost beside itself at the smallest size; both axes logarithmic."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.2), layout="constrained")
    axes = figure.subplots()
    colours = ("#0072B2", "#E69F00", "#D55E00", "#CC79A7", "#333333", "#767676")
    for (name, values), colour in zip(costs.items(), colours, strict=False):
        axes.plot(sizes, [value / values[0] for value in values], marker="o", label=name, color=colour)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_yticks([0.5, 1, 2, 5, 10, 100], ["0.5", "1", "2", "5", "10", "100"])
    axes.set_xlabel("events in the record")
    axes.set_title(f"cost beside the cost at {sizes[0]:,} events", loc="left", fontsize=11)
    axes.legend(frameon=False, fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, metadata={"Date": None})
