"""GLUE in T5's form, and the paper's transfer between QQP and MRPC (section 5, Table 2)."""

import dataclasses
import functools

from prompt_tuning.tasks import formats, scoring
from prompt_tuning.tasks.base import Measure, Task
from prompt_tuning.tasks.sources import DataSet, Split, glue_splits
from prompt_tuning.tasks.sources import official as files
from prompt_tuning.tasks.sources.tfds import TfdsSource

ENTAILMENT = ("entailment", "not_entailment")
NLI = ("entailment", "neutral", "contradiction")
SENTENCES = {"sentence1": "sentence1", "sentence2": "sentence2"}
PREMISE = {"hypothesis": "sentence2", "premise": "sentence1"}
# T5 rounds the similarity to these.
STSB_GRID = tuple(f"{fifth / 5:.1f}" for fifth in range(26))


def _dataset(
    short: str, folder: str, parse: files.Parser, splits: dict[str, Split] | None = None
) -> DataSet:
    return DataSet(
        name=f"glue/{short}",
        # Version 2.0.0 differs from the paper's 1.0.0 in a few rows of QQP only.
        tfds=f"glue/{short}:2.0.0",
        folder=folder,
        splits=splits or glue_splits(),
        parse=parse,
        hf=("nyu-mll/glue", short),
    )


def _task(
    dataset: DataSet,
    labels: tuple[str, ...],
    fields: tuple[str, ...],
    measure: Measure = scoring.accuracy,
    prefix: str | None = None,
) -> Task:
    return Task(
        name=dataset.name,
        source=TfdsSource(dataset),
        format=functools.partial(formats.classification, fields=fields),
        measure=measure,
        labels=labels,
        prompt_words=labels,
        prefix=prefix or dataset.name.removeprefix("glue/"),
    )


def _mnli(short: str, matched: bool | None) -> Task:
    """MNLI; "validation" of the whole set means its matched part."""
    if matched is None:
        splits = {
            "train": Split("train", ("train.tsv",)),
            "validation": Split("validation_matched", ("dev_matched.tsv",)),
            "validation_mismatched": Split("validation_mismatched", ("dev_mismatched.tsv",)),
            "test": Split("test_matched", ("test_matched.tsv",)),
            "test_mismatched": Split("test_mismatched", ("test_mismatched.tsv",)),
        }
    else:
        kind = "matched" if matched else "mismatched"
        splits = {
            "validation": Split("validation", (f"dev_{kind}.tsv",)),
            "test": Split("test", (f"test_{kind}.tsv",)),
        }
    parse = functools.partial(files.glue, columns=PREMISE, label="gold_label")
    return _task(
        _dataset(short, "MNLI", parse, splits), NLI, ("hypothesis", "premise"), prefix="mnli"
    )


COLA = _task(
    _dataset("cola", "CoLA", files.cola),
    ("unacceptable", "acceptable"),
    ("sentence",),
    scoring.matthews,
)
SST2_LABELS = ("negative", "positive")
SST2 = _task(
    _dataset(
        "sst2",
        "SST-2",
        functools.partial(
            files.glue, columns={"sentence": "sentence"}, label="label", classes=SST2_LABELS
        ),
    ),
    SST2_LABELS,
    ("sentence",),
)
MRPC_LABELS = ("not_equivalent", "equivalent")
MRPC = _task(
    _dataset(
        "mrpc",
        "MRPC",
        files.mrpc,
        {
            "train": Split("train", ("train.tsv", "msr_paraphrase_train.txt")),
            "validation": Split("validation", ("dev.tsv", "msr_paraphrase_train.txt")),
            "test": Split("test", ("test.tsv", "msr_paraphrase_test.txt")),
        },
    ),
    MRPC_LABELS,
    ("sentence1", "sentence2"),
    scoring.f1_and_accuracy,
)
QQP_LABELS = ("not_duplicate", "duplicate")
QQP = _task(
    _dataset(
        "qqp",
        "QQP",
        functools.partial(
            files.glue,
            columns={"question1": "question1", "question2": "question2"},
            label="is_duplicate",
            classes=QQP_LABELS,
            skip_short=True,
        ),
    ),
    QQP_LABELS,
    ("question1", "question2"),
    scoring.f1_and_accuracy,
)
STSB = Task(
    name="glue/stsb",
    source=TfdsSource(
        _dataset(
            "stsb",
            "STS-B",
            functools.partial(files.glue, columns=SENTENCES, label="score"),
        )
    ),
    format=formats.stsb,
    measure=scoring.similarity,
    labels=STSB_GRID,
    prompt_words=STSB_GRID,
    prefix="stsb",
)
MNLI = _mnli("mnli", None)
MNLI_MATCHED = _mnli("mnli_matched", True)
MNLI_MISMATCHED = _mnli("mnli_mismatched", False)
QNLI = _task(
    _dataset(
        "qnli",
        "QNLI",
        functools.partial(
            files.glue, columns={"question": "question", "sentence": "sentence"}, label="label"
        ),
    ),
    ENTAILMENT,
    ("question", "sentence"),
)
RTE = _task(
    _dataset("rte", "RTE", functools.partial(files.glue, columns=SENTENCES, label="label")),
    ENTAILMENT,
    ("sentence1", "sentence2"),
)
WNLI_LABELS = ("not_entailment", "entailment")
WNLI = _task(
    _dataset(
        "wnli",
        "WNLI",
        functools.partial(files.glue, columns=SENTENCES, label="label", classes=WNLI_LABELS),
    ),
    WNLI_LABELS,
    ("sentence1", "sentence2"),
)
# GLUE's diagnostic set: unlabelled, answered with the prompt of MNLI.
AX = _task(
    _dataset(
        "ax",
        "diagnostic",
        functools.partial(files.glue, columns=PREMISE, label=""),
        {"test": Split("test", ("tsvsWithoutLabels_AX.tsv", "diagnostic.tsv", "ax.tsv"))},
    ),
    NLI,
    ("hypothesis", "premise"),
    prefix="mnli",
)


def to_qqp(output: str) -> str:
    """An answer in MRPC's words in QQP's."""
    return output.replace("equivalent", "duplicate")


def to_mrpc(output: str) -> str:
    """An answer in QQP's words in MRPC's."""
    return output.replace("duplicate", "equivalent")


# Zero-shot transfer: the prompt answers in the words of the set it was trained on, so these are the
# legal labels and the targets; an answer in the other set's words counts as well (released code).
MRPC_FROM_QQP = dataclasses.replace(
    MRPC,
    name="glue/mrpc_from_qqp",
    format=functools.partial(
        formats.classification,
        fields=("sentence1", "sentence2"),
        rename=dict(zip(MRPC_LABELS, QQP_LABELS, strict=True)),
    ),
    labels=QQP_LABELS,
    prompt_words=QQP_LABELS,
    postprocess=to_qqp,
)
QQP_FROM_MRPC = dataclasses.replace(
    QQP,
    name="glue/qqp_from_mrpc",
    format=functools.partial(
        formats.classification,
        fields=("question1", "question2"),
        rename=dict(zip(QQP_LABELS, MRPC_LABELS, strict=True)),
    ),
    labels=MRPC_LABELS,
    prompt_words=MRPC_LABELS,
    postprocess=to_mrpc,
)

TASKS = (
    *(COLA, SST2, MRPC, QQP, STSB, MNLI, MNLI_MATCHED, MNLI_MISMATCHED, QNLI, RTE, WNLI, AX),
    *(MRPC_FROM_QQP, QQP_FROM_MRPC),
)
