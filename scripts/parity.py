"""Compares this T5 with the PyTorch T5 of transformers, live, and with PEFT's prompt tuning.

    python scripts/parity.py            compare; the golden files of the tests too
    python scripts/parity.py --write    write the golden files first

Needs the extra `parity` (torch, peft); nothing else in the project does. Exits 1 where anything
differs. See `parity_cases.py` for the cases and tolerances.
"""

import argparse
import importlib
import json
import os
import pathlib
import sys
import tempfile
from typing import Any

import jax
import numpy as np

from prompt_tuning.evaluation.inference import forward
from prompt_tuning.t5 import names
from prompt_tuning.t5.layers import relative_position_buckets
from prompt_tuning.t5.load import FrozenT5, load_t5, save_t5
from prompt_tuning.t5.tokenizer import load_tokenizer
from scripts.parity_cases import (
    BEAMS,
    GOLDEN,
    LENGTH,
    VARIANTS,
    Report,
    Variant,
    buckets,
    compare,
    inputs,
    ours,
    read_golden,
    t5x_summary,
    weight,
    write_golden,
)
from scripts.parity_peft import check_peft

DATA = pathlib.Path(
    os.environ.get("PROMPT_TUNING_DATA") or GOLDEN.parent.parent.parent / "shared" / "data"
)


def torch_model(torch: Any, transformers: Any, variant: Variant) -> Any:
    """The PyTorch model with the seeded weights, in evaluation mode."""
    config = getattr(transformers, f"{variant.family}Config")(
        **variant.kwargs, decoder_start_token_id=0
    )
    model = getattr(transformers, f"{variant.family}ForConditionalGeneration")(config)
    if variant.untied:
        model.lm_head.weight = torch.nn.Parameter(torch.empty_like(model.lm_head.weight))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(torch.from_numpy(weight(name, tuple(parameter.shape))))
    return model.eval()


def theirs(torch: Any, model: Any, given: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What PyTorch computes of the inputs, in the form of `ours`."""
    ids, targets = (torch.from_numpy(given[name]).long() for name in ("ids", "targets"))
    mask, valid = ids > 0, targets > 0
    labels = targets.masked_fill(~valid, -100)
    generate = {"input_ids": ids, "attention_mask": mask.long(), "max_new_tokens": LENGTH}
    with torch.no_grad():
        out = model(input_ids=ids, attention_mask=mask, labels=labels)
        greedy_ids = model.generate(**generate, num_beams=1, do_sample=False)
        generate |= {"num_beams": BEAMS, "num_return_sequences": BEAMS, "length_penalty": 0.0}
        generate |= {"do_sample": False, "output_scores": True, "return_dict_in_generate": True}
        ended = model.generate(**generate)
        endless = model.generate(**generate, eos_token_id=model.config.vocab_size)

    def padded(sequences: Any) -> np.ndarray:
        """Without the start token, to LENGTH."""
        sequences = sequences[:, 1:].numpy().astype(np.int32)
        return np.pad(sequences, ((0, 0), (0, LENGTH - sequences.shape[1])))

    def until_eos(sequences: np.ndarray) -> np.ndarray:
        """With padding after EOS, where beam search repeats EOS."""
        is_eos = sequences == 1
        return np.where(np.cumsum(is_eos, 1) - is_eos > 0, 0, sequences)

    shape = (len(ids), BEAMS)
    return {
        "logits": (out.logits * valid[:, :, None]).numpy(),
        "loss": out.loss.numpy(),
        "greedy": padded(greedy_ids),
        "beams": padded(endless.sequences).reshape(*shape, LENGTH),
        "beam_scores": endless.sequences_scores.numpy().reshape(shape),
        "ended": until_eos(padded(ended.sequences)).reshape(*shape, LENGTH),
        "ended_scores": ended.sequences_scores.numpy().reshape(shape),
    }


def same_params(report: Report, what: str, got: FrozenT5, want: FrozenT5) -> None:
    """Checks that two models are one, bit for bit."""
    report.check(f"{what}: configuration", got.config == want.config, True)
    equal = jax.tree.map(lambda x, y: bool((x == y).all()), got.params, want.params)
    report.check(f"{what}: weights", all(jax.tree.leaves(equal)), True)


def check_folders(
    report: Report, torch: Any, transformers: Any, model: Any, t5: FrozenT5, folder: pathlib.Path
) -> None:
    """Every form in which PyTorch saves the model, and our own folder read by transformers."""
    state = model.state_dict()
    for kind in ("sharded", "bin", "sharded_bin"):
        target = folder / kind
        model.save_pretrained(target, max_shard_size="10KB")
        if kind != "sharded":
            for file in target.glob("*.safetensors*"):
                file.unlink()
        if kind == "bin":
            torch.save(state, target / "pytorch_model.bin")
        if kind == "sharded_bin":
            keys = sorted(state)
            weight_map = {}
            for number, part in enumerate((keys[::2], keys[1::2])):
                file = f"pytorch_model-{number}.bin"
                torch.save({key: state[key] for key in part}, target / file)
                weight_map |= dict.fromkeys(part, file)
            index = target / "pytorch_model.bin.index.json"
            index.write_text(json.dumps({"weight_map": weight_map}))
        same_params(report, f"  PyTorch {kind}", load_t5(target), t5)

    half = folder / "bfloat16"
    save_t5(t5, half, "bfloat16")
    again = transformers.T5ForConditionalGeneration.from_pretrained(half)
    again.save_pretrained(folder / "bfloat16_again")
    same_params(
        report,
        "  bfloat16, ours to PyTorch to ours",
        load_t5(folder / "bfloat16_again", dtype="bfloat16"),
        load_t5(half, dtype="bfloat16"),
    )
    report.check("  bfloat16 kept by PyTorch", again.dtype == torch.bfloat16, True)

    for kind, shard_bytes in (("ours", 10**9), ("ours_sharded", 10**4)):
        save_t5(t5, folder / kind, max_shard_bytes=shard_bytes)
        again, info = transformers.T5ForConditionalGeneration.from_pretrained(
            folder / kind, output_loading_info=True
        )
        faults = sum(len(info[key]) for key in ("missing_keys", "unexpected_keys"))
        report.check(f"  {kind} in PyTorch: missing or unexpected names", faults, 0)
        tied = again.lm_head.weight is again.shared.weight
        report.check(f"  {kind} in PyTorch: head tied", tied, t5.config.tied_head)
        report.check(
            f"  {kind} in PyTorch: scaling",
            again.config.scale_decoder_outputs,
            t5.config.scale_logits,
        )
        theirs_state = again.state_dict()
        worst = max(float((theirs_state[key] - state[key]).abs().max()) for key in state)
        report.check(f"  {kind} in PyTorch: weights", worst, 0.0)


def check_variant(report: Report, torch: Any, transformers: Any, name: str, write: bool) -> None:
    variant = VARIANTS[name]
    model = torch_model(torch, transformers, variant)
    given = inputs(variant.kwargs["vocab_size"], variant.input_length)
    live = theirs(torch, model, given)
    with tempfile.TemporaryDirectory() as folder:
        saved = pathlib.Path(folder) / "saved"
        model.save_pretrained(saved)
        t5 = load_t5(saved)
        compare(report, name, ours(t5.config, t5.params, given | live), live)
        check_folders(report, torch, transformers, model, t5, pathlib.Path(folder))
        described = (saved / "config.json").read_text()
    if write:
        kept = {"config": np.array(described), "untied": np.array(variant.untied)}
        write_golden(name, given | live | kept)
    golden = read_golden(name)
    for key, value in live.items():
        report.check(f"  golden {key}", golden[key], value, 1e-5 * max(1, np.abs(value).max()))


def check_buckets(report: Report, torch: Any, transformers: Any, write: bool) -> None:
    attention = transformers.models.t5.modeling_t5.T5Attention

    def find(distance: np.ndarray, **kwargs: Any) -> np.ndarray:
        return attention._relative_position_bucket(torch.from_numpy(distance), **kwargs).numpy()

    live, found = buckets(find), buckets(relative_position_buckets)
    if write:
        write_golden("buckets_of_distances", live)
    golden = read_golden("buckets_of_distances")
    for key, value in live.items():
        report.check(f"buckets {key}", found[key], value)
        report.check("  golden", golden[key], value)


def check_t5x(report: Report, torch: Any, transformers: Any, write: bool) -> None:
    """The real T5X checkpoint gives the logits of a PyTorch T5 with its weights."""
    if not (DATA / "t5").is_dir():
        print(f"skip T5X and tokenizer: no data at {DATA}; set PROMPT_TUNING_DATA")
        return
    tokenizer = load_tokenizer(DATA / "t5" / "spiece.model")
    t5 = load_t5(DATA / "t5" / "tiny_t5x_zarr" / "checkpoint_3", max_distance=8)
    config = transformers.T5Config(
        vocab_size=32128,
        d_model=4,
        d_kv=2,
        d_ff=8,
        num_layers=2,
        num_heads=2,
        relative_attention_num_buckets=4,
        relative_attention_max_distance=8,
        feed_forward_proj="gated-gelu",
        tie_word_embeddings=False,
        decoder_start_token_id=0,
    )
    model = transformers.T5ForConditionalGeneration(config).eval()
    model.lm_head.weight = torch.nn.Parameter(torch.empty_like(model.lm_head.weight))
    parameters = dict(model.named_parameters())
    with torch.no_grad():
        for tensor in names.tensors(t5.config):
            array = np.asarray(names.leaf(t5.params, tensor.path))
            array = array if tensor.layer is None else array[tensor.layer]
            array = np.array(array.T if tensor.transposed else array)
            parameters.pop(tensor.hf).copy_(torch.from_numpy(array))
    report.check("T5X: PyTorch parameters without a value", len(parameters), 0)
    texts = ["the movie was a delight from start to finish", "entailment or not"]
    given = {"ids": np.zeros((2, 12), np.int32), "decoder_ids": np.zeros((2, 4), np.int32)}
    for row, text in enumerate(texts):
        ids = [*tokenizer.encode(text), 1]
        given["ids"][row, : len(ids)] = ids
    given["decoder_ids"][:, 1:] = [[1465, 2841, 5], [3, 35, 5756]]
    ids, decoder_ids = (torch.from_numpy(value).long() for value in given.values())
    with torch.no_grad():
        out = model(input_ids=ids, attention_mask=ids > 0, decoder_input_ids=decoder_ids)
    live = out.logits.numpy()
    report.check("T5X logits", forward(t5, given["ids"], given["decoder_ids"]), live, 1e-4)
    if write:
        write_golden("t5x", given | t5x_summary(live))
    golden = read_golden("t5x")
    for key, value in t5x_summary(live).items():
        report.check(f"  golden {key}", golden[key], value, 1e-5)

    with tempfile.TemporaryDirectory() as folder:
        tokenizer.save(pathlib.Path(folder))
        (pathlib.Path(folder) / "config.json").write_text(config.to_json_string())
        auto = transformers.AutoTokenizer.from_pretrained(folder)
        for text in texts:
            want = np.array(auto(text, add_special_tokens=False).input_ids)
            report.check(f"tokenizer, {text[:12]}...", np.array(tokenizer.encode(text)), want)


def main() -> int:
    parser = argparse.ArgumentParser(description="Parity with PyTorch; see the top of this file.")
    parser.add_argument("--write", action="store_true", help="write the golden files first")
    write = parser.parse_args().write
    try:
        torch, peft = importlib.import_module("torch"), importlib.import_module("peft")
    except ImportError as error:
        print(f"{error}; install the extra: pip install -e '.[parity]'")
        return 2
    transformers = importlib.import_module("transformers")
    transformers.logging.set_verbosity_error()
    GOLDEN.mkdir(exist_ok=True)
    report = Report()
    for name in VARIANTS:
        check_variant(report, torch, transformers, name, write)
    check_buckets(report, torch, transformers, write)
    check_t5x(report, torch, transformers, write)
    check_peft(report, torch, peft, lambda: torch_model(torch, transformers, VARIANTS["t5_1_1"]))
    print("parity: FAILED" if report.failed else "parity: all equal")
    return int(report.failed)


if __name__ == "__main__":
    sys.exit(main())
