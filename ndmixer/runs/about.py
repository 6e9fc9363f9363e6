"""What a run is: its specification, and the name and note that a person gave it."""

import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

from ndmixer.runs.files import Folder, read_json
from ndmixer.spec import ModelSpec, TrainSpec

NAME_LENGTH, NOTE_LENGTH = 80, 4_000  # characters
KEPT = 1_000  # specifications


class About(Folder):
    """The part of a run in `spec.json` and `about.json`."""

    @property
    def info(self) -> Mapping[str, Any]:
        """All of `spec.json`: `model`, `train`, `name`, `created`, `creator`, `versions`.

        Raises:
            ValueError: the folder holds no readable specification.
        """
        path = self.folder / "spec.json"
        try:
            found = path.stat()
            return _specification(str(path), found.st_mtime_ns, found.st_size, found.st_ino)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"the run has no readable specification; delete its folder or mend spec.json. "
                f"Received: {path}: {error}"
            ) from error

    @property
    def model_spec(self) -> ModelSpec:
        """The architecture."""
        return cast(ModelSpec, self.info["model"])

    @property
    def train_spec(self) -> TrainSpec:
        """The training."""
        return cast(TrainSpec, self.info["train"])

    @property
    def name(self) -> str:
        """The name that a person gave it last, else its id."""
        about = self._about()
        if "name" in about:
            return about["name"]
        try:
            return self.info.get("name") or self.id
        except ValueError:  # a run that cannot be read has an id still
            return self.id

    @property
    def note(self) -> str:
        """What a person wrote about it; plain text of any length up to `NOTE_LENGTH`."""
        return self._about().get("note", "")

    @property
    def card(self) -> str:
        """How a shipped model was made and what it is good for, in Markdown; else empty."""
        try:
            return (self.folder / "README.md").read_text("utf-8") if self.shipped else ""
        except OSError:
            return ""

    def describe(self, *, name: str | None = None, note: str | None = None) -> None:
        """Renames the run or notes something on it, in `about.json`; its id stays.

        Args:
            name: One line; an empty one gives back the id as name. None leaves the name.
            note: Any text; None leaves the note.

        Raises:
            ValueError: the text is too long, or the model ships with the project.
        """
        self._check_own()
        changes = {}
        if name is not None:
            changes["name"] = _text("name", " ".join(name.split()), NAME_LENGTH) or self.id
        if note is not None:
            changes["note"] = _text("note", note.strip(), NOTE_LENGTH)
        self._write("about.json", json.dumps(self._about() | changes).encode() + b"\n")

    def _about(self) -> dict[str, str]:
        about = read_json(self.folder / "about.json")
        items = about.items() if isinstance(about, dict) else ()
        return {key: text for key, text in items if isinstance(text, str)}


@lru_cache(maxsize=KEPT)
def _specification(path: str, *version: int) -> Mapping[str, Any]:
    """What `spec.json` holds: parsed once, since a page asks for it many times a second."""
    info = json.loads(Path(path).read_bytes())
    model, train = ModelSpec.model_validate(info["model"]), TrainSpec.model_validate(info["train"])
    return {**info, "model": model, "train": train}


def _text(what: str, text: str, limit: int) -> str:
    """The text, if it is not too long; half a character pair, which no page can show, as `?`."""
    if len(text) > limit:
        raise ValueError(f"write a {what} of at most {limit:,} characters. Received: {len(text):,}")
    return text.encode("utf-8", "replace").decode("utf-8")
