"""Tokenizers: golden ids, text that looks like special tokens, three kinds of vocabulary."""

import io
import json
import pickle
import random
import shutil

import pytest
import sentencepiece
import tokenizers
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st

from prompt_tuning.errors import UserError
from prompt_tuning.t5.tokenizer import MissingTokenizer, load_tokenizer

VOCAB = 40  # of the vocabulary made here
NASTY = [
    "",
    "   ",
    " two  spaces\nline\ttab ",
    "a </s> b",
    "</s>",
    "x<pad>y <unk>",
    "<extra_id_0> and <extra_id_99>",
    " <extra_id_7>",
    "\u2581 \u2581underlined",
    "ﬁne ½ café Ａ",
    "{x} ~ \\ ^",
    "日本語 🙂",
]
SAMPLE = [
    "the quick brown fox jumps over the lazy dog",
    "pack my box with five dozen liquor jugs",
    "how vexingly quick daft zebras jump",
]


@pytest.fixture(scope="module")
def spm(tmp_path_factory):
    """A small vocabulary with T5's ids, made here: tests without the real one use it."""
    folder = tmp_path_factory.mktemp("spm")
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(SAMPLE * 20),
        model_writer=model,
        vocab_size=VOCAB,
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        minloglevel=2,
    )
    (folder / "spiece.model").write_bytes(model.getvalue())
    return folder


@pytest.fixture(scope="module")
def real(shared_data):
    return load_tokenizer(shared_data / "t5" / "spiece.model")


def reference(path):
    return sentencepiece.SentencePieceProcessor(model_file=str(path))


def test_golden_ids(shared_data, real):
    golden = json.loads((shared_data / "golden" / "token_ids.json").read_text())["cases"]
    texts = [case["text"] for case in golden]
    assert [[*ids, 1] for ids in real.encode_batch(texts)] == [case["ids"] for case in golden]
    assert [real.decode(case["ids"]) for case in golden] == texts


def test_sentinels_and_sizes_of_the_real_vocabulary(real):
    assert real.size == 32100
    assert [real.sentinel(k) for k in (0, 1, 99)] == [32099, 32098, 32000]
    assert real.pieces([0, 1, 2, 32099, 32000, 32127]) == [
        "<pad>",
        "</s>",
        "<unk>",
        "<extra_id_0>",
        "<extra_id_99>",
        "<32127>",
    ]
    assert real.decode([32099, 5295, 1782, 32098, 8]) == "<extra_id_0> cute dog <extra_id_1> the"
    with pytest.raises(UserError, match="no <extra_id_100>"):
        real.sentinel(100)


@pytest.mark.parametrize("text", NASTY)
def test_text_never_becomes_a_special_token(spm, text):
    tokenizer = load_tokenizer(spm)
    ids = tokenizer.encode(text)
    assert ids == reference(spm / "spiece.model").encode(text)
    assert not {0, 1} & set(ids)
    assert all(i < VOCAB for i in ids)


def test_decoding_stops_at_eos_and_drops_padding(spm):
    tokenizer = load_tokenizer(spm)
    ids = tokenizer.encode("the lazy dog")
    assert tokenizer.decode([*ids, 1, *ids, 1]) == "the lazy dog"
    assert tokenizer.decode([0, *ids, 0, 0, 1, 0]) == "the lazy dog"
    assert tokenizer.decode([1, *ids]) == tokenizer.decode([]) == tokenizer.decode([0]) == ""
    # Ids of rows that only pad the embedding table read as unknown, as in SeqIO.
    assert tokenizer.decode([*ids, 9999, -1]) == "the lazy dog \u2047  \u2047 "


@settings(deadline=None, max_examples=300)
@given(st.lists(st.integers(2, VOCAB - 1), max_size=12))
def test_decoding_equals_sentencepiece(spm, ids):
    assert load_tokenizer(spm).decode(ids) == reference(spm / "spiece.model").decode(ids)


@pytest.fixture(scope="module")
def as_json(spm, tmp_path_factory):
    """The same vocabulary as a tokenizer.json that transformers wrote, with traps set."""
    folder = tmp_path_factory.mktemp("json")
    transformers.T5Tokenizer.from_pretrained(str(spm)).save_pretrained(str(folder))
    content = json.loads((folder / "tokenizer.json").read_text())
    content["truncation"] = {
        "max_length": 3,
        "stride": 0,
        "strategy": "LongestFirst",
        "direction": "Right",
    }
    (folder / "tokenizer.json").write_text(json.dumps(content))
    assert not (folder / "spiece.model").exists()
    return folder


def test_tokenizer_json_equals_the_sentencepiece_file(spm, as_json):
    one, other = load_tokenizer(spm), load_tokenizer(as_json)
    assert (one.size, one.hash) == (other.size, other.hash) == (VOCAB + 100, one.hash)
    assert other.sentinel(0) == one.sentinel(0) == VOCAB + 99
    rng = random.Random(0)
    words = " ".join(SAMPLE).split()
    texts = [*SAMPLE, *NASTY, *(" ".join(rng.sample(words, 6)) for _ in range(50))]
    assert one.encode_batch(texts) == other.encode_batch(texts)
    ids = [rng.choices(range(VOCAB + 110), k=9) for _ in range(50)]
    assert [one.decode(row) for row in ids] == [other.decode(row) for row in ids]


def test_the_hash_tells_vocabularies_apart(spm, real):
    assert load_tokenizer(spm).hash != real.hash
    assert len(real.hash) == 64


@pytest.mark.parametrize("kind", ["spm", "as_json", "byt5"])
def test_save_load_and_pickle(request, tmp_path, kind):
    if kind == "byt5":
        source = tmp_path
        (source / "tokenizer_config.json").write_text('{"tokenizer_class": "ByT5Tokenizer"}')
    else:
        source = request.getfixturevalue(kind)
    tokenizer = load_tokenizer(source)
    (tmp_path / "saved").mkdir()
    tokenizer.save(tmp_path / "saved")
    texts = [*SAMPLE, *NASTY]
    for again in (load_tokenizer(tmp_path / "saved"), pickle.loads(pickle.dumps(tokenizer))):
        assert again.hash == tokenizer.hash
        assert again.encode_batch(texts) == tokenizer.encode_batch(texts)
    auto = transformers.AutoTokenizer.from_pretrained(str(tmp_path / "saved"))
    for text in SAMPLE:
        assert auto(text).input_ids[:3] == tokenizer.encode(text)[:3]


def test_byt5(tmp_path):
    (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "ByT5Tokenizer"}')
    tokenizer = load_tokenizer(tmp_path)
    assert tokenizer.size == 384
    assert tokenizer.encode("Hé</s>") == [75, 198, 172, 63, 50, 118, 65]
    for text in NASTY:
        assert tokenizer.decode([*tokenizer.encode(text), 1, 80]) == text
    assert tokenizer.decode([198, 75]) == "H"  # half a letter
    assert tokenizer.pieces([0, 75, 259]) == ["<pad>", "<0x48>", "<extra_id_0>"]
    # ByT5 was pre-trained with the last bytes as sentinels, whatever the names of later ids.
    assert [tokenizer.sentinel(k) for k in (0, 1, 99)] == [258, 257, 159]
    assert transformers.ByT5Tokenizer()("Hé").input_ids == [*tokenizer.encode("Hé"), 1]


def test_mt5_has_its_sentinels_in_the_file(tmp_path):
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(SAMPLE * 20),
        model_writer=model,
        vocab_size=330,
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        user_defined_symbols=["\u2581<extra_id_1>", "\u2581<extra_id_0>"],
        byte_fallback=True,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    (tmp_path / "spiece.model").write_bytes(model.getvalue())
    tokenizer = load_tokenizer(tmp_path)
    processor = reference(tmp_path / "spiece.model")
    assert tokenizer.size == processor.vocab_size()
    assert tokenizer.sentinel(0) == processor.piece_to_id("\u2581<extra_id_0>")
    text = "the 日本 dog"
    assert tokenizer.decode(tokenizer.encode(text)) == processor.decode(processor.encode(text))
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_bad_files(tmp_path, spm):
    with pytest.raises(UserError, match=r"no tokenizer there: neither spiece\.model nor"):
        load_tokenizer(tmp_path)
    with pytest.raises(UserError, match="no tokenizer there"):
        load_tokenizer(tmp_path / "absent.model")
    (tmp_path / "spiece.model").write_bytes((spm / "spiece.model").read_bytes()[:100])
    with pytest.raises(UserError, match=r"spiece\.model: not a T5 vocabulary"):
        load_tokenizer(tmp_path)
    (tmp_path / "spiece.model").unlink()
    for content in ("{", "[]", "{}", '{"model": {"type": "BPE"}}'):
        (tmp_path / "tokenizer.json").write_text(content)
        with pytest.raises(UserError, match=r"tokenizer\.json: not a T5 vocabulary"):
            load_tokenizer(tmp_path)
    other = tokenizers.Tokenizer(tokenizers.models.Unigram([("<s>", 0.0), ("a", -1.0)], unk_id=0))
    other.save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(UserError, match="its first pieces are"):
        load_tokenizer(tmp_path)
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(SAMPLE), model_writer=model, vocab_size=40, minloglevel=2
    )
    (tmp_path / "llama.model").write_bytes(model.getvalue())
    with pytest.raises(UserError, match=r"pad, eos and unk are \(-1, 2, 0\)"):
        load_tokenizer(tmp_path / "llama.model")


def test_a_single_file_ignores_its_neighbours(tmp_path, spm):
    shutil.copy(spm / "spiece.model", tmp_path / "my.model")
    (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "ByT5Tokenizer"}')
    assert load_tokenizer(tmp_path / "my.model").hash == load_tokenizer(spm).hash
    assert load_tokenizer(str(spm / "spiece.model")).size == VOCAB + 100


def test_a_missing_tokenizer_says_so_when_text_is_needed(tmp_path):
    missing = MissingTokenizer("random:small", 32128)
    assert (missing.size, missing.hash) == (32128, "")
    assert missing.pieces([5]) == ["<5>"]
    missing.save(tmp_path)
    assert list(tmp_path.iterdir()) == []
    for method, argument in (("encode", "a"), ("decode", [3]), ("sentinel", 0)):
        with pytest.raises(UserError, match="random:small has no tokenizer: put its spiece"):
            getattr(missing, method)(argument)
