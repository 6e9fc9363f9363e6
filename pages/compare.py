"""What do several runs cost, and what do they reach? Curves, a table, and a look inside two."""

import streamlit as st

from ndmixer.app.choices import bind
from ndmixer.app.compare_choice import choose_runs
from ndmixer.app.compare_inside import choose_two, show_inside
from ndmixer.app.compare_table import compare_table, history_of
from ndmixer.app.downloads import Table
from ndmixer.app.explorer import draw, theme
from ndmixer.app.live import SCORES
from ndmixer.app.words import ENDED, plain
from ndmixer.comparing import History, Over
from ndmixer.figures_runs import AXES, Measure, run_curves
from ndmixer.runs import Run

LOSSES = {"classifier": "cross-entropy", "autoencoder": "mean squared error"}
TITLES = {"accuracy": "Accuracy", "rmse": "RMSE"}


def curves(runs: dict[str, Run], histories: dict[str, History]) -> None:
    """Loss and score of all runs; those of another task have figures of their own."""
    over: Over = st.segmented_control(
        "Over",
        list(AXES),
        required=True,
        format_func=lambda name: AXES[name],
        **bind("over", list(AXES), "step"),
    )
    tasks = list(dict.fromkeys(run.model_spec.task for run in runs.values()))
    if len(tasks) > 1:
        st.info(
            "Classifiers and autoencoders learn different things: their losses and scores cannot "
            "be compared, and stand in figures of their own. Costs and representations can."
        )
    for task in tasks:
        own = {
            name: (number, histories[name])
            for number, (name, run) in enumerate(runs.items())
            if run.model_spec.task == task
        }
        if not any(len(h.train.step) or len(h.test.step) for _, h in own.values()):
            st.info(f"No {task} here has measured anything yet.")
            continue
        measures: tuple[Measure, ...] = ("loss", "score")
        for column, what in zip(st.columns(2, gap="medium"), measures, strict=True):
            loss = what == "loss"
            title = f"Loss ({LOSSES[task]})" if loss else TITLES[SCORES[task]]
            text = (
                f"{title} over {AXES[over]}: thin lines on the training images, thick ones with "
                "marks on the test images. Look for which run gets there first, and for a test "
                "curve that parts from its training."
            )
            with column:
                st.markdown(f"**{title}**")
                percent = not loss and task == "classifier"
                shown = run_curves(own, what, over, theme(), unit=title, percent=percent)
                data = {
                    f"{n}_{kind}_{field}": values
                    for n, h in own.values()
                    for kind, curve in (("train", h.train), ("test", h.test))
                    for field, values in vars(curve).items()
                }
                draw(shown, f"{task}-{what}", text, data, table=_points(own, what))


def _points(runs: dict[str, tuple[int, History]], what: Measure) -> Table:
    """Every point of the curves, a row for each."""
    columns = ("run", "images of", "step", "images", "seconds", what)
    rows = [
        (name, kind, *point)
        for name, (_, history) in runs.items()
        for kind, curve in (("training", history.train), ("test", history.test))
        for point in zip(curve.step, curve.images, curve.seconds, getattr(curve, what), strict=True)
    ]
    return dict(zip(columns, zip(*rows, strict=True), strict=True))


st.markdown("#### How do runs compare?")
runs = choose_runs()
if runs:
    histories = {name: history_of(run) for name, run in runs.items()}
    going = [name for name, run in runs.items() if run.status() not in ENDED]
    if going:
        st.caption(f"Still training, shown as of now: {plain(', '.join(going))}.")
        st.button("Draw again", icon=":material/refresh:")
    curves(runs, histories)
    st.markdown("**Cost and result**")
    compare_table(runs, histories)
    if len(runs) > 1:
        st.markdown("**Two of them, inside**")
        two = choose_two(runs)
        if two:
            show_inside(runs, two)
