"""What is asked of whoever trains a run: each wish is a small file."""

from typing import Any, Literal, cast, get_args

from ndmixer.runs.about import About
from ndmixer.runs.files import read_json

Action = Literal["pause", "resume", "step", "stop"]


class Control(About):
    """The part of a run in `control`, `learning_rate` and `continue`."""

    def ask(self, action: Action, until: int | None = None) -> None:
        """Leaves a wish for whoever trains the run; a stop cannot be taken back.

        Args:
            action: What is wished.
            until: The step after which a run that is to `step` waits again; None is the end
                of an epoch, its evaluation included.
        """
        if action not in get_args(Action):
            raise ValueError(f"ask for one of {', '.join(get_args(Action))}. Received: {action!r}")
        if self.asked() != "stop":
            text = action if until is None else f"{action} {until}"
            self._write("control", text.encode())

    def asked(self) -> Action | None:
        """What was asked last."""
        action = self._control()[0]
        return cast(Action, action) if action in get_args(Action) else None

    def asked_until(self) -> int | None:
        """The step that was asked for with it."""
        until = self._control()[1]
        return int(until) if until.isdecimal() else None

    def _control(self) -> tuple[str, str]:
        try:
            action, _, until = (self.folder / "control").read_text("utf-8").partition(" ")
        except (OSError, ValueError):
            return "", ""
        return action, until

    def set_learning_rate(self, value: float) -> None:
        """Leaves a learning rate for whoever trains the run, now or later.

        Raises:
            ValueError: it is not above 0 and at most 10.
        """
        if not 0 < value <= 10:
            raise ValueError(f"choose a learning rate above 0, at most 10. Received: {value!r}")
        self._write("learning_rate", repr(float(value)).encode())

    def learning_rate(self) -> float:
        """The learning rate that was set last, else that of the specification."""
        try:
            return float((self.folder / "learning_rate").read_text("utf-8"))
        except (OSError, ValueError):
            return self.train_spec.learning_rate

    def drop_wish(self) -> None:
        """Takes back the wish to continue the run, if there is one."""
        (self.folder / "continue").unlink(missing_ok=True)

    def _wanted(self) -> dict[str, Any]:
        wish = read_json(self.folder / "continue")
        return wish if isinstance(wish, dict) else {}
