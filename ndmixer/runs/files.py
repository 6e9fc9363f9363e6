"""The folder of a run, and how a file comes into it: whole or not at all."""

import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ndmixer

MODELS = Path(ndmixer.__file__).parents[1] / "models"  # trained ones, beside the package


def runs_folder() -> Path:
    """Where the runs are: `NDMIXER_RUNS`, else `runs` below the working folder."""
    return Path(os.environ.get("NDMIXER_RUNS") or "runs").expanduser().absolute()


@dataclass(frozen=True)
class Folder:
    """What every part of a run has: the folder that it reads and writes.

    Args:
        folder: Where it is.
    """

    folder: Path

    @property
    def id(self) -> str:
        """Name of the folder, such as `20261123-131502-classifier-a3f9`."""
        return self.folder.name

    @property
    def shipped(self) -> bool:
        """Whether it is one of the trained models of the project, which stay as they are."""
        return self.folder.parent == MODELS

    def _check_own(self) -> None:
        if self.shipped:
            raise ValueError(
                "a model that ships with the project stays as it is; start its specification as "
                f"a new run. Received: {self.id}"
            )

    def _write(self, name: str, content: bytes) -> None:
        """Replaces a file at once."""
        path = self.folder / name
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        try:
            temporary.write_bytes(content)
            os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def read_json(path: Path) -> Any:
    """What a file holds; None if it cannot be read."""
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
