"""Official files in a folder of the user's."""

import dataclasses
import glob
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prompt_tuning.errors import UserError
from prompt_tuning.tasks.base import Row
from prompt_tuning.tasks.sources import DataSet


@dataclasses.dataclass(frozen=True)
class LocalSource:
    """Reads `folder`, or the data set's own folder in it, as the official archives unpack.

    A file of a split is looked for as FILE, RTE/FILE, super_glue/RTE/FILE and superglue/RTE/FILE
    (with the names of the data set at hand). `files` names it, or gives a pattern, by split.
    """

    dataset: DataSet
    folder: Path
    files: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def splits(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys([*self.dataset.splits, *self.files]))

    def rows(self, split: str) -> list[Row]:
        paths = self.paths(split)
        try:
            return list(self.dataset.parse(paths, split))
        except (KeyError, TypeError, AttributeError, IndexError) as error:
            raise UserError(
                f"{', '.join(map(str, paths))}: a row has not the form of {self.dataset.name}'s "
                f"official files ({type(error).__name__}: {error})"
            ) from error

    def describe(self, split: str) -> dict[str, Any]:
        paths = self.paths(split)
        sums = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}
        return {"source": "local", "version": None, "files": sums}

    def paths(self, split: str) -> list[Path]:
        """The files of a split, or UserError naming where they were looked for."""
        if not self.folder.is_dir():
            raise UserError(f"{self.dataset.name}: there is no folder {self.folder}")
        inside, suite = self.dataset.folder, self.dataset.name.split("/")[0]
        places = ("", inside, f"{suite}/{inside}", f"{suite.replace('_', '')}/{inside}")
        folders = [self.folder / place for place in dict.fromkeys(places)]
        where = f"{self.folder} or its folder {inside}"
        if split in self.files:
            pattern = self.files[split]
            for folder in folders:
                named = folder / pattern
                matching = glob.glob(pattern, root_dir=folder, recursive=True)
                found = [named] if named.is_file() else sorted(folder / name for name in matching)
                if found:
                    return found
            raise UserError(
                f"{self.dataset.name}, split {split}: nothing matches {pattern} in {where}"
            )
        names = self.dataset.split(split).files
        for folder in folders:
            for name in names:
                if (folder / name).is_file():
                    return [folder / name]
        raise UserError(
            f"{self.dataset.name}, split {split}: no {' or '.join(names)} in {where}; if the file "
            f"is called otherwise, name it: files={{'{split}': ...}}"
        )
