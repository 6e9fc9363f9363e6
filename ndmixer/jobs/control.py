"""What a person asks of a run: to begin, wait, go on, end."""

from ndmixer import runs
from ndmixer.jobs.engine import engine
from ndmixer.runs import Status
from ndmixer.spec import ModelSpec, TrainSpec


def submit(model_spec: ModelSpec, train_spec: TrainSpec, name: str | None = None) -> str:
    """Makes a run and hands it to the engine, which is started if need be.

    Returns at once; what becomes of the run is told by `status`.

    Args:
        model_spec: The architecture.
        train_spec: The training.
        name: What a person calls the run.

    Returns:
        The id of the run.
    """
    run = runs.create(model_spec, train_spec, name=name)
    engine.put(run)
    return run.id


def stop(run_id: str) -> None:
    """Ends a run, which keeps what it has learned; there is no way back."""
    runs.open_run(run_id).ask("stop")


def pause(run_id: str) -> None:
    """Lets a run wait, and others train meanwhile."""
    runs.open_run(run_id).ask("pause")


def resume(run_id: str) -> None:
    """Lets a paused run go on, from the very step where it was."""
    runs.open_run(run_id).ask("resume")


def step(run_id: str, steps: int | None = None) -> None:
    """Lets a paused run take so many optimizer steps and pause again.

    Asked again before it has taken them, it takes so many more.

    Args:
        run_id: A paused run.
        steps: How many; None is to the end of the epoch, its evaluation included.

    Raises:
        ValueError: they are less than one.
    """
    if steps is not None and steps < 1:
        raise ValueError(f"choose at least one step. Received: steps={steps}")
    run = runs.open_run(run_id)
    if steps is None:
        run.ask("step")
    else:
        now = (run.last_event() or {}).get("step", 0)
        run.ask("step", max(now, run.asked_until() or 0) + steps)


def set_learning_rate(run_id: str, value: float) -> None:
    """Changes the learning rate of a run from its next burst of steps, or when it goes on.

    Raises:
        ValueError: it is not above 0 and at most 10.
    """
    runs.open_run(run_id).set_learning_rate(value)


def continue_run(run_id: str, epochs: int | None = None) -> None:
    """Lets an ended run go on in its folder from its last state, as if it had never ended.

    Args:
        run_id: A run that was stopped or interrupted, is finished, or has failed.
        epochs: How many it is to have in the end; None is as many as its specification
            says, and 10 more if it is finished.

    Raises:
        RunLocked: it trains, or waits for its turn.
        ValueError: it has so many epochs already, or no state to go on from.
    """
    run = runs.open_run(run_id)
    run.ask_to_continue(epochs)
    engine.put(run)


def status(run_id: str) -> Status:
    """What became of a run; see `Run.status`."""
    return runs.open_run(run_id).status()
