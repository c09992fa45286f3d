"""The vocabulary of the language: made again the same, and of whole words."""

import json
import pickle

from prompt_tuning.t5.tokenizer import load_tokenizer
from prompt_tuning.tasks.pocket import TOKENIZER, documents
from scripts import pocket_tokenizer


def test_the_file_is_what_the_script_makes(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.argv", ["pocket_tokenizer.py", "--out", str(tmp_path)])
    pocket_tokenizer.main()
    assert (tmp_path / "tokenizer.json").read_bytes() == (TOKENIZER / "tokenizer.json").read_bytes()
    assert (TOKENIZER / "tokenizer.json").stat().st_size < 200_000


def test_ids_lie_as_in_t5():
    tokenizer = load_tokenizer(TOKENIZER)
    assert tokenizer.size == pocket_tokenizer.SIZE
    assert [tokenizer.sentinel(k) for k in (0, 1, 99)] == [1535, 1534, 1436]
    assert tokenizer.pieces(range(4))[:3] == ["<pad>", "</s>", "<unk>"]
    assert pickle.loads(pickle.dumps(tokenizer)).hash == tokenizer.hash
    scores = [
        s for _, s in json.loads((TOKENIZER / "tokenizer.json").read_text())["model"]["vocab"]
    ]
    common = scores[3:1300]
    # The commonest pieces come first: what "sampled vocabulary" draws from.
    assert common == sorted(common, reverse=True)


def test_text_comes_back_and_words_are_whole():
    tokenizer = load_tokenizer(TOKENIZER)
    texts = list(documents(seed=8, count=3000))
    ids = tokenizer.encode_batch(texts)
    assert [tokenizer.decode(i) for i in ids] == texts
    pieces = [piece for i in ids for piece in tokenizer.pieces(i)]
    assert "<unk>" not in pieces
    spelt = sum(len(piece) == 1 and piece.isalpha() for piece in pieces)
    assert spelt < 0.003 * len(pieces)
    # Other text can be written too, letter by letter; nothing in it is special.
    assert tokenizer.decode(tokenizer.encode("Zebras? 42% <pad>")) == "Zebras? 42% <pad>"
    assert tokenizer.encode("a  b") == tokenizer.encode("a b")
    assert min(tokenizer.encode("</s> <extra_id_0>")) > 2


def test_transformers_reads_it():
    transformers = __import__("transformers")
    theirs = transformers.AutoTokenizer.from_pretrained(str(TOKENIZER))
    ours = load_tokenizer(TOKENIZER)
    for text in documents(seed=8, count=50):
        assert theirs(text)["input_ids"] == [*ours.encode(text), 1]
