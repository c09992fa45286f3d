"""Rows that are generated: balanced, of all levels, with content that belongs to one split only."""

import dataclasses
import functools
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from prompt_tuning.errors import UserError
from prompt_tuning.tasks.base import Example, Row
from prompt_tuning.tasks.pocket.text import Dice, dice

# Whatever changes a row changes this.
VERSION = 2
SEED = 0
SIZES = {"train": 2400, "validation": 480, "test": 480}
# The share of contents that a split owns.
_SHARES = (0.6, 0.2, 0.2)
_TRIES = 100_000


@dataclasses.dataclass(frozen=True)
class Made:
    """One row's fields, the keys of its content, and what a solver needs to find the answer."""

    fields: Mapping[str, Any]
    keys: tuple[str, ...]
    logic: Any


def _hash(task: str, key: str) -> float:
    digest = hashlib.sha256(f"{task}/{key}".encode()).digest()
    return int.from_bytes(digest[:7], "big") / 2**56


def _at(point: float, shares: Sequence[float]) -> str:
    """The split at a point of [0, 1)."""
    for split, share in zip(SIZES, shares, strict=True):
        point -= share
        if point < 0:
            return split
    return next(reversed(SIZES))


def split_of(task: str, key: str) -> str:
    """The split that owns a content, by a hash of its key."""
    return _at(_hash(task, key), _SHARES)


def divided(task: str, keys: Sequence[str], shares: Sequence[float] = _SHARES) -> dict[str, str]:
    """The splits of a few contents, by the order of their hashes, so that the shares are exact."""
    ordered = sorted(keys, key=lambda key: _hash(task, key))
    return {key: _at(n / len(keys), shares) for n, key in enumerate(ordered)}


@dataclasses.dataclass(frozen=True)
class PocketSource:
    """The rows of one pocket task; nothing is read or written.

    make: a row with the given label and level. Labels and levels take turns, so that every split
    has as many of each. answers: examples that one row gives. owners: gives the split of each
    content, where that is not `split_of`.
    """

    name: str
    labels: tuple[str, ...]
    levels: tuple[int, ...]
    make: Callable[[Dice, str, int], Made]
    answers: int = 1
    owners: Callable[[], Mapping[str, str]] | None = None
    splits: tuple[str, ...] = tuple(SIZES)

    @functools.cached_property
    def owner(self) -> Callable[[str], str]:
        """The split that owns a content, by its key."""
        if self.owners is not None:
            return self.owners().__getitem__
        return functools.partial(split_of, self.name)

    def rows(self, split: str) -> list[Row]:
        if split not in self.splits:
            known = ", ".join(self.splits)
            raise UserError(f"pocket/{self.name} has no split {split!r}; it has {known}")
        return list(_rows(self, split))

    def describe(self, split: str) -> dict[str, Any]:
        content = json.dumps(self.rows(split), sort_keys=True)
        digest = hashlib.sha256(content.encode()).hexdigest()
        return {"source": "pocket", "version": VERSION, "seed": SEED, "rows_sha256": digest}


@functools.lru_cache(maxsize=64)
def _rows(source: PocketSource, split: str) -> tuple[Row, ...]:
    task = int.from_bytes(hashlib.sha256(source.name.encode()).digest()[:4], "big")
    part = list(SIZES).index(split)
    labels = source.labels or ("",)
    seen: set[str] = set()
    rows: list[Row] = []
    for number in range(SIZES[split] // source.answers):
        label = labels[number % len(labels)]
        level = source.levels[number // len(labels) % len(source.levels)]
        roll = dice(SEED, task, part, number)
        for _ in range(_TRIES):
            made = source.make(roll, label, level)
            text = json.dumps(made.fields, sort_keys=True)
            if text not in seen and all(source.owner(key) == split for key in made.keys):
                break
        else:
            name = f"pocket/{source.name}"
            raise RuntimeError(f"{name}: too little content for {split}, level {level}")
        seen.add(text)
        # The level is part of the id: "17/2" is row 17, of level 2.
        rows.append(
            {
                "idx": f"{number}/{level}",
                **({"label": label} if label else {}),
                **made.fields,
                "keys": list(made.keys),
                "logic": made.logic,
            }
        )
    return tuple(rows)


def level_of(example: Example) -> int:
    """The difficulty of a pocket example: 1 is the lowest."""
    return int(example.id.split("/")[1])
