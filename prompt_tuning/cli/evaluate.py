"""`prompt-tuning evaluate`: score a run, a prompt or a bare model on a split."""

import dataclasses
import pathlib
from collections.abc import Callable, Sequence
from typing import Annotated, Literal

import tyro

from prompt_tuning.cli.common import load_base, read_prompt
from prompt_tuning.cli.train import REGISTRY, read_run
from prompt_tuning.errors import UserError
from prompt_tuning.evaluation.evaluate import evaluate as evaluate_split
from prompt_tuning.prompts.files import check_writable
from prompt_tuning.t5.load import Dtype
from prompt_tuning.tasks.sources import DataConfig
from prompt_tuning.tasks.submission import check_form, write_submission
from prompt_tuning.training.run import Run, UserTask

__all__ = ["REGISTRY", "evaluate"]


@dataclasses.dataclass(frozen=True)
class Flags:
    """What is evaluated, and how."""

    task: str  # such as "super_glue/rte", or any name with --user-task
    model: str | None = None  # folder, hub id, pocket:SIZE, random:SIZE; None: the prompt's base
    prompt: pathlib.Path | None = None  # a prompt, or the directory of its run; None: no prompt
    split: str = "validation"  # "test" has no labels: predictions only
    method: Literal["generate", "score"] = "generate"  # greedy text as in the paper, or best label
    beams: int = 1  # more than 1: beam search
    limit: int | None = None  # only the first so many examples; of a mixture, of each task
    out: pathlib.Path | None = None  # a folder for predictions.jsonl and scores.json
    submission: pathlib.Path | None = None  # a folder for SuperGLUE's file of the test split
    max_input_length: int = 512  # tokens with EOS, without the prompt
    max_target_length: int = 16  # tokens with EOS
    sentinel: bool = False  # outputs begin with <extra_id_0>; a prompt trained so is known to
    revision: str | None = None  # of a hub id: a commit, branch or tag
    tokenizer: str | None = None  # a folder or file, in place of the model's own
    dtype: Dtype | None = None  # None: as stored; float32 on CPU
    force: bool = False  # use a prompt that was made for another base
    task_name_in_text: bool = False  # T5's task name before the text
    user_task: UserTask | None = None  # a task of your own: a JSON file with the fields of UserTask
    data: DataConfig = dataclasses.field(default_factory=DataConfig)


def evaluate(args: Sequence[str]) -> Callable[..., None]:
    """The command; if a run is named first, its configuration gives the defaults."""
    named = bool(args) and not args[0].startswith("-")
    default = _of_run(pathlib.Path(args[0])) if named else Flags(tyro.MISSING)

    def command(
        run: tyro.conf.Positional[pathlib.Path | None] = None,
        flags: Annotated[Flags, tyro.conf.arg(name="")] = default,
    ) -> None:
        """Answer a split and score the answers, as in the paper or by the likelihood of labels.

        Args:
            run: the directory of a run: all defaults are those of the run. Without it, --task and
                --model or --prompt say what to evaluate.
            flags: what is evaluated, and how.
        """
        if run is not None and not named:
            raise UserError(f"name the run first, then the flags: evaluate {run} ...")
        given = {word.partition("=")[0].replace("_", "-") for word in args}
        other = named and flags.task != default.task
        if other and "--user-task" not in given:
            flags = dataclasses.replace(flags, user_task=None)
        if named and "--user-task" in given and flags.user_task is not None:
            if not any(word[:7] == "--data." for word in given):
                flags = dataclasses.replace(flags, data=DataConfig())
            if "--task-name-in-text" not in given:
                flags = dataclasses.replace(flags, task_name_in_text=False)
        if named and flags.model != default.model:  # the run's are those of its own model
            flags = dataclasses.replace(
                flags,
                revision=flags.revision if "--revision" in given else None,
                tokenizer=flags.tokenizer if "--tokenizer" in given else None,
            )
        # A run's limit is of its dev split.
        if (other or flags.split != default.split) and "--limit" not in given:
            flags = dataclasses.replace(flags, limit=None)
        _evaluate(flags)

    return command


def _of_run(directory: pathlib.Path) -> Flags:
    if not (directory / "config.json").is_file():
        raise UserError(f"{directory} is not the directory of a run (it has no config.json)")
    run = read_run(directory)
    tuned = directory / ("best_prompt.safetensors" if run.method == "prompt" else "best_model")
    if not tuned.exists():
        raise UserError(f"{directory} has no {tuned.name} yet: train the run until it is evaluated")
    whole = run.method == "model"
    return Flags(
        task=run.task,
        model=str(tuned) if whole else run.model,
        prompt=None if whole else tuned,
        split=run.dev_split,
        method=run.evaluation,
        limit=run.dev_examples,
        max_input_length=run.max_input_length,
        max_target_length=run.max_target_length,
        sentinel=run.sentinel,
        revision=None if whole else run.revision,
        tokenizer=None if whole else run.tokenizer,
        dtype=run.dtype,
        task_name_in_text=run.task_name_in_text,
        user_task=run.user_task,
        data=run.data,
    )


def _evaluate(flags: Flags) -> None:
    prompts = {} if flags.prompt is None else {"prompt": read_prompt(flags.prompt)}
    task = Run(
        flags.task,
        data=flags.data,
        user_task=flags.user_task,
        task_name_in_text=flags.task_name_in_text,
    ).get_task()
    if flags.submission is not None:
        if flags.limit is not None or flags.split != "test":
            raise UserError("--submission needs the whole test split: --split test, and no --limit")
        check_form(task)
        check_writable(flags.submission)
    t5 = load_base(
        flags.model,
        prompts,
        revision=flags.revision,
        dtype=flags.dtype,
        tokenizer=flags.tokenizer,
    )
    result = evaluate_split(
        t5,
        task,
        prompts.get("prompt"),
        split=flags.split,
        method=flags.method,
        max_input_length=flags.max_input_length,
        max_target_length=flags.max_target_length,
        beams=flags.beams,
        limit=flags.limit,
        sentinel=flags.sentinel,
        out=flags.out,
        force=flags.force,
    )
    print(f"{task.name}, split {flags.split}: {len(result.examples)} examples")
    if result.labelled:
        scores = {**result.scores.metrics, "invalid": result.scores.invalid}
        width = max(map(len, scores))
        for name, value in scores.items():
            print(f"  {name:<{width}}  {value:6.2f}")
    else:
        print("  no labels: predictions only")
    if flags.out is not None:
        print(f"written to {flags.out}")
    if flags.submission is not None:
        done = write_submission(task, result.examples, result.predictions, flags.submission)
        note = f"; {done.replaced} invalid outputs became the first label" if done.replaced else ""
        print(f"written {done.path} ({done.rows} lines{note})")
