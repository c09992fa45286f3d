"""Tokenised text: an endless stream that can be read anywhere, from files or a generator."""

import functools
import json
import textwrap

import numpy as np
import pytest

from prompt_tuning.errors import UserError
from prompt_tuning.t5.tokenizer import load_tokenizer
from prompt_tuning.training.corpus import Corpus, TextConfig, load_corpus, source_name

EOS = 1
WORDS = ["the", "a", "is", "was", "film", "good", "bad", "great", "awful", "yes", "no", "happy"]


def document(seed, index):
    random = np.random.default_rng((seed, index))
    return " ".join(random.choice(WORDS, random.integers(1, 9)))


@pytest.fixture(scope="module")
def tokenizer(tiny_t5):
    return load_tokenizer(tiny_t5)


def toy_corpus(seed=0, count=23):
    random = np.random.default_rng(seed)
    texts = [[*random.integers(2, 99, random.integers(1, 9)), EOS] for _ in range(count)]
    return Corpus(np.concatenate(texts), np.cumsum([len(text) for text in texts])), texts


def as_documents(tokens):
    """The documents in a stretch that begins and ends at a document's end."""
    return [tuple(text) for text in np.split(tokens, np.flatnonzero(tokens == EOS) + 1)[:-1]]


def test_an_epoch_is_every_document_once_in_a_seeded_order():
    corpus, texts = toy_corpus()
    size = len(corpus.tokens)
    wanted = sorted(tuple(text) for text in texts)
    epochs = [as_documents(corpus.read(3, n * size, size)) for n in range(3)]
    assert all(sorted(epoch) == wanted for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]
    assert as_documents(corpus.read(4, 0, size)) != epochs[0]


def test_the_stream_is_the_same_however_it_is_read():
    corpus, _ = toy_corpus()
    count = 2 * len(corpus.tokens) + 17
    whole = corpus.read(0, 0, count)
    assert whole.dtype == np.int32
    for step in (1, 7, 50, len(corpus.tokens)):
        parts = [corpus.read(0, at, min(step, count - at)) for at in range(0, count, step)]
        np.testing.assert_array_equal(np.concatenate(parts), whole)
    again, _ = toy_corpus()
    np.testing.assert_array_equal(again.read(0, 40, 90), whole[40:130])
    assert again.sha256 == corpus.sha256 != toy_corpus(seed=1)[0].sha256


def test_generated_documents_are_split_and_kept(tokenizer, tmp_path):
    asked = []

    def counting(seed, index):
        asked.append(index)
        return document(seed, index)

    config = TextConfig(documents=4100, held_out=30, seed=5)

    def load(part, **options):
        return load_corpus(config, part, tokenizer, document=counting, cache=tmp_path, **options)

    train, held_out = load("train"), load("held_out")
    assert set(asked) == set(range(4130))
    want = [tuple([*tokenizer.encode(document(5, n)), EOS]) for n in range(4130)]
    assert as_documents(np.asarray(train.tokens)) == want[30:]
    assert as_documents(np.asarray(held_out.tokens)) == want[:30]
    np.testing.assert_array_equal(np.asarray(train.tokens)[train.ends - 1], EOS)
    asked.clear()
    assert load("train").sha256 == train.sha256
    assert len(asked) < 100  # a sample tells that the generator is still the same
    for file in tmp_path.rglob("ends.npy"):
        file.write_bytes(b"")  # a crash before it was on the disk
    assert load("train").sha256 == train.sha256
    other = TextConfig(documents=4100, held_out=30, seed=6)
    changed = load_corpus(other, "train", tokenizer, document=counting, cache=tmp_path)
    assert changed.sha256 != train.sha256


def test_processes_share_the_work(tokenizer, tmp_path, monkeypatch):
    module = """
        def document(seed, index):
            return "the film was " + "good bad great awful".split()[(seed + index) % 4]
    """
    (tmp_path / "toy_generator.py").write_text(textwrap.dedent(module))
    monkeypatch.syspath_prepend(tmp_path)
    import toy_generator

    config = TextConfig(documents=4001)
    alone, shared = (
        load_corpus(config, "train", tokenizer, document=toy_generator.document, workers=workers)
        for workers in (0, 1)
    )
    assert len(shared.ends) == 4001
    assert alone.sha256 == shared.sha256


def test_documents_of_files(tokenizer, tmp_path):
    texts = [f"it was {word}" for word in WORDS]
    lines, rows = tmp_path / "a.txt", tmp_path / "b.jsonl"
    lines.write_text("\n\n".join(texts[:6]) + "\n", encoding="utf-8-sig")  # as on Windows
    rows.write_text("".join(json.dumps({"body": text}) + "\n" for text in texts[6:]))
    config = TextConfig(files=(str(lines), str(rows)), field="body", held_out=4)
    parts = [load_corpus(config, part, tokenizer) for part in ("train", "held_out")]
    found = [[tokenizer.decode(ids) for ids in as_documents(part.tokens)] for part in parts]
    assert sorted(found[0] + found[1]) == sorted(texts)
    assert len(found[1]) == 4
    few = TextConfig(files=(str(lines), str(rows)), field="body", held_out=4, documents=3)
    assert len(load_corpus(few, "train", tokenizer).ends) == 3
    assert load_corpus(few, "held_out", tokenizer).sha256 == parts[1].sha256


def test_bad_text_is_refused_in_one_line(tokenizer, tmp_path):
    bad, empty = tmp_path / "bad.jsonl", tmp_path / "empty.txt"
    bad.write_text('{"text": "it was"}\n{"txt": "good"}\n')
    half = tmp_path / "half.jsonl"
    half.write_text(json.dumps({"text": "\ud83d"}))
    empty.write_text("\n")
    cases = [
        (lambda: TextConfig(documents=0), "at least 1"),
        (lambda: TextConfig(documents=3, seed=-1), "seed must be at least 0"),
        (lambda: load_corpus(TextConfig((str(bad),)), "train", tokenizer), "line 2: no JSON"),
        (lambda: load_corpus(TextConfig((str(half),)), "train", tokenizer), "1: 'text' is not"),
        (lambda: load_corpus(TextConfig((str(empty),)), "train", tokenizer), "lower held_out"),
        (lambda: load_corpus(TextConfig(("nowhere",)), "train", tokenizer), "cannot be read"),
        (lambda: load_corpus(TextConfig(), "train", tokenizer), "no text: name files"),
        (lambda: load_corpus(TextConfig(documents=3), "train", tokenizer,
                             document=lambda seed, index: ""), "every document is empty"),
    ]  # fmt: skip
    for call, message in cases:
        with pytest.raises(UserError, match=message) as error:
            call()
        assert "\n" not in str(error.value)


def test_a_generator_is_named_whatever_can_be_called():
    def document(seed, index):
        return ""

    config = TextConfig(documents=2, held_out=1)
    assert source_name(config, document).endswith("whatever_can_be_called.<locals>.document")
    assert source_name(config, functools.partial(document)) == "functools.partial"
    assert source_name(config, None) == ""
