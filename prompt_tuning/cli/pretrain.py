"""`prompt-tuning pretrain`: a T5 from scratch, or the LM adaptation of one."""

import functools
import pathlib
from collections.abc import Callable, Sequence
from typing import Annotated, Literal

import tyro

from prompt_tuning.cli.common import one_word
from prompt_tuning.errors import UserError
from prompt_tuning.t5.config import T5Config
from prompt_tuning.tasks.pocket import document as pocket_document
from prompt_tuning.tasks.sources.files import parse_object, read_text
from prompt_tuning.training import pretrain as training
from prompt_tuning.training.pretraining import Pretraining, architecture

REGISTRY = one_word(T5Config, "SIZE|FILE.json", architecture)


def read_config(path: pathlib.Path) -> Pretraining:
    """The configuration in a JSON file, or in the directory of a run."""
    path = path / "pretraining.json" if path.is_dir() else path
    return Pretraining.from_dict(parse_object(read_text(path), str(path)))


def pretrain(args: Sequence[str]) -> Callable[..., None]:
    """The command; its defaults are those of the file that --config names."""
    words = [word for arg in args for word in arg.split("=", 1)]
    named = words[words.index("--config") + 1 :][:1] if "--config" in words else []

    def command(
        run: Annotated[Pretraining, tyro.conf.arg(name="")],
        config: pathlib.Path | None = None,
        document: Literal["pocket"] | None = None,
        out: pathlib.Path = pathlib.Path("pretraining"),
        cache: pathlib.Path | None = None,
        workers: int = 0,
        quiet: bool = False,
        log_every: int = 50,
        save_seconds: float = 300.0,
    ) -> None:
        """Pre-train a T5 by span corruption, or adapt one as a language model (--start and
        --objective prefix_lm); with both --start and --architecture the model is widened first.

        The text comes from files (--text.files) or, with --document pocket, from the pocket
        language (its tokenizer is named "pocket"). A finished run is not repeated; an interrupted
        one goes on where it was.

        Args:
            run: the pre-training.
            config: a JSON file with fields of `Pretraining`, or the directory of a run: the
                defaults of all flags.
            document: a generator of documents, in place of files.
            out: the run's directory is made in this folder.
            cache: a folder for tokenised text, shared by runs. None: OUT/tokenised.
            workers: processes that generate and tokenise; 0 is this one.
            quiet: show no progress.
            log_every: steps between two lines of metrics.jsonl.
            save_seconds: time between two checkpoints; each evaluation also writes one.
        """
        del config  # read above
        if log_every < 1:
            raise UserError(f"log_every must be at least 1, not {log_every}")
        if workers < 0:
            raise UserError(f"workers must be at least 0, not {workers}")
        if document is None and not run.text.files:
            raise UserError("no text: name files (--text.files), or give --document pocket")
        if document is not None and run.text.files:
            raise UserError("--document and --text.files exclude each other: choose one")
        folder = training.pretrain(
            run,
            out,
            document=pocket_document if document else None,
            cache=cache,
            workers=workers,
            # The card has the configuration, so no paths of this machine need to be in it.
            command="prompt-tuning pretrain --config config.json"
            + (f" --document {document}" if document else ""),
            quiet=quiet,
            log_every=log_every,
            save_seconds=save_seconds,
        )
        print(folder)

    return functools.partial(command, run=read_config(pathlib.Path(named[0]))) if named else command
