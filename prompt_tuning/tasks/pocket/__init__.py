"""The pocket world: a small language to pre-train small models on, and a suite of tasks in it."""

import pathlib

from prompt_tuning.tasks.pocket.language import VERSION, document, documents

# The folder of the language's vocabulary, for `load_tokenizer`.
TOKENIZER = pathlib.Path(__file__).parent / "tokenizer"

__all__ = ["TOKENIZER", "VERSION", "document", "documents"]
