"""The command line: `ndmixer train`, `ndmixer presets`, `ndmixer describe`."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from rich import box
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

import ndmixer
from ndmixer import PRESETS, ModelSpec, TrainSpec, accounting, runs
from ndmixer.datasets import dataset_info
from ndmixer.jobs import train_run
from ndmixer.presets import Preset
from ndmixer.runs import Event
from ndmixer.spec import format_shape, problems

DEFAULT_PRESET = "classifier"

app = typer.Typer(
    help="Shape, train and describe N-dimensional MLP-Mixers.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
)
console = Console()
errors = Console(stderr=True)

PresetName = Annotated[
    str, typer.Option("--preset", help="Where to start from; `ndmixer presets` lists them.")
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="A field of the model, such as depth=2, repr_shape=8x8 or gate=off. Repeatable.",
    ),
]


def main() -> None:
    """Runs the command line."""
    app(prog_name="ndmixer")


def _version(wanted: bool) -> None:
    if wanted:
        console.print(f"ndmixer {ndmixer.__version__}", highlight=False)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


@app.command()
def train(
    preset: PresetName = DEFAULT_PRESET,
    settings: Settings = None,
    dataset: Annotated[
        str | None, typer.Option(help="mnist, fashion_mnist, cifar10 or the path of an .npz.")
    ] = None,
    train_images: Annotated[int | None, typer.Option(help="Use only the first so many.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Images in one step.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the training images.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Step size of Adam.")] = None,
    schedule: Annotated[
        str | None, typer.Option(help="constant, or cosine: the step size falls to 0.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of the weights and the images' order.")] = None,
    target_accuracy: Annotated[
        float | None, typer.Option(help="Finish once the test accuracy reaches it, such as 0.97.")
    ] = None,
    max_seconds: Annotated[
        float | None, typer.Option(help="Finish after so many seconds of training.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="What to call the run.")] = None,
) -> None:
    """Train a model here and now; Ctrl-C stops it and keeps what it has learned."""
    given = {
        "dataset": dataset,
        "train_images": train_images,
        "batch_size": batch_size,
        "epochs": epochs,
        "learning_rate": learning_rate,
        "schedule": schedule,
        "seed": seed,
        "target_accuracy": target_accuracy,
        "max_seconds": max_seconds,
    }
    with _plain_errors():
        model_spec = _model_spec(preset, settings)
        train_spec = TrainSpec.model_validate(
            _preset(preset).train.model_dump()
            | {key: value for key, value in given.items() if value is not None}
        )
        info = dataset_info(train_spec.dataset)
        model_spec.check_data(info.sample_shape, info.num_classes)
    if model_spec.cannot_learn:
        errors.print(f"[yellow]{model_spec.cannot_learn}")

    run = runs.create(model_spec, train_spec, name=name)
    console.print(f"Run {run.id}; loading TensorFlow and {info.name} ...", highlight=False)
    results: Event = {}
    with _interruptible() as interrupted, _progress() as progress:
        bar = progress.add_task("", total=None)

        def show(event: Event) -> None:
            results.update(event)
            progress.update(
                bar,
                total=event["total_steps"],
                completed=event["step"],
                description=_progress_text(event, train_spec.epochs),
            )

        train_run(run, show, interrupted.is_set)

    status = run.status()
    console.print(_results(run, status, results))
    console.print(run.folder, soft_wrap=True, highlight=False)  # whole, so that it can be copied
    if run.error:
        errors.print(f"[red]{status}:[/] {run.error}", highlight=False)
    if status not in ("finished", "stopped"):
        raise typer.Exit(1)


@app.command()
def presets() -> None:
    """List the architectures of the original experiment, what it printed of them, and ours."""
    table = Table("name, and shapes: input → inside → output", box=box.SIMPLE)
    table.add_column("parameters", justify="right")
    table.add_column("test result", justify="right")
    for name, preset in PRESETS.items():
        model = preset.model
        shapes = (model.in_shape, model.repr_shape, model.out_shape)
        arrows = " → ".join(format_shape(shape) for shape in shapes if shape)
        result = "–"
        if preset.result is not None:
            classifier = model.task == "classifier"
            result = f"{preset.result:.2%} right" if classifier else f"RMSE {preset.result}"
        table.add_row(
            f"[bold]{name}[/]\n{preset.title}\n[dim]{arrows}[/]",
            f"{accounting(model).parameters:,}",
            result,
        )
    console.print(table)


@app.command()
def describe(preset: PresetName = DEFAULT_PRESET, settings: Settings = None) -> None:
    """Show shape, einsum equations, parameters and work of every stage of a model."""
    with _plain_errors():
        spec = _model_spec(preset, settings)
    account = accounting(spec)
    table = Table(title=f"{spec.task}, {spec.depth} blocks", show_footer=True)
    table.add_column("stage", "total")
    table.add_column("shape")
    table.add_column("einsum")
    table.add_column("parameters", f"{account.parameters:,}", justify="right")
    table.add_column("multiply-adds", f"{account.multiply_adds:,}", justify="right")
    for stage in account.stages:
        table.add_row(
            stage.name,
            format_shape(stage.shape),
            "\n".join(stage.equations),
            f"{stage.parameters:,}",
            f"{stage.multiply_adds:,}",
        )
    console.print(table)
    if spec.cannot_learn:
        errors.print(f"[yellow]{spec.cannot_learn}")


@contextmanager
def _plain_errors() -> Iterator[None]:
    """Says what is wrong with a specification and leaves with exit code 2."""
    try:
        yield
    except ValidationError as error:
        for field, message in problems(error).items():
            errors.print(f"[red]{field}:[/] {message}", highlight=False, soft_wrap=True)
    except ValueError as error:
        errors.print(f"[red]error:[/] {error}", highlight=False, soft_wrap=True)
    else:
        return
    raise typer.Exit(2)


def _preset(name: str) -> Preset:
    if name not in PRESETS:
        raise ValueError(
            f"there is no such preset; use one of {', '.join(PRESETS)}. Received: {name!r}"
        )
    return PRESETS[name]


def _model_spec(preset: str, settings: list[str] | None) -> ModelSpec:
    query = _preset(preset).model.to_query()
    for setting in settings or []:
        key, equals, value = setting.partition("=")
        if not equals or key not in ModelSpec.model_fields:
            raise ValueError(
                f"write KEY=VALUE with one of the keys {', '.join(ModelSpec.model_fields)}. "
                f"Received: --set {setting}"
            )
        query[key] = value
    return ModelSpec.from_query(query)


@contextmanager
def _interruptible() -> Iterator[threading.Event]:
    """Turns the first Ctrl-C into an event; the second one interrupts as always."""
    pressed = threading.Event()

    def press(*_: Any) -> None:
        pressed.set()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    before = signal.signal(signal.SIGINT, press)
    try:
        yield pressed
    finally:
        signal.signal(signal.SIGINT, before)


def _progress() -> Progress:
    return Progress(
        BarColumn(bar_width=12),
        TextColumn("{task.description}"),
        TimeRemainingColumn(),
        console=console,
    )


def _progress_text(event: Event, epochs: int) -> str:
    measures = [f"{key} {event[key]:.4f}" for key in ("loss", "accuracy", "rmse") if key in event]
    doing = event["phase"]
    if doing == "training":
        doing = f"{event['images_per_s']:,.0f} images/s"
    return "  ".join([f"epoch {event['epoch']}/{epochs}", *measures, doing])


def _results(run: runs.Run, status: str, results: Event) -> Table:
    table = Table(title=f"Run {run.id}", show_header=False)
    reason = (run.last_event() or {}).get("reason")
    table.add_row("status", f"{status}: {reason}" if reason else status)
    for key, text in {
        "loss": "training loss",
        "accuracy": "training accuracy",
        "rmse": "training RMSE",
        "val_loss": "test loss",
        "val_accuracy": "test accuracy",
        "val_rmse": "test RMSE",
    }.items():
        if key in results:
            table.add_row(text, f"{results[key]:.4f}")
    if results:
        table.add_row("steps", f"{results['step']:,} of {results['total_steps']:,}")
        table.add_row("seconds", f"{results['elapsed']:.1f}")
    table.add_row("parameters", f"{accounting(run.model_spec).parameters:,}")
    return table


if __name__ == "__main__":
    main()
