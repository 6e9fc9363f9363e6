"""The controls of the Train page: widgets that make a ModelSpec and a TrainSpec."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

import streamlit as st
from pydantic import ValidationError

from ndmixer.accounting import accounting
from ndmixer.datasets import DATASETS
from ndmixer.presets import PRESETS
from ndmixer.runs import Run
from ndmixer.spec import (
    AUTO,
    MAX_RANK,
    Activation,
    ModelSpec,
    Shape,
    TrainSpec,
    format_shape,
    parse_shape,
    problems,
)

CUSTOM = "custom"
AXIS_SIZE = "axis size"
NO_LIMIT = "none"
RATES = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1)
TARGETS = (0.9, 0.95, 0.97, 0.98, 0.99)
TIME_LIMITS = (30.0, 60.0, 120.0, 300.0, 600.0, 1_800.0, 3_600.0)  # seconds
DATASET_TITLES = {"mnist": "MNIST", "fashion_mnist": "Fashion-MNIST", "cifar10": "CIFAR-10"}

# What the app lets a browser ask for; the library itself has wider bounds.
MAX_DEPTH = 32
MAX_AXIS = 128
MAX_PARAMETERS = 5_000_000
MAX_STEP_FLOPS = 200e9  # about 2 s a step on one slow core
MAX_WORK_FLOPS = 1e15  # about nine hours on two cores

# What a field of a specification is called beside its control.
LABELS = {
    "task": "task",
    "dataset": "data",
    "in_shape": "input shape",
    "embedding": "linear maps",
    "repr_shape": "inside",
    "depth": "blocks",
    "hidden_size": "hidden size",
    "gate": "gates",
    "residual": "residual",
    "activation": "activation",
    "head": "head",
    "out_shape": "before the logits",
    "learning_rate": "learning rate",
    "schedule": "schedule",
    "batch_size": "batch size",
    "epochs": "epochs",
    "target_accuracy": "target test accuracy",
    "max_seconds": "time limit",
    "train_images": "training images",
    "seed": "seed",
}


@dataclass(frozen=True)
class Choice:
    """What the controls say.

    Attributes:
        model: The architecture, None where the controls contradict each other.
        train: The training, None likewise.
        problem: Why Train is off, in words; empty when it is on.
        marked: Whether the problem stands beside its control already.
    """

    model: ModelSpec | None
    train: TrainSpec | None
    problem: str = ""
    marked: bool = False


def start_from(query: Mapping[str, str], run: Run | None) -> None:
    """Sets the controls, once a session: from the address, else the run, else the first preset.

    Values of the address that are not valid are left out and named on the page.

    Args:
        query: The address; a link to a run alone holds no setting.
        run: The run that is shown.
    """
    state = st.session_state
    if "controls_ready" in state:
        return
    state.controls_ready = True
    preset = PRESETS["classifier"]
    model, train = preset.model, preset.train
    given = query.keys() & (ModelSpec.model_fields.keys() | TrainSpec.model_fields.keys())
    try:
        if given:
            asked = ModelSpec.from_query(query), TrainSpec.from_query(query)
            reason = refusal(*asked)
            if reason:
                raise ValueError(reason)
            model, train = asked
        elif run and can_take(run):
            model, train = run.model_spec, run.train_spec
    except ValidationError as error:
        state.address_problem = "; ".join(
            f"{field}: {message}" for field, message in problems(error).items()
        )
    except ValueError as error:
        state.address_problem = str(error)
    set_controls(model, train)


def can_take(run: Run) -> bool:
    """Whether the controls can hold the settings of a run."""
    try:
        return not refusal(run.model_spec, run.train_spec)
    except ValueError:  # it has no readable specification
        return False


def differences(choice: tuple[ModelSpec, TrainSpec], run: Run) -> list[str]:
    """What the run has otherwise than the choice, in words: `["blocks 4", "epochs 2"]`.

    Raises:
        ValueError: the run has no readable specification.
    """
    here, there = (
        {**model.to_query(), **train.to_query(), "train_images": f"{_images(train):,}"}
        for model, train in (choice, (run.model_spec, run.train_spec))
    )
    words = there | {"hidden_size": there["hidden_size"].replace(AUTO, AXIS_SIZE)}
    return [
        f"{label} {words[name].replace(AUTO, NO_LIMIT)}"
        for name, label in LABELS.items()
        if here[name] != there[name]
    ]


def set_controls(model: ModelSpec, train: TrainSpec) -> None:
    """Puts a specification into the widgets; before they are drawn, or in a callback."""
    state = st.session_state
    state.task = model.task
    state.in_shape = format_shape(model.in_shape)
    for axis, size in enumerate(model.repr_shape, start=1):
        state[f"repr_{axis}"] = size
    for axis, size in enumerate(model.out_shape or model.repr_shape, start=1):
        state[f"out_{axis}"] = size
    state.depth, state.gate, state.residual, state.head = (
        model.depth,
        model.gate,
        model.residual,
        model.head,
    )
    state.activation, state.embedding = model.activation, model.embedding
    state.hidden_size = model.hidden_size or AXIS_SIZE
    state.dataset = train.dataset
    state.batch_size, state.epochs = train.batch_size, train.epochs
    state.learning_rate, state.seed = train.learning_rate, train.seed
    state.schedule = train.schedule
    state.train_images = _images(train)
    state.target_accuracy = train.target_accuracy or NO_LIMIT
    state.max_seconds = train.max_seconds or NO_LIMIT


def controls() -> Choice:
    """Draws the controls and returns what they say."""
    preset_slot = st.container()
    fields: dict[str, Any] = {}
    with st.container(border=True):
        st.markdown("**Architecture**")
        problem = _architecture(fields)
    with st.container(border=True):
        st.markdown("**Training**")
        _training(fields)
    choice = _choice(fields, problem)
    with preset_slot:
        _preset(choice)
    return choice


def refusal(model: ModelSpec, train: TrainSpec) -> str:
    """Why the app does not train this; empty if it does."""
    if train.dataset not in DATASETS:
        return f"dataset: choose one of {', '.join(DATASETS)}. Received: {train.dataset[:40]!r}"
    available = DATASETS[train.dataset].train_images
    if _images(train) > available:
        return (
            f"train_images: {DATASET_TITLES[train.dataset]} has {available:,}; choose at most so "
            f"many. Received: {train.train_images:,}"
        )
    if model.depth > MAX_DEPTH:
        return f"depth: the app takes at most {MAX_DEPTH} blocks. Received: {model.depth}"
    return over_budget(model, train) or too_long(model, train)


def too_long(model: ModelSpec, train: TrainSpec) -> str:
    """Why the app does not train so long; empty if it does."""
    images = _images(train) * train.epochs
    work = 3 * accounting(model).flops * images
    if work <= MAX_WORK_FLOPS:
        return ""
    return (
        f"The training would see {images:,} images ({_images(train):,} in each of "
        f"{train.epochs:,} epochs), about {work / 1e12:,.0f} TFLOP, and the app allows "
        f"{MAX_WORK_FLOPS / 1e12:,.0f}; choose fewer epochs, fewer training images or a smaller "
        "model."
    )


def _images(train: TrainSpec) -> int:
    """Training images of one epoch; 0 where nobody knows the data set."""
    data = DATASETS.get(train.dataset)
    return train.train_images or (data.train_images if data else 0)


def over_budget(model: ModelSpec, train: TrainSpec) -> str:
    """Why the app does not train so large a model; empty if it does."""
    account = accounting(model)
    if account.parameters > MAX_PARAMETERS:
        return (
            f"The model has {account.parameters:,} parameters and the app trains at most "
            f"{MAX_PARAMETERS:,}; make an axis, the hidden size or the depth smaller."
        )
    flops = 3 * account.flops * train.batch_size
    if flops > MAX_STEP_FLOPS:
        return (
            f"One step would take {flops / 1e9:,.0f} GFLOP and the app allows "
            f"{MAX_STEP_FLOPS / 1e9:,.0f}; make the batch, an axis or the depth smaller."
        )
    return ""


def _architecture(fields: dict[str, Any]) -> str:
    """The widgets of a ModelSpec; returns what is wrong with a shape, empty if nothing."""
    tasks = get_args(ModelSpec.model_fields["task"].annotation)
    _segmented("Task", tasks, "task", fields, str.capitalize)
    in_shape, problem = _in_shape(fields)
    rank = len(in_shape)
    classifier = fields["task"] == "classifier"
    if _toggle("Linear maps around the blocks", "embedding", fields) and not problem:
        fields["repr_shape"] = _axis_sliders("Inside", "repr", in_shape)
    else:
        fields["repr_shape"] = in_shape
    _slider("Blocks", "depth", fields, 0, MAX_DEPTH)
    sizes = [4, 8, 16, 32, 64, 128, 256, 512]
    hidden = _choices("Hidden size of the MLPs", "hidden_size", [AXIS_SIZE, *sizes])
    fields["hidden_size"] = None if hidden == AXIS_SIZE else hidden
    with st.container(horizontal=True):
        _toggle("Gates", "gate", fields, "A scalar for each block that starts at 0")
        _toggle("Residual", "residual", fields, "Each block adds its input to its output")
    _choices("Activation", "activation", list(get_args(Activation)), fields)
    if classifier:
        names = {"mix": "Mix to a shape", "axis_concat": "Each axis alone"}
        _segmented("Head", tuple(names), "head", fields, names.__getitem__)
        if fields["head"] == "mix" and rank <= MAX_RANK and not problem:
            fields["out_shape"] = _axis_sliders("Before the logits", "out", in_shape)
    return problem


def _training(fields: dict[str, Any]) -> None:
    """The widgets of a TrainSpec."""
    available = DATASETS[fields["dataset"]].train_images
    _choices("Learning rate", "learning_rate", [*RATES], fields, lambda rate: f"{rate:g}")
    names = {"constant": "Constant", "cosine": "Falls to 0"}
    label = "Learning rate over the training"
    _segmented(label, tuple(names), "schedule", fields, names.__getitem__)
    _choices("Batch size", "batch_size", [16, 32, 64, 128, 256, 512, 1024], fields)
    _slider("Epochs", "epochs", fields, 1, 50)
    if fields["task"] == "classifier":
        _limit("Target test accuracy", "target_accuracy", TARGETS, fields, _percent)
    _limit("Time limit", "max_seconds", TIME_LIMITS, fields, _time)
    counts = [n for n in (1_000, 2_000, 5_000, 10_000, 20_000, 50_000) if n < available]
    if st.session_state.get("train_images", 0) > available:
        st.session_state.train_images = available
    _choices("Training images", "train_images", [*counts, available], fields, lambda n: f"{n:,}")
    fields["train_images"] = None if fields["train_images"] == available else fields["train_images"]
    fields["seed"] = st.number_input(
        "Seed", 0, 2**31 - 1, step=1, key="seed", persist_state="session"
    )


def _in_shape(fields: dict[str, Any]) -> tuple[Shape, str]:
    """Data set and the reshape of its images; the shape in force, and what is wrong."""
    fields["dataset"] = st.selectbox(
        "Data",
        list(DATASETS),
        key="dataset",
        persist_state="session",
        format_func=DATASET_TITLES.__getitem__,
        on_change=_use_dataset,
    )
    data = DATASETS[fields["dataset"]]
    offered = list(dict.fromkeys([*_reshapes(data.sample_shape), st.session_state.in_shape]))
    text = st.selectbox(
        "Input shape",
        offered,
        key="in_shape",
        accept_new_options=True,
        persist_state="session",
        help="Any reshape of an image. Type your own, such as 2x14x28.",
    )
    try:
        shape = parse_shape(text or "")
        spec = ModelSpec(in_shape=shape, repr_shape=shape)
        spec.check_data(data.sample_shape, 0)
    except ValidationError as error:
        problem = next(iter(problems(error).values()))
    except ValueError as error:
        problem = str(error)
    else:
        fields["in_shape"] = shape
        return shape, ""
    st.error(problem)
    return data.sample_shape, problem


def _axis_sliders(label: str, key: str, like: Shape) -> Shape:
    """One slider an axis, two or three beside each other."""
    st.caption(f"{label}, size of each axis")
    sizes = []
    wide = 3 if len(like) == 3 else 2
    for start in range(0, len(like), wide):
        for axis, column in enumerate(st.columns(wide, gap="small"), start=start + 1):
            if axis <= len(like):
                name = f"{key}_{axis}"
                st.session_state.setdefault(name, min(like[axis - 1], 28))
                top = max(64 if st.session_state[name] <= 64 else MAX_AXIS, st.session_state[name])
                with column:
                    sizes.append(
                        st.slider(f"Axis {axis}", 1, top, key=name, persist_state="session")
                    )
    return tuple(sizes)


def _choice(fields: dict[str, Any], problem: str) -> Choice:
    if problem:
        return Choice(None, None, problem, marked=True)
    try:
        data = DATASETS[fields["dataset"]]
        model = ModelSpec.model_validate(
            {k: v for k, v in fields.items() if k in ModelSpec.model_fields}
            | {"num_classes": data.num_classes}
        )
        train = TrainSpec.model_validate(
            {k: v for k, v in fields.items() if k in TrainSpec.model_fields}
        )
    except ValidationError as error:
        return Choice(None, None, "; ".join(problems(error).values()))
    return Choice(model, train, refusal(model, train))


def _preset(choice: Choice) -> None:
    """The preset whose architecture the controls spell out; drawn last, shown first."""
    data = choice.train.dataset if choice.train else None
    same = (n for n, p in PRESETS.items() if p.model == choice.model and p.train.dataset == data)
    now = next(same, CUSTOM)
    if st.session_state.get("preset") != now:  # else a click on its way would be undone
        st.session_state.preset = now
    st.selectbox(
        "Preset",
        [*PRESETS, *([CUSTOM] if now == CUSTOM else [])],
        format_func=lambda name: PRESETS[name].title if name in PRESETS else "Your own",
        key="preset",
        on_change=_use_preset,
    )


def _use_preset() -> None:
    preset = PRESETS.get(st.session_state.preset)
    if preset:
        set_controls(preset.model, preset.train.model_copy(update={"seed": st.session_state.seed}))


def _use_dataset() -> None:
    data = DATASETS[st.session_state.dataset]
    st.session_state.in_shape = format_shape(data.sample_shape)
    st.session_state.train_images = data.train_images
    for axis, size in enumerate(data.sample_shape, start=1):
        st.session_state[f"repr_{axis}"] = st.session_state[f"out_{axis}"] = size


def _reshapes(shape: Shape) -> list[str]:
    """A few reshapes of an image worth a try."""
    flat = 1
    for size in shape:
        flat *= size
    shapes = [shape, (1, *shape), (flat,)]
    if len(shape) == 2 and all(size % 4 == 0 for size in shape):
        shapes.insert(2, (4, shape[0] // 4, 4, shape[1] // 4))
    return [format_shape(s) for s in shapes]


def _choices(
    label: str,
    key: str,
    options: list[Any],
    fields: dict[str, Any] | None = None,
    format_func: Any = str,
) -> Any:
    """A slider over listed values; the value in force is always one of them."""
    now = st.session_state[key]
    if now not in options:
        options = sorted([*options, now], key=lambda v: (isinstance(v, int | float), v))
    value = st.select_slider(
        label, options, key=key, format_func=format_func, persist_state="session"
    )
    if fields is not None:
        fields[key] = value
    return value


def _limit(
    label: str, key: str, values: tuple[float, ...], fields: dict[str, Any], show: Any
) -> None:
    """A stop condition, or none."""
    options = [NO_LIMIT, *values]
    value = _choices(label, key, options, None, lambda v: v if v == NO_LIMIT else show(v))
    fields[key] = None if value == NO_LIMIT else value


def _percent(part: float) -> str:
    return f"{100 * part:g} %"


def _time(seconds: float) -> str:
    for size, unit in ((3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:g} {unit}"
    return f"{seconds:g} s"


def _slider(label: str, key: str, fields: dict[str, Any], low: int, high: int) -> None:
    top = max(high, st.session_state[key])
    fields[key] = st.slider(label, low, top, key=key, persist_state="session")


def _toggle(label: str, key: str, fields: dict[str, Any], help_text: str | None = None) -> bool:
    fields[key] = st.toggle(label, key=key, help=help_text, persist_state="session")
    return fields[key]


def _segmented(
    label: str, options: tuple[str, ...], key: str, fields: dict[str, Any], show: Any
) -> None:
    fields[key] = st.segmented_control(
        label, options, key=key, format_func=show, required=True, persist_state="session"
    )
