"""The arrays of a run: weights, snapshots, the state of the training, the probes."""

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file, save

from ndmixer.runs.files import Folder


class Weights(Folder):
    """The part of a run in `.safetensors` and `.npz` files."""

    def save_weights(self, weights: Mapping[str, np.ndarray], step: int) -> None:
        """Replaces `weights.safetensors`, the last weights."""
        self._write("weights.safetensors", _safetensors(weights, step))

    def save_snapshot(self, weights: Mapping[str, np.ndarray], step: int) -> None:
        """Writes the weights after so many optimizer steps to `snapshots/`."""
        (self.folder / "snapshots").mkdir(exist_ok=True)
        self._write(f"snapshots/{step:08d}.safetensors", _safetensors(weights, step))

    def _snapshot_path(self, step: int) -> Path:
        return self.folder / "snapshots" / f"{step:08d}.safetensors"

    def snapshots(self) -> list[int]:
        """The steps of all snapshots, ascending."""
        names = (path.stem for path in (self.folder / "snapshots").glob("*.safetensors"))
        return sorted(int(name) for name in names if name.isdecimal())

    def weights_path(self, step: int | None = None) -> Path:
        """The file of the last weights, in a run that was interrupted its last snapshot.

        Args:
            step: One of `snapshots()`, for the file of that one.

        Raises:
            ValueError: there are none, or not yet.
        """
        path = self.folder / "weights.safetensors"
        if step is None and path.exists():
            return path
        steps = self.snapshots()
        if step is None and not steps:
            raise ValueError(f"the run has no weights; it learned nothing. Received: {self.id}")
        if step is None:
            step = steps[-1]
        if step not in steps:
            raise ValueError(
                f"choose one of the snapshots {', '.join(map(str, steps)) or '(none)'}. "
                f"Received: step={step}, run={self.id}"
            )
        return self._snapshot_path(step)

    def load_weights(self, step: int | None = None) -> dict[str, np.ndarray]:
        """The weights by name, those of a snapshot or the last.

        Args:
            step: One of `snapshots()`; None is the last weights, in a run that was
                interrupted those of its last snapshot.

        Raises:
            ValueError: there are no such weights, or the file is damaged.
        """
        return _read_weights(self.weights_path(step))[0]

    def load_last_weights(self) -> tuple[dict[str, np.ndarray], int | None]:
        """The last weights by name, and after how many optimizer steps they were taken.

        Both from one file, which may be replaced meanwhile; None if it does not say.

        Raises:
            ValueError: there are none yet, or the file is damaged.
        """
        return _read_weights(self.weights_path())

    def save_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Replaces `state.safetensors`, from which the training can go on."""
        self._write("state.safetensors", _safetensors(state, int(state["step"])))

    def _load_state(self) -> dict[str, np.ndarray] | None:
        path = self.folder / "state.safetensors"
        try:
            return load_file(path)
        except FileNotFoundError:
            return None
        except (OSError, SafetensorError) as error:
            raise ValueError(
                "the state of the run is damaged; start its specification as a new run. "
                f"Received: {path}: {error}"
            ) from error

    def save_live(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Replaces `live.npz`, the probes' latest representations."""
        self._save_arrays("live.npz", arrays)

    def load_live(self) -> dict[str, np.ndarray] | None:
        """What `save_live` wrote last; None before the first time or if it is damaged."""
        return self._load_arrays("live.npz")

    def save_averages(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Replaces `averages.npz`, the class averages at every stage after an epoch."""
        self._save_arrays("averages.npz", arrays)

    def load_averages(self) -> dict[str, np.ndarray] | None:
        """What `save_averages` wrote last; None before the first time or if it is damaged."""
        return self._load_arrays("averages.npz")

    def _save_arrays(self, name: str, arrays: Mapping[str, np.ndarray]) -> None:
        content = io.BytesIO()
        np.savez(content, allow_pickle=False, **arrays)
        self._write(name, content.getvalue())

    def _load_arrays(self, name: str) -> dict[str, np.ndarray] | None:
        try:
            with np.load(self.folder / name, allow_pickle=False) as file:
                return dict(file)
        except (OSError, ValueError, zipfile.BadZipFile):
            return None


def _read_weights(path: Path) -> tuple[dict[str, np.ndarray], int | None]:
    try:
        with safe_open(path, framework="numpy") as file:
            step = (file.metadata() or {}).get("step", "")
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise ValueError(
            f"these weights are missing or damaged; choose a snapshot. Received: {path}: {error}"
        ) from error
    return weights, int(step) if step.isdecimal() else None


def _safetensors(weights: Mapping[str, np.ndarray], step: int) -> bytes:
    # safetensors writes the memory as it lies, so a transposed view must be copied.
    arrays = {name: np.asarray(array, order="C") for name, array in weights.items()}
    return save(arrays, metadata={"step": str(step)})
