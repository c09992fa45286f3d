"""Texts to pre-train on: tokenised once, then read anywhere without state.

The tokens of all documents, each with its EOS, are an endless stream: epoch after epoch of them in
a seeded order. What stands at a place of the stream is a function of (seed, place) alone.
"""

import concurrent.futures
import contextlib
import dataclasses
import functools
import hashlib
import itertools
import json
import multiprocessing
import os
import pathlib
import shutil
from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from prompt_tuning.errors import UserError
from prompt_tuning.prompts.marks import is_text
from prompt_tuning.t5.tokenizer import Tokenizer
from prompt_tuning.training.batches import permutation
from prompt_tuning.training.records import Display

Document = Callable[[int, int], str]  # (seed, index) -> text: a generator of documents
PORTION = 2000  # documents tokenised at a time
GENERATED = 1_000_000  # documents of a generator, where their number is not given


@dataclasses.dataclass(frozen=True)
class TextConfig:
    """Where documents come from: text files, or a generator handed to `pretrain`."""

    files: tuple[str, ...] = ()  # a document a line; none: a generator
    field: str = "text"  # of a .jsonl file's objects
    documents: int | None = None  # at most; None: all of the files, GENERATED of a generator
    held_out: int = 1000  # further documents, for the validation loss only
    seed: int = 0  # of the generator, and of the choice of held-out documents of files

    def __post_init__(self) -> None:
        if self.held_out < 1 or (self.documents is not None and self.documents < 1):
            raise UserError("documents and held_out must be at least 1")
        if self.seed < 0:
            raise UserError(f"the text's seed must be at least 0, not {self.seed}")


@dataclasses.dataclass(frozen=True, eq=False)
class Corpus:
    """Tokenised documents. `tokens` and `ends` may be memory-mapped."""

    tokens: np.ndarray  # of all documents, each with EOS
    ends: np.ndarray  # int64: where each document ends

    @functools.cached_property
    def sha256(self) -> str:
        """Of the token ids, as int32."""
        digest = hashlib.sha256()
        for at in range(0, len(self.tokens), 1 << 24):
            digest.update(self.tokens[at : at + (1 << 24)].astype(np.int32).tobytes())
        return digest.hexdigest()

    def read(self, seed: int, start: int, count: int) -> np.ndarray:
        """`count` tokens of the stream from place `start` on, int32."""
        parts = []
        while count:
            epoch, at = divmod(start, len(self.tokens))
            size = min(count, len(self.tokens) - at)
            order, ends = _order(self, seed, epoch)
            first, last = np.searchsorted(ends, (at, at + size - 1), side="right")
            text = np.concatenate([self._document(n) for n in order[first : last + 1]])
            skip = at - (ends[first - 1] if first else 0)
            parts.append(text[skip : skip + size])
            start, count = start + size, count - size
        return np.concatenate(parts)

    def _document(self, n: int) -> np.ndarray:
        return self.tokens[self.ends[n - 1] if n else 0 : self.ends[n]].astype(np.int32)


@functools.lru_cache(maxsize=4)
def _order(corpus: Corpus, seed: int, epoch: int) -> tuple[np.ndarray, np.ndarray]:
    """The documents of an epoch in order, and where in it each ends."""
    order = permutation(seed, epoch, len(corpus.ends))
    return order, np.diff(corpus.ends, prepend=0)[order].cumsum()


def load_corpus(
    config: TextConfig,
    part: Literal["train", "held_out"],
    tokenizer: Tokenizer,
    *,
    document: Document | None = None,
    eos_id: int = 1,
    cache: pathlib.Path | None = None,
    workers: int = 0,
    quiet: bool = True,
) -> Corpus:
    """The documents of one part, tokenised; from `cache` if they are there, else kept there.

    workers: processes that generate and tokenise (then `document` must be importable).
    Raises UserError for files that cannot be read and where no text is.
    """
    if config.files:
        chosen = _choose(config, part)
        portions: list[Any] = [chosen[at : at + PORTION] for at in range(0, len(chosen), PORTION)]
        work: Any = functools.partial(_tokenise, tokenizer=tokenizer, eos_id=eos_id)
        probe = hashlib.sha256("\n".join(chosen).encode()).hexdigest()
    else:
        draw = _drawer(config, document)
        first, beyond = 0, config.held_out
        if part == "train":
            first, beyond = beyond, beyond + (config.documents or GENERATED)
        numbers = range(first, beyond)
        portions = [numbers[at : at + PORTION] for at in range(0, len(numbers), PORTION)]
        work = functools.partial(_generate, draw, tokenizer=tokenizer, eos_id=eos_id)
        probe = "\n".join(draw(n) for n in numbers[:: max(len(numbers) // 50, 1)])
    facts = [part, len(portions), portions[-1:] and len(portions[-1]), tokenizer.hash, eos_id]
    key = hashlib.sha256(json.dumps([*facts, probe]).encode()).hexdigest()[:16]
    folder = None if cache is None else cache / key
    if folder is not None and (kept := _kept(folder)):
        return kept
    corpus = _build(work, portions, tokenizer.size, workers, quiet)
    if folder is None:
        return corpus
    _keep(corpus, folder)
    return _kept(folder) or corpus


def source_name(config: TextConfig, document: Document | None) -> str:
    """The files, or the generator, by name."""
    if config.files:
        return ", ".join(pathlib.Path(file).name for file in config.files)
    if document is None:
        return ""
    named = document if hasattr(document, "__qualname__") else type(document)
    return f"{named.__module__}.{named.__qualname__}"


def _drawer(config: TextConfig, document: Document | None) -> Callable[[int], str]:
    if document is None:
        raise UserError("no text: name files (text.files), or hand a generator to `pretrain`")
    return functools.partial(document, config.seed)


def _generate(
    draw: Callable[[int], str], numbers: range, *, tokenizer: Tokenizer, eos_id: int
) -> tuple[np.ndarray, np.ndarray]:
    return _tokenise([draw(n) for n in numbers], tokenizer=tokenizer, eos_id=eos_id)


def _tokenise(
    texts: list[str], *, tokenizer: Tokenizer, eos_id: int
) -> tuple[np.ndarray, np.ndarray]:
    """The ids of the texts in a row, each with EOS, and their numbers."""
    encoded = [[*ids, eos_id] for ids in tokenizer.encode_batch(texts) if ids]
    ids = np.fromiter(itertools.chain.from_iterable(encoded), np.int32)
    return ids, np.array([len(ids) for ids in encoded], np.int64)


def _build(work: Any, portions: list[Any], size: int, workers: int, quiet: bool) -> Corpus:
    context = multiprocessing.get_context("spawn")
    display = Display("tokenising", len(portions), 0, quiet)
    parts = []
    with contextlib.ExitStack() as stack:
        stack.callback(display.close)
        run: Any = map
        if workers:
            pool = concurrent.futures.ProcessPoolExecutor(workers, mp_context=context)
            run = stack.enter_context(pool).map
        for tokens, lengths in run(work, portions):
            parts.append((tokens.astype(np.uint16 if size <= 1 << 16 else np.int32), lengths))
            display.step(len(parts), {})
    if not sum(len(lengths) for _, lengths in parts):
        raise UserError("there is no text to train on: every document is empty")
    tokens, lengths = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return Corpus(tokens, lengths.cumsum())


def _kept(folder: pathlib.Path) -> Corpus | None:
    """What was kept; None if there is nothing, or if a crash has left but part of it."""
    try:
        arrays = [np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("tokens", "ends")]
        return Corpus(*arrays)
    except (FileNotFoundError, ValueError, EOFError):
        shutil.rmtree(folder, ignore_errors=True)
        return None


def _keep(corpus: Corpus, folder: pathlib.Path) -> None:
    """Write the arrays into a new folder: all of it, or nothing."""
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}")
    try:
        temporary.mkdir(parents=True, exist_ok=True)
        np.save(temporary / "tokens.npy", corpus.tokens)
        np.save(temporary / "ends.npy", corpus.ends)
        temporary.rename(folder)
    except OSError as error:
        if folder.is_dir():  # another process was faster
            return
        raise UserError(f"cannot write {folder}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _choose(config: TextConfig, part: str) -> list[str]:
    """The documents of the files that belong to a part."""
    texts = [text for file in config.files for text in _lines(pathlib.Path(file), config.field)]
    if len(texts) <= config.held_out:
        raise UserError(
            f"{source_name(config, None)}: {len(texts)} documents, of which {config.held_out} are "
            "to be held out: lower held_out or give more text"
        )
    order = permutation(config.seed, 0, len(texts))
    held_out, rest = order[: config.held_out], order[config.held_out :][: config.documents]
    return [texts[n] for n in sorted(held_out if part == "held_out" else rest)]


def _lines(file: pathlib.Path, field: str) -> list[str]:
    try:
        lines = file.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{file}: cannot be read ({error})") from error
    if file.suffix != ".jsonl":
        return [line for line in lines if line.strip()]
    texts = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            text = json.loads(line)[field]
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f"{file}, line {number}: no JSON object with {field!r}") from error
        if not (isinstance(text, str) and is_text(text)):
            raise UserError(f"{file}, line {number}: {field!r} is not text")
        texts.append(text)
    return texts
