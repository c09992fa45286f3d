"""SQuAD v1.1 and MRQA 2019 in T5's form: the paper's domain shift (section 5, Table 1)."""

from prompt_tuning.tasks import formats, scoring
from prompt_tuning.tasks.base import Row, Task
from prompt_tuning.tasks.sources import DataSet, Split
from prompt_tuning.tasks.sources import official as files
from prompt_tuning.tasks.sources.tfds import TfdsSource


def squad_row(record: Row) -> Row:
    """A SQuAD record of tensorflow-datasets or Hugging Face as the local reader gives it."""
    return dict(record) | {"answers": list(record["answers"]["text"])}


# T5 writes no task name before a question. The paper selects by F1.
SQUAD = Task(
    name="squad",
    source=TfdsSource(
        DataSet(
            name="squad",
            tfds="squad/v1.1:3.0.0",
            folder="squad",
            splits={
                "train": Split("train", ("train-v1.1.json",)),
                "validation": Split("validation", ("dev-v1.1.json",)),
            },
            parse=files.squad,
            hf=("rajpurkar/squad", None),
            convert=squad_row,
        )
    ),
    format=formats.squad,
    measure=scoring.question_answering,
    select=("f1",),
)


def _mrqa(short: str, tfds: str, file: str, in_domain: bool) -> Task:
    """One MRQA set: train and validation in-domain, else what MRQA calls dev, as validation."""
    dev = (f"dev/{file}.jsonl.gz", f"dev/{file}.jsonl", f"{file}.jsonl.gz", f"{file}.jsonl")
    train = (f"train/{file}.jsonl.gz", f"train/{file}.jsonl")
    if in_domain:
        splits = {"train": Split("train", train), "validation": Split("validation", dev[:2])}
    else:
        splits = {"validation": Split("test", dev)}
    dataset = DataSet(
        name=f"mrqa/{short}",
        tfds=f"mrqa/{tfds}:1.0.0",
        folder="mrqa",
        splits=splits,
        parse=files.mrqa,
        hf=("mrqa-workshop/mrqa", None),
        hf_subset=file,
        convert=files.mrqa_row,
    )
    return Task(
        name=dataset.name,
        source=TfdsSource(dataset),
        format=formats.mrqa,
        measure=scoring.question_answering,
        select=("f1",),
    )


TASKS = (
    SQUAD,
    _mrqa("squad", "squad", "SQuAD", in_domain=True),
    _mrqa("newsqa", "news_qa", "NewsQA", in_domain=True),
    _mrqa("triviaqa", "trivia_qa", "TriviaQA-web", in_domain=True),
    _mrqa("searchqa", "search_qa", "SearchQA", in_domain=True),
    _mrqa("hotpotqa", "hotpot_qa", "HotpotQA", in_domain=True),
    _mrqa("naturalquestions", "natural_questions", "NaturalQuestionsShort", in_domain=True),
    _mrqa("textbookqa", "textbook_qa", "TextbookQA", in_domain=False),
    _mrqa("bioasq", "bio_asq", "BioASQ", in_domain=False),
    _mrqa("race", "race", "RACE", in_domain=False),
    _mrqa("relation_extraction", "relation_extraction", "RelationExtraction", in_domain=False),
    _mrqa("duorc", "duo_rc", "DuoRC.ParaphraseRC", in_domain=False),
    _mrqa("drop", "drop", "DROP", in_domain=False),
)
