"""Whole files or none: every writer of results goes through here."""

import contextlib
import json
import os
import pathlib
import tempfile
from collections.abc import Sequence
from typing import Any

from prompt_tuning.errors import UserError
from prompt_tuning.prompts.marks import is_text


def write_file(path: pathlib.Path, data: bytes) -> None:
    """Write `data` so that a reader, or a crash, finds the old file or the new one, never a part.

    Missing folders are made. Raises UserError where the disk or the folder refuses.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def write_json(path: pathlib.Path, value: Any) -> None:
    """Indented JSON, whole or not at all."""
    write_file(path, (json.dumps(value, indent=2) + "\n").encode())


def write_jsonl(path: pathlib.Path, rows: Sequence[Any]) -> None:
    """One JSON value a line, whole or not at all."""
    write_file(path, "".join(json_line(row) + "\n" for row in rows).encode())


def json_line(value: Any) -> str:
    """A value on one line, as text where it is text: half of a surrogate pair stays escaped."""
    line = json.dumps(value, ensure_ascii=False)
    return line if is_text(line) else json.dumps(value)


def check_writable(folder: pathlib.Path) -> None:
    """Make a folder and prove that it takes files, before work whose result goes there.

    Raises UserError where it does not.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UserError(f"cannot write to {folder}: {error.strerror or error}") from error
