"""Reading text files so that every defect is one clear line."""

import gzip
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from prompt_tuning.errors import UserError


def read_text(path: Path) -> str:
    """The text of a UTF-8 file (also gzipped), line ends as "\\n", without a byte-order mark."""
    try:
        raw = path.read_bytes()
        if path.suffix == ".gz":
            raw = gzip.decompress(raw)
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"cannot read {path}: {reason}") from error
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise UserError(
            f"{path}, line {line}: byte {error.start} is not UTF-8; save the file as UTF-8"
        ) from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """(line number, line) of each line that is not blank. Only "\\n" ends a line."""
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if line.strip():
            yield number, line


def parse_json(text: str, where: str) -> Any:
    """A JSON value, or UserError naming `where`."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{where}: not valid JSON ({error}); is the file cut off?") from error


def parse_object(text: str, where: str) -> dict[str, Any]:
    """A JSON object, or UserError naming `where`."""
    value = parse_json(text, where)
    if not isinstance(value, dict):
        raise UserError(f"{where}: expected a JSON object, found {type(value).__name__}")
    return value


def read_jsonl(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a file with one JSON object a line."""
    for number, line in read_lines(path):
        yield parse_object(line, f"{path}, line {number}")


def read_table(
    path: Path, header: tuple[str, ...] | None = None
) -> Iterator[tuple[int, dict[str, str]]]:
    """(line number, row) of a tab-separated file without quoting, as GLUE's are.

    `header` names the columns of a file without a header line. A row may come with fewer columns
    than the header has: the rest is missing from its dict.
    """
    names = header
    for number, line in read_lines(path):
        cells = line.split("\t")
        if names is None:
            names = tuple(cells)
        else:
            yield number, dict(zip(names, cells, strict=False))
