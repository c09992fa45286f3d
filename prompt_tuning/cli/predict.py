"""`prompt-tuning predict`: requests in, answers out, one JSON object a line."""

import pathlib
import sys
from typing import Any

import tyro

from prompt_tuning.cli.common import load_base, read_prompt
from prompt_tuning.errors import UserError
from prompt_tuning.evaluation.predict import predict as predict_requests
from prompt_tuning.prompts.files import check_writable, json_line, write_jsonl
from prompt_tuning.prompts.prompt import Prompt
from prompt_tuning.t5.load import Dtype
from prompt_tuning.tasks.sources.files import parse_object, read_jsonl


def predict(
    requests: tyro.conf.Positional[str] = "-",
    prompt: tyro.conf.UseAppendAction[tuple[str, ...]] = (),
    model: str | None = None,
    out: str = "-",
    labels: tuple[str, ...] = (),
    max_length: int = 16,
    beams: int = 1,
    max_input_length: int = 512,
    sentinel: bool = False,
    revision: str | None = None,
    tokenizer: str | None = None,
    dtype: Dtype | None = None,
    force: bool = False,
) -> None:
    """Answer requests with many prompts in shared batches.

    A request is a line such as {"prompt": "rte", "input": "hypothesis: ...", "labels": ["True",
    "False"]}. "prompt" is one of the names given, or null for the bare model, and may be left out
    where there is one prompt or none; "labels" and "max_length" are optional. The answer is the
    same line with "output" and, with labels, their log-likelihoods under "scores".

    Args:
        requests: a file with one JSON object a line; "-" is standard input.
        prompt: NAME=PATH, once for each prompt; the path may be the directory of a run.
        model: a folder, hub id, pocket:SIZE or random:SIZE. None: the base that the prompts were
            made for.
        out: the file to write; "-" is standard output.
        labels: choose the likeliest of these, where a request has no labels of its own.
        max_length: of an output, in tokens with EOS, where a request has none of its own.
        beams: more than 1: beam search.
        max_input_length: in tokens with EOS, without the prompt; longer inputs lose their end.
        sentinel: outputs begin with <extra_id_0>, which is taken away; prompts that were trained so
            need not be told.
        revision: of a hub id: a commit, branch or tag.
        tokenizer: a folder or file, in place of the model's own.
        dtype: None: as stored; float32 on a CPU.
        force: use prompts that were made for another base.
    """
    prompts = _prompts(prompt)
    rows = _read(requests)
    if out != "-":
        if pathlib.Path(out).is_dir():
            raise UserError(f"--out {out} is a folder: name a file")
        check_writable(pathlib.Path(out).absolute().parent)
    t5 = load_base(model, prompts, revision=revision, dtype=dtype, tokenizer=tokenizer)
    answers = predict_requests(
        t5,
        prompts,
        rows,
        max_length=max_length,
        beams=beams,
        labels=labels or None,
        max_input_length=max_input_length,
        sentinel=sentinel,
        force=force,
    )
    if out == "-":
        for answer in answers:
            print(json_line(answer))
    else:
        write_jsonl(pathlib.Path(out), answers)


def _prompts(pairs: tuple[str, ...]) -> dict[str, Prompt]:
    prompts: dict[str, Prompt] = {}
    for pair in pairs:
        name, given, path = pair.partition("=")
        if not (name and given and path):
            raise UserError(f"--prompt {pair}: write it as NAME=PATH")
        if name in prompts:
            raise UserError(f"--prompt {pair}: the name {name!r} is given twice")
        prompts[name] = read_prompt(pathlib.Path(path))
    return prompts


def _read(requests: str) -> list[dict[str, Any]]:
    if requests != "-":
        return list(read_jsonl(pathlib.Path(requests)))
    try:
        lines = list(enumerate(sys.stdin, start=1))
    except UnicodeDecodeError as error:
        raise UserError(f"standard input is not UTF-8 text: {error}") from error
    return [parse_object(line, f"standard input, line {n}") for n, line in lines if line.strip()]
