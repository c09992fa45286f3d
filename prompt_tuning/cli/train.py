"""`prompt-tuning train ...`: the presets and saved configurations."""

import dataclasses
import pathlib
from collections.abc import Callable, Sequence
from typing import Annotated

import tyro

from prompt_tuning.cli.common import one_word
from prompt_tuning.errors import UserError
from prompt_tuning.t5.runtime import reuse_memory
from prompt_tuning.tasks.sources.files import parse_object, read_text
from prompt_tuning.training.loop import train
from prompt_tuning.training.run import Run, UserTask, model_tuning, paper, released


def read_user_task(path: str) -> UserTask | None:
    """The fields of `UserTask` as a JSON object."""
    fields = parse_object(read_text(pathlib.Path(path)), path)
    return Run.from_dict({"task": "", "user_task": fields}).user_task


REGISTRY = one_word(UserTask, "FILE.json", read_user_task)


def read_run(path: pathlib.Path) -> Run:
    """The run in a config.json, or in the directory that holds one."""
    path = path / "config.json" if path.is_dir() else path
    return Run.from_dict(parse_object(read_text(path), str(path)))


@dataclasses.dataclass(frozen=True)
class Output:
    """Where results go, and how often they come."""

    out: pathlib.Path = pathlib.Path("runs")  # the run's directory is made in this folder
    quiet: bool = False  # show no progress
    log_every: int = 50  # steps between two lines of metrics.jsonl
    save_seconds: float = 300.0  # time between two checkpoints; each evaluation also writes one
    model_parallel: int = 1  # with several devices: over how many each weight is split

    def __post_init__(self) -> None:
        if self.log_every < 1:
            raise UserError(f"log_every must be at least 1, not {self.log_every}")
        if not self.save_seconds >= 0:
            raise UserError(f"save_seconds must be at least 0, not {self.save_seconds}")


# The fields of these stand among the flags without a prefix.
RunFlags = Annotated[Run, tyro.conf.arg(name="")]
OutputFlags = Annotated[Output, tyro.conf.arg(name="")]
_PAPER, _RELEASED, _MODEL_TUNING = (
    dataclasses.replace(preset(""), task=tyro.MISSING) for preset in (paper, released, model_tuning)
)
_OUTPUT = Output()


def train_paper(run: RunFlags = _PAPER, output: OutputFlags = _OUTPUT) -> None:
    """Prompt tuning as the paper's text has it (section 3 and appendix A).

    A finished run is not trained again; an interrupted one goes on where it was.
    """
    _train([run], output)


def train_released(run: RunFlags = _RELEASED, output: OutputFlags = _OUTPUT) -> None:
    """Prompt tuning as the released code does it: batch size, dropout, z-loss, summed loss and the
    optimiser's first step differ from the paper's text.

    A finished run is not trained again; an interrupted one goes on where it was.
    """
    _train([run], output)


def train_model_tuning(run: RunFlags = _MODEL_TUNING, output: OutputFlags = _OUTPUT) -> None:
    """The paper's baseline: all weights are trained.

    A finished run is not trained again; an interrupted one goes on where it was.
    """
    _train([run], output)


def train_config(args: Sequence[str]) -> Callable[..., None]:
    """The command whose defaults are those of the file named first."""
    named = bool(args) and not args[0].startswith("-")
    default = read_run(pathlib.Path(args[0])) if named else paper("")

    def command(
        config: tyro.conf.Positional[pathlib.Path],
        run: RunFlags = default,
        output: OutputFlags = _OUTPUT,
    ) -> None:
        """Train a run from the config.json of another; flags after it change single fields.

        Args:
            config: the file, or the directory that holds it.
            run: the run.
            output: where results go.
        """
        if not named:  # its values are the defaults of all flags
            raise UserError(f"name the file first, then the flags: train config {config} ...")
        _train([run], output)

    return command


def train_configs(
    configs: tyro.conf.Positional[tuple[pathlib.Path, ...]], output: OutputFlags = _OUTPUT
) -> None:
    """Train several runs over one frozen model as one program.

    Args:
        configs: config.json files, or the directories that hold them.
        output: where results go.
    """
    _train([read_run(path) for path in configs], output)


def _train(runs: list[Run], output: Output) -> None:
    reuse_memory()
    results = train(
        runs,
        output.out,
        quiet=output.quiet,
        log_every=output.log_every,
        save_seconds=output.save_seconds,
        model_parallel=output.model_parallel,
    )
    for result in results:
        metrics = ", ".join(f"{name} {value:.2f}" for name, value in result.metrics.items())
        print(f"{result.directory}")
        print(
            f"  score {result.score:.2f} ({metrics}; {result.invalid:.1f} % invalid outputs) at "
            f"step {result.best_step} of {result.steps}"
        )
