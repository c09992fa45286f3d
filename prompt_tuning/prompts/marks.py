"""The character that stands for the soft prompt inside an input text."""

# Unicode private use: no tokenizer has a piece for it, and data never holds it legitimately.
PROMPT_MARK = "\ue000"
