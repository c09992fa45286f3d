"""The command line: `prompt-tuning COMMAND ...`.

Flags come from dataclasses and typed functions through tyro. A command's module is imported only
when the command is given, so `--help` and misspelt commands answer at once.
"""

import contextlib
import dataclasses
import difflib
import functools
import importlib
import importlib.metadata
import io
import logging
import os
import re
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any

import tyro

from prompt_tuning.errors import UserError
from prompt_tuning.training.stop import Interrupted


class Refused(Exception):
    """A UserError (its cause) on its way through tyro, which would put a ValueError in a box."""


@dataclasses.dataclass(frozen=True)
class Command:
    """A typed function `module.function`; with `from_args` it makes that function from the words
    after the command, for flags whose defaults stand in a file named there.
    """

    help: str
    module: str
    function: str
    from_args: bool = False


@dataclasses.dataclass(frozen=True)
class Group:
    """Commands under one word."""

    help: str
    commands: dict[str, "Command | Group"]


COMMANDS = Group(
    "Prompt tuning of frozen T5 models (Lester et al. 2021).",
    {
        "train": Group(
            "Train a prompt (or, as a baseline, the whole model).",
            {
                "paper": Command("As the paper's text has it.", "train", "train_paper"),
                "released": Command("As the released code does it.", "train", "train_released"),
                "model-tuning": Command(
                    "The paper's baseline: all weights.", "train", "train_model_tuning"
                ),
                "config": Command(
                    "From the config.json of a run, with changes.", "train", "train_config", True
                ),
                "configs": Command(
                    "Several config.json as one population.", "train", "train_configs"
                ),
            },
        ),
        "pretrain": Command(
            "Pre-train a T5 from scratch, or adapt one.", "pretrain", "pretrain", True
        ),
        "evaluate": Command("Score a run, a prompt or a bare model.", "evaluate", "evaluate", True),
        "predict": Command("Answer requests, each with its own prompt.", "predict", "predict"),
        "prompt": Group(
            "Look at prompts and convert them.",
            {
                "show": Command("What a prompt file holds.", "files", "show"),
                "convert": Command("Write a prompt in another format.", "files", "convert_prompt"),
                "neighbours": Command(
                    "The nearest vocabulary items of its rows.", "files", "neighbours"
                ),
            },
        ),
        "convert": Command("Write a model as a Hugging Face folder.", "files", "convert"),
        "data": Group(
            "Prepare and inspect the data.",
            {
                "prepare": Command("Download and prepare data sets.", "data", "prepare"),
                "list": Command("All tasks.", "data", "list_tasks"),
                "show": Command("Examples as the model sees them.", "data", "show"),
                "verify": Command("Compare data with the record.", "data", "verify"),
                "zip": Command("Pack SuperGLUE submission files.", "data", "pack"),
            },
        ),
        "sweep": Command("Run an experiment: many runs, resumable.", "sweep", "sweep"),
        "status": Command("How far a sweep is.", "sweep", "status"),
        "results": Command("Collect and show the results of a folder.", "sweep", "results"),
        "report": Command("Figures, tables and a page of a results folder.", "report", "report"),
        "average": Command("The SuperGLUE and GLUE averages of runs.", "average", "average"),
        "plan": Command("Memory and operations of training, without weights.", "plan", "plan"),
        "doctor": Command("Say what is wrong with a set-up.", "doctor", "doctor"),
    },
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status.

    0: done; 1: `doctor` or `data verify` found a fault; 2: bad input (one line on stderr); 128 + n:
    stopped by signal n. tyro exits by itself for `--help` (0) and misspelt flags (2).
    """
    args = list(sys.argv[1:] if argv is None else argv)
    if args == ["--version"]:
        print(importlib.metadata.version("prompt-tuning"))
        return 0
    handler = _PlainLines(logging.WARNING)
    logging.getLogger().addHandler(handler)
    try:
        return exit_status(lambda: _run(COMMANDS, args, "prompt-tuning"))
    finally:
        logging.getLogger().removeHandler(handler)


def exit_status(call: Callable[[], int | None]) -> int:
    """What a program exits with after `call`; a line on stderr says why it is not 0."""
    try:
        return call() or 0
    except (UserError, Refused) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except Interrupted as stopped:
        print(stopped, file=sys.stderr)
        return 128 + stopped.signal
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 128 + signal.SIGINT
    except PermissionError as error:
        print(f"error: {error.filename}: {error.strerror}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # the reader of our output, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE


class _PlainLines(logging.Handler):
    """`warning: ...` on stderr."""

    def emit(self, record: logging.LogRecord) -> None:
        print(f"{record.levelname.lower()}: {record.getMessage()}", file=sys.stderr)


def _run(command: Command | Group, args: list[str], prog: str) -> int | None:
    if isinstance(command, Group):
        if args and args[0] in command.commands:
            return _run(command.commands[args[0]], args[1:], f"{prog} {args[0]}")
        if args and not args[0].startswith("-"):
            from prompt_tuning.tasks.base import unknown

            raise unknown("command", args[0], command.commands)
        stubs = {name: _stub(inner.help) for name, inner in command.commands.items()}
        return tyro.extras.subcommand_cli_from_dict(
            stubs, prog=prog, description=command.help, args=args
        )
    from prompt_tuning.t5.runtime import plain_cpu_products

    plain_cpu_products()
    module = importlib.import_module(f"{__name__}.{command.module}")
    function = getattr(module, command.function)
    _check_dtype(args)
    parse = functools.partial(
        tyro.cli,
        function(args) if command.from_args else function,
        prog=prog,
        registry=getattr(module, "REGISTRY", None),
        config=(tyro.conf.PositionalMetavarFromFieldName,),
    )
    try:
        return parse(args=args)
    except SystemExit as stop:
        if stop.code == 2:
            _suggest(args, parse)
        raise


def _check_dtype(args: Sequence[str]) -> None:
    """float16 is no choice of any command; say why."""
    words = " ".join(args).replace("=", " ")
    if "--dtype float16" in words:
        from prompt_tuning.t5.load import parse_dtype

        parse_dtype("float16")


def _suggest(args: Sequence[str], parse: Callable[..., Any]) -> None:
    """Name the flags that are closest to misspelt ones; tyro is silent where one is missing too."""
    text = io.StringIO()
    with contextlib.redirect_stdout(text), contextlib.suppress(SystemExit):
        parse(args=["--help"])
    known = set(re.findall(r"--[a-z][\w.-]*", text.getvalue()))
    for word in args:
        flag = word.partition("=")[0].replace("_", "-")
        close = difflib.get_close_matches(flag, sorted(known), n=1)
        if flag.startswith("--") and flag not in known and close:
            print(f"error: unknown flag {flag}; did you mean {close[0]}?", file=sys.stderr)


def _stub(text: str) -> Callable[[], Any]:
    """Stands for a command in the help of its group and in suggestions."""

    def stub() -> None:
        raise UserError("name the command first, then its options")

    stub.__doc__ = text
    return stub
