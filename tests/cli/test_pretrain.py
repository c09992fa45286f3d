"""`prompt-tuning pretrain` on a tiny T5: by flags, from a file, again, and refused."""

import dataclasses
import json

import pytest

from prompt_tuning.t5.config import T5Config
from prompt_tuning.t5.load import load_t5
from prompt_tuning.training.pretraining import Pretraining
from prompt_tuning.training.validation import validation_loss

TINY = T5Config(vocab_size=1536, d_model=8, d_kv=4, d_ff=16, num_layers=1, num_decoder_layers=1,
                num_heads=2, num_buckets=8, max_distance=16)  # fmt: skip


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    size = tmp_path_factory.mktemp("sizes") / "tiny.json"
    size.write_text(json.dumps(dataclasses.asdict(TINY)))
    flags = f"--name tiny --architecture {size} --tokenizer pocket --text.documents 200"
    flags += " --text.held-out 20 --length 32 --batch-size 4 --steps 4 --eval-every 2 --quiet"
    return ["pretrain", *flags.split(), "--optimizer.name", "muon", "--eval-batches", "1"]


def test_flags_files_and_the_pocket_language(run, refused, words, tmp_path):
    from prompt_tuning.tasks.pocket import document

    status, text, err = run(*words, "--document", "pocket", "--out", tmp_path / "a")
    assert (status, err) == (0, "")
    [folder] = (tmp_path / "a").glob("tiny-*/model")
    assert text == f"{folder}\n"
    card = json.loads((folder / "model_card.json").read_text())
    assert (card["steps"], card["config"]["tokenizer"]) == (4, "pocket")
    assert str(tmp_path) not in json.dumps(card)
    recorded = Pretraining.from_dict(card["config"])
    assert validation_loss(load_t5(folder), recorded, document) == card["validation_loss"]
    # Again: nothing to do. From its configuration, the command of the card: the same weights.
    before = (folder / "model_card.json").stat().st_mtime_ns
    again = ("pretrain", "--config", folder.parent, "--document", "pocket", "--quiet", "--out")
    assert run(*again, tmp_path / "a")[0] == 0
    assert (folder / "model_card.json").stat().st_mtime_ns == before
    (tmp_path / "config.json").write_text(json.dumps(card["config"]))
    command = card["command"].replace("config.json", str(tmp_path / "config.json")).split()[1:]
    assert run(*command, "--quiet", "--out", tmp_path / "b")[0] == 0
    other = tmp_path / "b" / folder.relative_to(tmp_path / "a") / "model.safetensors"
    assert other.read_bytes() == (folder / "model.safetensors").read_bytes()
    # Its adaptation, on a file.
    lines = [document(0, n) for n in range(120)]
    (tmp_path / "text.txt").write_text("\n".join(lines))
    adapt = f"--start {folder} --objective prefix_lm --text.files {tmp_path / 'text.txt'}"
    adapt += " --text.held-out 20 --length 32 --batch-size 4 --steps 2 --quiet --eval-batches 1"
    status, text, err = run("pretrain", *adapt.split(), "--out", tmp_path / "c")
    assert (status, err) == (0, "")
    assert load_t5(text.strip()).config.d_model == 8


def test_bad_input_is_one_line_and_leaves_nothing(run, refused, words, tmp_path):
    out = ("--out", tmp_path / "out")
    (tmp_path / "list.json").write_text("[]")
    (tmp_path / "misspelt.json").write_text('{"stepz": 3}')
    (tmp_path / "size.json").write_text('{"d_modell": 3}')
    cases = [
        ((*words, *out), "--document pocket"),
        ((*words, "--document", "pocket", "--text.files", "x.txt"), "choose one"),
        ((*words, "--text.files", tmp_path / "none.txt", *out), "none.txt"),
        ((*words, "--document", "pocket", "--steps", 0), "steps must be at least 1"),
        ((*words, "--document", "pocket", "--log-every", 0), "log_every"),
        ((*words, "--document", "pocket", "--workers", -1), "workers"),
        ((*words, "--architecture", "huge"), "huge: neither a size"),
        ((*words, "--architecture", tmp_path / "size.json"), "did you mean d_model"),
        ((*words, "--tokenizer", tmp_path, "--document", "pocket", *out), "no tokenizer there"),
        (("pretrain", "--document", "pocket"), "give an architecture"),
        (("pretrain", "--config", tmp_path / "none.json"), "none.json"),
        (("pretrain", "--config", tmp_path / "list.json"), "list.json"),
        (("pretrain", f"--config={tmp_path / 'misspelt.json'}"), "did you mean steps"),
    ]
    for flags, message in cases:
        assert message in refused(*flags), flags
    assert not list(tmp_path.rglob("model*"))
    status, _, err = run(*words, "--document", "pockt")
    assert status == 2
    assert "pocket" in err
