"""Writes the vocabulary of the pocket language: a Unigram tokenizer.json.

    python scripts/pocket_tokenizer.py [--out FOLDER]

The pieces are the most common words of the first documents, in the order of their frequency (as in
T5's vocabulary), with their log probabilities; then every ASCII character, so that other text can
be written too; then the 100 sentinels, `<extra_id_0>` the last. Counting takes the place of
Unigram's usual pruning, which gives other pieces on every run. Takes seconds.
"""

import argparse
import json
import math
import pathlib
import re
from collections import Counter

import tokenizers
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors

from prompt_tuning.tasks.pocket import TOKENIZER
from prompt_tuning.tasks.pocket.language import documents

SIZE = 1536  # pieces in all, a multiple of 128
SENTINELS = 100
DOCUMENTS = 50_000
# A word with the space before it; or what stands apart from words: "'s" and punctuation.
_PIECE = re.compile(r"\u2581?[A-Za-z]+|'s|\u2581|[^A-Za-z\u2581]")
_RARE = -20.0  # worse than any word, so that letters spell only what no piece covers


def pieces() -> list[tuple[str, float]]:
    """The vocabulary in order of ids: (piece, log probability)."""
    counts = Counter()
    for text in documents(seed=0, count=DOCUMENTS):
        counts.update(_PIECE.findall("\u2581" + text.replace(" ", "\u2581")))
    characters = ["\u2581", *(chr(code) for code in range(33, 127))]
    room = SIZE - 3 - SENTINELS - len([c for c in characters if c not in counts])
    ordered = sorted(counts, key=lambda piece: (-counts[piece], piece))[:room]
    total = sum(counts.values())
    common = [(piece, math.log(counts[piece] / total)) for piece in ordered]
    rest = [(c, _RARE) for c in characters if c not in ordered]
    special = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    sentinels = [(f"<extra_id_{k}>", 0.0) for k in reversed(range(SENTINELS))]
    return [*special, *common, *rest, *sentinels]


def build() -> str:
    """The content of tokenizer.json."""
    vocabulary = [(piece, round(score, 6)) for piece, score in pieces()]
    tokenizer = tokenizers.Tokenizer(models.Unigram(vocabulary, unk_id=2))
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.NFKC(),
            normalizers.Replace(tokenizers.Regex(r"\s+"), " "),
            normalizers.Strip(),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.add_special_tokens(["<pad>", "</s>", "<unk>"])
    tokenizer.add_special_tokens([f"<extra_id_{k}>" for k in range(SENTINELS)])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", 1)]
    )
    return json.dumps(json.loads(tokenizer.to_str()), ensure_ascii=True, separators=(",", ":"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=pathlib.Path, default=TOKENIZER)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "tokenizer.json").write_text(build() + "\n", encoding="utf-8")
    print(f"{args.out / 'tokenizer.json'}: {SIZE} pieces")


if __name__ == "__main__":
    main()
