"""The character that stands for the soft prompt inside an input text."""

# Unicode private use: no tokenizer has a piece for it, and data never holds it legitimately.
PROMPT_MARK = "\ue000"


def is_text(text: str) -> bool:
    """Whether it can be encoded: without the lone half of a surrogate pair, as JSON may hold."""
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)
