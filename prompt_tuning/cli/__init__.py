"""The command line: `prompt-tuning COMMAND ...`.

Flags come from dataclasses and typed functions through tyro. A command's module is imported only
when the command is given, so `--help` and misspelt commands answer at once.
"""

import dataclasses
import importlib
import importlib.metadata
import logging
import os
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
        return _run(COMMANDS, args, "prompt-tuning") or 0
    except (UserError, Refused) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except Interrupted as stopped:
        print(stopped, file=sys.stderr)
        return 128 + stopped.signal
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 128 + signal.SIGINT
    except BrokenPipeError:  # the reader of our output, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    finally:
        logging.getLogger().removeHandler(handler)


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
    module = importlib.import_module(f"{__name__}.{command.module}")
    function = getattr(module, command.function)
    return tyro.cli(
        function(args) if command.from_args else function,
        prog=prog,
        args=args,
        registry=getattr(module, "REGISTRY", None),
        config=(tyro.conf.PositionalMetavarFromFieldName,),
    )


def _stub(text: str) -> Callable[[], Any]:
    """Stands for a command in the help of its group and in suggestions."""

    def stub() -> None:
        raise UserError("name the command first, then its options")

    stub.__doc__ = text
    return stub
