"""Text to token ids and back, for T5 and mT5 (SentencePiece) and ByT5 (bytes).

Text is data: nothing written in it becomes a special token. `</s>`, `<pad>` or `<extra_id_0>` in an
example are encoded as the characters they are, as plain SentencePiece does; transformers would give
the special id instead. Special ids are put in by code. A vocabulary comes from `spiece.model`, from
a Unigram `tokenizer.json` or, for ByT5, from no file at all. The first two give the same ids, but
for pieces of equal score ("xx x" or "x xx" for "xxx"; 4 of 71,107 texts of SST-2 and SuperGLUE).
"""

import hashlib
import json
import pathlib
import re
from collections.abc import Sequence
from typing import Any, NoReturn, Protocol

import sentencepiece
import tokenizers

from prompt_tuning.errors import UserError

PAD, EOS, UNK = 0, 1, 2  # of every T5, mT5 and ByT5 vocabulary
SPM_FILE, JSON_FILE, CONFIG_FILE = "spiece.model", "tokenizer.json", "tokenizer_config.json"
_SPACE = "\u2581"  # stands for a space in SentencePiece
_BYTE = re.compile("<0x([0-9A-F]{2})>")


class _Vocabulary(Protocol):
    """What differs between the kinds: the pieces by id, and text to ids."""

    pieces: list[str]

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]: ...


class _SentencePiece:
    """A `spiece.model`, and the sentinels that T5 appends to it."""

    def __init__(self, content: bytes, extra_ids: int | None):
        self._processor = sentencepiece.SentencePieceProcessor(model_proto=content)
        ids = (self._processor.pad_id(), self._processor.eos_id(), self._processor.unk_id())
        if ids != (PAD, EOS, UNK):
            raise ValueError(f"pad, eos and unk are {ids}, not 0, 1 and 2 as in a T5 vocabulary")
        size = self._processor.vocab_size()
        self.pieces = [self._processor.id_to_piece(i) for i in range(size)]
        if extra_ids is None:  # mT5's file has them already
            extra_ids = 0 if any("<extra_id_0>" in piece for piece in self.pieces) else 100
        self.pieces += [f"<extra_id_{k}>" for k in reversed(range(extra_ids))]

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        return self._processor.encode(list(texts))


class _Unigram:
    """A `tokenizer.json`, without the additions that find special tokens in text."""

    def __init__(self, content: dict[str, Any]):
        if content["model"]["type"] != "Unigram":
            raise ValueError(f"a {content['model']['type']} vocabulary, T5 has Unigram")
        vocab, added = content["model"]["vocab"], content.get("added_tokens", [])
        beyond = {token["id"]: token["content"] for token in added if token["id"] >= len(vocab)}
        self.pieces = [piece for piece, _ in vocab] + [beyond[i] for i in sorted(beyond)]
        if self.pieces[: UNK + 1] != ["<pad>", "</s>", "<unk>"]:
            raise ValueError(f"its first pieces are {self.pieces[:3]}, not those of T5")
        special = {token["id"] for token in added} | {PAD, EOS, UNK}
        # The model would still match "</s>" in text; no text reaches it with a space inside.
        hidden = [
            [f" {piece}" if i in special else piece, score]
            for i, (piece, score) in enumerate(vocab)
        ]
        plain = {"model": content["model"] | {"vocab": hidden}, "added_tokens": []}
        plain |= dict.fromkeys(("post_processor", "truncation", "padding"))
        self._tokenizer = tokenizers.Tokenizer.from_str(json.dumps(content | plain))

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        return [out.ids for out in self._tokenizer.encode_batch(list(texts))]


class _Bytes:
    """ByT5: id 3 + b is the UTF-8 byte b; behind the bytes are ids named <extra_id_k>.

    Its pre-training never used those: its sentinels are the last bytes, from 258 down.
    """

    def __init__(self) -> None:
        self.pieces = ["<pad>", "</s>", "<unk>", *(f"<0x{byte:02X}>" for byte in range(256))]
        self.pieces += [f"<extra_id_{k}>" for k in range(125)]

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        return [[byte + UNK + 1 for byte in text.encode("utf-8")] for text in texts]


def _surface(i: int, piece: str) -> bytes:
    """The bytes that one piece adds to a text."""
    if i in (PAD, EOS):
        return b""
    if i == UNK:
        return " \u2047 ".encode()  # SentencePiece's sign for the unknown
    if byte := _BYTE.fullmatch(piece):
        return bytes.fromhex(byte[1])
    if piece.startswith("<extra_id_"):
        piece = _SPACE + piece
    return piece.replace(_SPACE, " ").encode()


class Tokenizer:
    """A vocabulary; made by `load_tokenizer`. Picklable.

    `size` is the number of real pieces, the sentinels included: 32,100 for T5, whose embedding
    table has 32,128 rows. `hash` is the sha256 of the pieces in order, whatever the file.
    """

    def __init__(self, vocabulary: _Vocabulary, files: dict[str, bytes]):
        """`files` are what `save` writes, by name."""
        self._vocabulary, self._files = vocabulary, files
        self._surfaces = [_surface(i, piece) for i, piece in enumerate(vocabulary.pieces)]
        self.size = len(vocabulary.pieces)
        self.hash = hashlib.sha256(json.dumps(vocabulary.pieces).encode()).hexdigest()

    def encode(self, text: str) -> list[int]:
        """The ids of a text, without EOS, not truncated."""
        return self.encode_batch([text])[0]

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of each text, as `encode`."""
        return self._vocabulary.encode_batch(texts)

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids up to the first EOS; padding is dropped.

        Ids outside the vocabulary (rows of the table that only pad it) read as unknown, as in
        SeqIO's `Vocabulary.decode`.
        """
        known = [int(i) if 0 <= i < self.size else UNK for i in ids]
        known = known[: known.index(EOS)] if EOS in known else known
        known = [i for i in known if i != PAD]
        surfaces = [self._surfaces[i] for i in known]
        if isinstance(self._vocabulary, _Bytes):
            return b"".join(surfaces).decode("utf-8", errors="ignore")
        for n, i in enumerate(known):  # as SentencePiece: a space each, until there is some text
            if i == UNK or surfaces[n][:1] != b" " or _BYTE.fullmatch(self._vocabulary.pieces[i]):
                break
            surfaces[n] = surfaces[n][1:]
            if surfaces[n]:
                break
        return b"".join(surfaces).decode("utf-8", errors="replace")

    def pieces(self, ids: Sequence[int]) -> list[str]:
        """The piece of each id, `<id>` for those outside the vocabulary."""
        own = self._vocabulary.pieces
        return [own[i] if 0 <= i < self.size else f"<{i}>" for i in ids]

    def sentinel(self, k: int) -> int:
        """The id of sentinel k, from 0 on: that of <extra_id_k>, 32,099 - k, in T5, and 258 - k, a
        byte's, in ByT5.
        """
        if isinstance(self._vocabulary, _Bytes) and 0 <= k < 256:
            return UNK + 256 - k
        for piece in (f"<extra_id_{k}>", f"{_SPACE}<extra_id_{k}>"):
            if piece in self._vocabulary.pieces:
                return self._vocabulary.pieces.index(piece)
        raise UserError(f"this vocabulary has no <extra_id_{k}>")

    def save(self, folder: pathlib.Path) -> None:
        """Writes the files from which `load_tokenizer` and transformers read it again."""
        for name, content in self._files.items():
            (folder / name).write_bytes(content)


class MissingTokenizer(Tokenizer):
    """Stands in for the tokenizer of a model that has none; all that needs text raises UserError.

    `size` is the whole embedding table and `hash` is "".
    """

    def __init__(self, model: str, vocab_size: int):
        self.size, self.hash, self._model, self._files = vocab_size, "", model, {}

    def _refuse(self) -> NoReturn:
        raise UserError(
            f"{self._model} has no tokenizer: put its spiece.model or tokenizer.json into its "
            "folder, or name one (tokenizer=PATH)"
        )

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        self._refuse()

    def decode(self, ids: Sequence[int]) -> str:
        self._refuse()

    def sentinel(self, k: int) -> int:
        self._refuse()

    def pieces(self, ids: Sequence[int]) -> list[str]:
        return [f"<{i}>" for i in ids]


def _config_file(content: dict[str, Any]) -> bytes:
    specials = {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
    return (json.dumps(specials | content, indent=2) + "\n").encode()


def load_tokenizer(path: str | pathlib.Path) -> Tokenizer:
    """The tokenizer of a model's folder, or of one `spiece.model` or `tokenizer.json`.

    In a folder `spiece.model` comes first, being the original. Raises UserError where nothing is
    found or the file is no T5 vocabulary.
    """
    path = pathlib.Path(path)
    folder = path if path.is_dir() else path.parent
    beside = folder / CONFIG_FILE if path.is_dir() else None
    files: dict[str, bytes] = {}
    config: dict[str, Any] = {}
    try:
        if beside and beside.is_file():
            files[CONFIG_FILE] = beside.read_bytes()
            config = json.loads(files[CONFIG_FILE])
        if path.is_dir():
            names = [name for name in (SPM_FILE, JSON_FILE) if (folder / name).is_file()]
            path = folder / names[0] if names else path
        if path.is_dir() and config.get("tokenizer_class") == "ByT5Tokenizer":
            return Tokenizer(_Bytes(), files)
        if not path.is_file():
            raise UserError(
                f"{path}: no tokenizer there: neither {SPM_FILE} nor {JSON_FILE}, and no "
                f"{CONFIG_FILE} that names ByT5Tokenizer"
            )
        content = path.read_bytes()
        if path.suffix == ".json":
            files[JSON_FILE] = content
            files.setdefault(CONFIG_FILE, _config_file({"tokenizer_class": "T5Tokenizer"}))
            return Tokenizer(_Unigram(json.loads(content)), files)
        files[SPM_FILE] = content
        vocabulary = _SentencePiece(content, config.get("extra_ids"))
        extra = sum(piece.startswith("<extra_id_") for piece in vocabulary.pieces)
        default = {"tokenizer_class": "T5Tokenizer", "extra_ids": extra}
        files.setdefault(CONFIG_FILE, _config_file(default))
        return Tokenizer(vocabulary, files)
    except UserError:
        raise
    except Exception as error:  # sentencepiece and tokenizers raise many kinds for damaged files
        raise UserError(f"{path}: not a T5 vocabulary ({error})") from error
