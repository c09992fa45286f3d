"""What a sweep shows while it goes on, read from the run directories."""

import pathlib
import time
from collections.abc import Sequence

import rich.console
import rich.progress

from prompt_tuning.sweep.status import RunStatus, Survey, counts, seconds_left
from prompt_tuning.sweep.trackers import Tracker, track
from prompt_tuning.training.run import Run

INTERVAL = 30.0  # seconds between two plain lines


class Watch:
    """A bar on a terminal, elsewhere a line now and then; failures as they come."""

    def __init__(
        self,
        out: pathlib.Path,
        runs: Sequence[Run],
        quiet: bool = False,
        tracker: Tracker | None = None,
    ):
        self.out, self.quiet, self.tracker, self.tracked = out, quiet, tracker, time.monotonic()
        self.untracked = ""  # why the tracker could not be reached
        self.survey = Survey(out, runs)
        self.console = rich.console.Console(highlight=False)
        self.told = {s.run.id for s in self.survey.look() if s.state == "failed"}
        self.last = time.monotonic()
        self.line = ""
        self.bar: rich.progress.Progress | None = None
        if not quiet and self.console.is_terminal:
            self.bar = rich.progress.Progress(
                rich.progress.BarColumn(bar_width=30),
                rich.progress.TextColumn("{task.description}"),
                rich.progress.TimeElapsedColumn(),
                console=self.console,
            )
            self.bar.start()
            self.task = self.bar.add_task("", total=len(runs))

    def show(self, force: bool = False) -> list[RunStatus]:
        """Look at all runs and show the state of the sweep."""
        found = self.survey.look()
        for status in found:
            if status.state == "failed" and status.run.id not in self.told:
                self.told.add(status.run.id)
                self.say(f"{status.run.id} failed: {status.reason}")
        if time.monotonic() - self.tracked >= INTERVAL:
            self.track()
        text = summary(self.out, found)
        if self.bar is not None:
            done = sum(status.share for status in found)
            self.bar.update(self.task, completed=done, description=text)
        elif not self.quiet and text != self.line:
            now = time.monotonic()
            if force or now - self.last >= INTERVAL:
                self.last, self.line = now, text
                self.console.print(text, soft_wrap=True, markup=False)
        return found

    def track(self) -> None:
        """Send the tracker what is new; that it cannot be reached stops nothing."""
        self.tracked = time.monotonic()
        if self.tracker is None:
            return
        try:
            track(self.out, self.survey.runs, self.tracker)
        except Exception as error:  # whatever the tracker's package raises
            if str(error) != self.untracked:
                self.untracked = str(error)
                self.say(f"nothing was sent to {self.tracker}, the next sweep does: {error}")

    def say(self, text: str) -> None:
        """A line of its own."""
        if not self.quiet:
            self.console.print(text, soft_wrap=True, markup=False)

    def close(self) -> None:
        if self.bar is not None:
            self.bar.stop()


def summary(out: pathlib.Path, found: Sequence[RunStatus]) -> str:
    """How many runs are done, running, failed and left, and about how long the rest takes."""
    parts = [f"{number} {state}" for state, number in counts(found).items() if number]
    text = f"{', '.join(parts)} of {len(found)} runs"
    estimate = seconds_left(out, found)
    if estimate is not None and estimate[0] > 0:
        workers = max(1, len({s.worker for s in found if s.worker is not None}))
        text += f"; about {clock(estimate[0] / workers)} left"
    return text


def clock(seconds: float) -> str:
    """Seconds as minutes and seconds, or hours and minutes."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes}:{seconds:02} min"
