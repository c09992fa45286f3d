"""SuperGLUE's eight tasks and two diagnostics, and DPR, in T5's form (paper appendix A.3)."""

import functools

from prompt_tuning.tasks import formats, scoring
from prompt_tuning.tasks.base import Task
from prompt_tuning.tasks.sources import DataSet, Split, superglue_splits
from prompt_tuning.tasks.sources import official as files
from prompt_tuning.tasks.sources.tfds import TfdsSource

BOOLEANS = ("False", "True")
ENTAILMENT = ("entailment", "not_entailment")
# Paper footnote 7: the class-label initialisation of the tasks that answer in free text.
RECORD_WORDS = ("commonsense", "reasoning", "reading", "comprehension")
WSC_WORDS = ("commonsense", "pronoun", "resolution")


def _dataset(short: str, folder: str, parse: files.Parser, tfds: str = "") -> DataSet:
    config = tfds or short
    return DataSet(
        name=f"super_glue/{short}",
        tfds=f"super_glue/{config}:1.0.2",
        folder=folder,
        splits=superglue_splits(),
        parse=parse,
        hf=("aps/super_glue", config),
    )


def _diagnostic(short: str, folder: str) -> DataSet:
    """A data set with a labelled test split only."""
    return DataSet(
        name=f"super_glue/{short}",
        tfds=f"super_glue/{short}:1.0.2",
        folder=folder,
        splits={"test": Split("test", (f"{folder}.jsonl",))},
        parse=files.superglue,
        hf=("aps/super_glue", short),
    )


def _classes(dataset: DataSet, labels: tuple[str, ...], fields: tuple[str, ...]) -> Task:
    return Task(
        name=dataset.name,
        source=TfdsSource(dataset),
        format=functools.partial(formats.classification, fields=fields),
        measure=scoring.accuracy,
        labels=labels,
        prompt_words=labels,
        prefix=dataset.name.removeprefix("super_glue/"),
    )


BOOLQ = _classes(
    _dataset("boolq", "BoolQ", files.superglue), BOOLEANS, fields=("passage", "question")
)
CB = Task(
    name="super_glue/cb",
    source=TfdsSource(_dataset("cb", "CB", files.superglue)),
    format=functools.partial(formats.classification, fields=("hypothesis", "premise")),
    measure=scoring.mean_f1_and_accuracy,
    labels=("entailment", "contradiction", "neutral"),
    prompt_words=("entailment", "contradiction", "neutral"),
    prefix="cb",
)
COPA = _classes(
    _dataset("copa", "COPA", files.copa),
    ("choice1", "choice2"),
    fields=("choice1", "choice2", "premise", "question"),
)
MULTIRC = Task(
    name="super_glue/multirc",
    source=TfdsSource(_dataset("multirc", "MultiRC", files.multirc)),
    format=formats.multirc,
    measure=scoring.multirc,
    labels=BOOLEANS,
    prompt_words=BOOLEANS,
    prefix="multirc",
)
RECORD = Task(
    name="super_glue/record",
    source=TfdsSource(_dataset("record", "ReCoRD", files.record)),
    format=formats.record,
    measure=scoring.question_answering,
    prompt_words=RECORD_WORDS,
    prefix="record",
)
RTE = _classes(
    _dataset("rte", "RTE", files.superglue), ENTAILMENT, fields=("hypothesis", "premise")
)
WIC = _classes(
    _dataset("wic", "WiC", files.superglue), BOOLEANS, fields=("sentence1", "sentence2", "word")
)
WSC = Task(
    name="super_glue/wsc",
    source=TfdsSource(_dataset("wsc", "WSC", files.wsc, tfds="wsc.fixed")),
    format=formats.wsc,
    measure=scoring.wsc,
    prompt_words=WSC_WORDS,
    prefix="wsc:",
)
# The diagnostics are scored with the prompt of RTE.
AXB = Task(
    name="super_glue/axb",
    source=TfdsSource(_diagnostic("axb", "AX-b")),
    format=formats.broad_diagnostic,
    measure=scoring.matthews,
    labels=ENTAILMENT,
    prompt_words=ENTAILMENT,
    prefix="rte",
)
AXG = Task(
    name="super_glue/axg",
    source=TfdsSource(_diagnostic("axg", "AX-g")),
    format=formats.gender_diagnostic,
    measure=scoring.gender_parity,
    labels=ENTAILMENT,
    prompt_words=ENTAILMENT,
    prefix="rte",
    select=("accuracy",),
)
DPR = Task(
    name="dpr",
    source=TfdsSource(
        DataSet(
            name="dpr",
            tfds="definite_pronoun_resolution:1.1.0",
            folder="definite_pronoun_resolution",
            splits={
                "train": Split("train", ("train.c.txt",)),
                "test": Split("test", ("test.c.txt",)),
            },
            parse=files.dpr,
            hf=("community-datasets/definite_pronoun_resolution", None),
        )
    ),
    format=formats.dpr,
    measure=scoring.accuracy,
    prompt_words=WSC_WORDS,
    prefix="wsc:",
)

TASKS = (BOOLQ, CB, COPA, MULTIRC, RECORD, RTE, WIC, WSC, AXB, AXG, DPR)
