"""The curve: goodput over offered load, one line for each server."""

from pathlib import Path

from loadtests.goodput.verdict import Findings


def draw(findings: Findings, path: Path) -> None:
    """Write the picture."""
    import matplotlib as mpl  # noqa: PLC0415  slow to import, and needed last

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    peak_per_s = findings.peak_per_s
    figure, axes = plt.subplots(figsize=(8, 4.5))
    for name, curve in findings.curves.items():
        offered = [step.offered_per_s / peak_per_s for step in curve]
        goodput = [step.goodput_per_s / peak_per_s for step in curve]
        axes.plot(offered, goodput, marker="o", label=name)
    axes.axhline(0.9, color="grey", linestyle=":", linewidth=1)
    axes.set(
        title="Goodput under overload",
        xlabel="applicants arriving / peak",
        ylabel="registrations in time / peak",
        ylim=(0, 1.1),
    )
    axes.legend(title="shedding")
    figure.savefig(path, dpi=120, bbox_inches="tight")
    plt.close(figure)
