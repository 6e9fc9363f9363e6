"""What became of a run: never stored, always derived."""

from contextlib import suppress
from typing import Any, Literal, cast, get_args

from ndmixer.runs.control import Action, Control
from ndmixer.runs.files import read_json
from ndmixer.runs.metrics import Metrics
from ndmixer.runs.processes import lives

End = Literal["finished", "stopped", "diverged", "failed"]
Status = Literal["queued", "running", "paused", End, "interrupted", "unreadable"]


class Standing(Control, Metrics):
    """The part of a run that says how it stands, and the mark of its end."""

    def status(self) -> Status:
        """What became of the run, as far as its folder and the living processes tell.

        | found | status |
        |---|---|
        | no readable `spec.json` | unreadable |
        | `continue`, `lock`, its owner lives | running |
        | `continue`, `lock`, its owner is gone | interrupted |
        | `continue`, its creator lives, no stop was asked | queued |
        | an `end` in the last line of `metrics.jsonl` | finished, stopped, diverged or failed |
        | `lock`, its owner lives, the last phase is `paused` | paused |
        | `lock`, its owner lives | running |
        | `error.txt` | failed |
        | `lock`, its owner is gone | interrupted |
        | no `lock`, nothing in `metrics.jsonl`, a stop was asked | stopped |
        | no `lock`, nothing in `metrics.jsonl`, its creator lives | queued |
        | anything else | interrupted |

        So a crash of anyone at any moment leaves a true status behind: a process that is
        gone can say nothing false.
        """
        try:
            info = self.info
        except ValueError:
            return "unreadable"
        # In this order: whoever is seen dead, or without a lock, has written all it will.
        wish = self.folder / "continue"
        wanted = wish.exists()
        locked = (self.folder / "lock").exists()
        alive = locked and lives(self.folder / "lock", read_json(self.folder / "lock"))
        last = self.last_event()
        if wanted and locked:
            return "running" if alive else "interrupted"
        if wanted and self.asked() != "stop" and lives(wish, self._wanted().get("creator")):
            return "queued"
        if last and last.get("end") in get_args(End):
            return cast(End, last["end"])
        if alive:
            return "paused" if last and last.get("phase") == "paused" else "running"
        if (self.folder / "error.txt").exists():
            return "failed"
        if locked or last:
            return "interrupted"
        if self.asked() == "stop":
            return "stopped"
        alive = lives(self.folder / "spec.json", info.get("creator"))
        return "queued" if alive else "interrupted"

    def awaited(self, status: Status) -> Action | None:
        """What was asked and has not happened yet, in a run of this status."""
        asked = self.asked()
        if status == "running" and asked in ("pause", "stop"):
            return asked
        if status == "paused" and asked in ("resume", "stop"):
            return asked
        if status == "paused" and asked == "step":  # or paused again after these steps
            with suppress(OSError):
                files = [self.folder / name for name in ("control", "metrics.jsonl")]
                control, metrics = (file.stat().st_mtime_ns for file in files)
                return asked if control > metrics else None
        return None

    @property
    def error(self) -> str | None:
        """Why it failed or diverged, in a sentence; the rest of `error.txt` is for experts."""
        try:
            lines = (self.folder / "error.txt").read_text("utf-8").splitlines()
        except OSError:
            last = self.last_event() or {}
            return last.get("reason") if last.get("end") in ("failed", "diverged") else None
        return lines[0] if lines else "for a reason that could not be written down"

    def end(self, end: End, *, reason: str | None = None, details: str = "", **event: Any) -> None:
        """Marks the end of the run, and of a wish to continue it.

        Args:
            end: How it ended.
            reason: A sentence for people: the first line of `error.txt` after a failure,
                else, or where the disk has no room for that file, `reason` in the last line
                of `metrics.jsonl`.
            details: What follows there, such as a traceback.
            event: More for the last line of `metrics.jsonl`.
        """
        line = " ".join((reason or "").split())
        if reason is not None and end in ("failed", "diverged"):
            try:
                self._write("error.txt", f"{line}\n\n{details}".rstrip().encode() + b"\n")
            except OSError:  # a line more may fit where a file does not
                event["reason"] = line
        elif reason is not None:
            event["reason"] = line
        self.append({**event, "end": end})
        self.drop_wish()
