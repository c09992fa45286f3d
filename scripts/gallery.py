"""The figures of a results folder as PNG and SVG below 300 kB each, for the README.

Command: `python scripts/gallery.py RESULTS docs/figures`
"""

import argparse
import pathlib
import sys

from prompt_tuning.errors import UserError
from prompt_tuning.sweep.cells import read_table
from prompt_tuning.sweep.report import write_gallery


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=pathlib.Path, help="folder with results.parquet")
    parser.add_argument("out", type=pathlib.Path)
    args = parser.parse_args()
    try:
        for path in write_gallery(read_table(args.results), args.out):
            print(path)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
