"""`predict`: one frozen model, many prompts, one batch (paper section 1: mixed-task inference)."""

from collections.abc import Mapping, Sequence
from typing import Any

from prompt_tuning.errors import UserError
from prompt_tuning.evaluation.evaluate import check_distinct, report_truncated, target_start
from prompt_tuning.evaluation.jobs import Job, answer_jobs
from prompt_tuning.evaluation.rows import TextRow, encode_inputs
from prompt_tuning.prompts.marks import PROMPT_MARK, is_text
from prompt_tuning.prompts.prompt import Prompt, check_base
from prompt_tuning.prompts.table import stack_prompts, virtual_ids
from prompt_tuning.t5.load import FrozenT5
from prompt_tuning.tasks.base import unknown


def predict(
    t5: FrozenT5,
    prompts: Mapping[str, Prompt],
    requests: Sequence[Mapping[str, Any]],
    *,
    max_length: int = 16,
    beams: int = 1,
    labels: Sequence[str] | None = None,
    max_input_length: int = 512,
    sentinel: bool = False,
    force: bool = False,
) -> list[dict[str, Any]]:
    """Answer requests, each with its own prompt; batches mix prompts, their lengths and places.

    A request is a mapping: "input", the text; "prompt", a name in `prompts` or None for the bare
    model (it may be left out where there is one prompt or none); "labels", to choose the likeliest
    of these texts instead of writing freely; "max_length", of the output in tokens with EOS. The
    last two default to the arguments `labels` and `max_length`. A prompt that goes where its task's
    template says needs "{prompt}" in the input. sentinel: outputs begin with <extra_id_0>, as after
    training with `Run.sentinel`, and are given without it; prompts trained so need not be told.

    Returns the requests, in order and with all else they hold, plus "output"; with labels also
    "scores", their log-likelihoods; and "truncated": True where the input was longer than
    `max_input_length` tokens (EOS included, the prompt excluded), which is also logged.
    Raises UserError, with the number of the request, for one that cannot be answered, and for a
    prompt made for another base (unless `force`).
    """
    if beams < 1 or max_input_length < 2:
        raise UserError("beams must be at least 1 and max_input_length 2")
    for name, prompt in prompts.items():
        try:
            check_base(prompt, t5, force)
        except UserError as error:
            raise UserError(f"prompt {name!r}: {error}") from error
    defaults = {"labels": labels, "max_length": max_length}
    checked = [_check(n, request, prompts, defaults) for n, request in enumerate(requests, 1)]
    rows = _rows(t5, prompts, checked, max_input_length)
    report_truncated(sum(r.truncated for r in rows), len(rows), max_input_length, "predict")

    longest = max((prompt.length for prompt in prompts.values()), default=0)
    table = stack_prompts([prompt.array for prompt in prompts.values()]) if prompts else None
    virtual: dict[str | None, list[int]] = {None: []}
    for r, (name, prompt) in enumerate(prompts.items()):
        virtual[name] = virtual_ids(t5.config.vocab_size, prompt.length, r, longest)
    starts = {name: target_start(t5, sentinel or p.sentinel) for name, p in prompts.items()}
    bare = target_start(t5, sentinel)
    known: dict[tuple[str, ...], list[list[int]]] = {(): []}
    jobs = []
    for n, (request, row) in enumerate(zip(checked, rows, strict=True), 1):
        texts, start = request["labels"], starts.get(request["prompt"], bare)
        if texts not in known:
            known[texts] = t5.tokenizer.encode_batch(texts)
            try:
                check_distinct(texts, known[texts])
            except UserError as error:
                raise UserError(f"request {n}: {error}") from error
        jobs.append(
            Job(
                rows=[row.with_prompt(virtual[request["prompt"]])],
                evaluation="score" if texts else "generate",
                max_length=request["max_length"],
                labels=texts,
                label_ids=tuple((*start, *ids, t5.config.eos_id) for ids in known[texts]),
                start=start,
            )
        )
    results = []
    answers = answer_jobs(t5, jobs, table, beams)
    for request, job, row, [answer] in zip(requests, jobs, rows, answers, strict=True):
        kept = {k: v for k, v in request.items() if k not in ("output", "scores", "truncated")}
        result = {**kept, "output": answer.text}
        if job.labels:
            result["scores"] = dict(zip(job.labels, answer.scores, strict=True))
        if row.truncated:
            result["truncated"] = True
        results.append(result)
    return results


def _check(
    number: int, request: Any, prompts: Mapping[str, Prompt], defaults: Mapping[str, Any]
) -> dict[str, Any]:
    """The request's prompt, input, labels (a tuple) and max_length. Raises UserError."""

    def wrong(what: str) -> UserError:
        return UserError(f"request {number}: {what}")

    if not isinstance(request, Mapping):
        raise wrong(f"expected an object with an 'input', not {request!r}")
    if not isinstance(request.get("input"), str):
        present = ", ".join(map(str, request)) or "no fields"
        raise wrong(f"there is no text under 'input'; it has: {present}")
    if "prompt" not in request and len(prompts) > 1:
        raise wrong(f"name its 'prompt': {', '.join(prompts)}, or null for none")
    name = request.get("prompt", next(iter(prompts), None))
    if name is not None and not (isinstance(name, str) and name in prompts):
        raise wrong(str(unknown("prompt", str(name), prompts)))
    labels = request.get("labels", defaults["labels"])
    labels = () if labels is None else labels
    sound = isinstance(labels, Sequence) and not isinstance(labels, str)
    if not sound or any(not isinstance(label, str) or not label for label in labels):
        raise wrong(f"labels must be a list of texts, not {labels!r}")
    if len(set(labels)) < len(labels):
        raise wrong(f"a label is given twice: {', '.join(labels)}")
    length = request.get("max_length", defaults["max_length"])
    if not isinstance(length, int) or length < 1:
        raise wrong(f"max_length must be a whole number from 1, not {length!r}")
    text = request["input"]
    for given in (text, *labels):
        if not is_text(given):
            raise wrong(f"{given!r} holds half of a surrogate pair, which is no text")
    if name is not None and prompts[name].position == "template" and not prompts[name].template:
        if text.count("{prompt}") != 1:
            raise wrong(f"the prompt {name!r} goes inside the text: write {{prompt}} there, once")
        text = text.replace(PROMPT_MARK, "").replace("{prompt}", PROMPT_MARK)
    return {"prompt": name, "input": text, "labels": tuple(labels), "max_length": length}


def _rows(
    t5: FrozenT5,
    prompts: Mapping[str, Prompt],
    requests: Sequence[Mapping[str, Any]],
    max_input_length: int,
) -> list[TextRow]:
    """The tokenised inputs in order; those of one prompt are tokenised together."""
    rows: dict[int, TextRow] = {}
    for name in dict.fromkeys(request["prompt"] for request in requests):
        numbers = [n for n, request in enumerate(requests) if request["prompt"] == name]
        prompt = None if name is None else prompts[name]
        encoded = encode_inputs(
            [requests[n]["input"] for n in numbers],
            t5.tokenizer.encode_batch,
            max_length=max_input_length,
            eos_id=t5.config.eos_id,
            position=prompt.position if prompt else "prefix",
            template=prompt.template if prompt else None,
        )
        rows |= zip(numbers, encoded.rows, strict=True)
    return [rows[n] for n in range(len(requests))]
