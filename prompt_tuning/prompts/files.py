"""Whole files or none: every writer of this room goes through here."""

import contextlib
import os
import pathlib

from prompt_tuning.errors import UserError


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
