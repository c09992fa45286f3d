"""One run: everything that decides its result, as one frozen dataclass."""

import dataclasses
import hashlib
import json
import math
import re
from collections.abc import Mapping
from typing import Any, Literal

from prompt_tuning.errors import UserError
from prompt_tuning.prompts.init import PromptConfig
from prompt_tuning.t5.load import Dtype, parse_dtype
from prompt_tuning.tasks.base import Task, check_choices, unknown
from prompt_tuning.tasks.catalog import get_task
from prompt_tuning.tasks.sources import DataConfig
from prompt_tuning.tasks.user import Metric, user_task
from prompt_tuning.training.kinds import check_kind, kinds_of, settle_floats
from prompt_tuning.training.optimizer import MODEL_TUNING, RELEASED, OptimizerConfig
from prompt_tuning.training.trees import Method


@dataclasses.dataclass(frozen=True)
class UserTask:
    """A task of your own; the fields are those of `tasks.user.user_task`."""

    files: Mapping[str, str]  # split name -> .jsonl, .json, .csv or .tsv file
    template: str  # the input text with fields in braces, and {prompt} where the prompt may go
    label_field: str | None = None
    # value of the field -> label text, or the labels where values are these
    labels: Mapping[str, str] | tuple[str, ...] | None = None
    target_field: str | None = None  # free text instead of labels
    metric: Metric | None = None
    prompt_words: tuple[str, ...] = ()  # for class-label initialisation; default: the labels


@dataclasses.dataclass(frozen=True)
class Run:
    """A run and its defaults: the paper's prompt tuning. `paper`, `released` and `model_tuning`
    give the named presets.
    """

    task: str  # such as "super_glue/rte", or any name with `user_task`
    model: str = "google/t5-base-lm-adapt"  # a folder, hub id, pocket:SIZE or random:SIZE
    revision: str | None = None  # of a hub id: a commit, branch or tag
    tokenizer: str | None = None  # a folder or file, in place of the model's own
    dtype: Dtype | None = None  # None: as stored; float32 on CPU
    data: DataConfig = dataclasses.field(default_factory=DataConfig)
    user_task: UserTask | None = None  # a task of your own, from JSONL, CSV or TSV
    task_name_in_text: bool = False  # T5's task name before the text: only the multi-task baseline
    sentinel: bool = False  # <extra_id_0> before each target, as in span corruption (section 2.2)
    train_split: str = "train"  # what is trained on
    dev_split: str = "validation"  # selects the best step and is reported (paper section 3)
    train_examples: int | None = None  # only the first so many of a seeded permutation
    dev_examples: int | None = None  # only the first so many, of a mixture of each task
    max_input_length: int = 512  # text tokens with EOS, without the prompt (released demo scripts)
    max_target_length: int = 16  # with EOS; also the longest generated output
    method: Method = "prompt"  # what is trained: the prompt, or the whole model
    prompt: PromptConfig = dataclasses.field(default_factory=PromptConfig)
    optimizer: OptimizerConfig = dataclasses.field(default_factory=OptimizerConfig)
    steps: int = 30_000  # paper section 3; 0: evaluate the initial prompt (or model), train nothing
    batch_size: int = 32  # paper section 3; the released default is 128
    micro_batches: int = 1  # equal parts of a batch, for memory; without dropout the same update
    packing: bool = False  # little padding: parts of one length, or shared rows; the same update
    dropout: float = 0.0  # the paper names none; the released configuration has 0.1
    z_loss: float = 0.0  # the released code: 1e-4 * log(Z) ** 2
    loss: Literal["mean", "sum"] = "mean"  # over the batch's target tokens; the released code sums
    remat: Literal["none", "dots", "full"] = "none"  # what the backward pass recomputes
    fused_attention: bool = False  # the encoder's by one kernel (cuDNN's on GPUs, in bfloat16)
    eval_every: int = 1000  # steps (released configuration)
    evaluation: Literal["generate", "score"] = "generate"  # greedy text with exact match (paper)
    patience: int | None = None  # stop after so many evaluations without a better score
    seed: int = 0  # initialisation, data order and dropout

    def __post_init__(self) -> None:
        parse_dtype(self.dtype)  # says why not float16
        settle_floats(self)
        settle_floats(self.prompt)
        settle_floats(self.optimizer)
        check_choices(self)
        if self.method == "model" and self.dtype == "int8":
            raise UserError("dtype int8 is for frozen models; model tuning needs another")
        if self.steps < 0:
            raise UserError(f"steps must be 0 (evaluate only) or more, not {self.steps}")
        for name in ("batch_size", "eval_every", "max_input_length", "micro_batches",
                     "train_examples", "dev_examples", "patience"):  # fmt: skip
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UserError(f"{name} must be at least 1, not {value}")
        if not 0 <= self.seed < 2**32:
            raise UserError(f"seed must be from 0 to 2**32 - 1, not {self.seed}")
        if self.max_target_length < 2 or self.max_input_length < 2:
            raise UserError("max_input_length and max_target_length must be at least 2 (with EOS)")
        if self.sentinel and self.max_target_length < 3:
            raise UserError("max_target_length must be at least 3 with sentinel")
        if self.batch_size % self.micro_batches:
            raise UserError(
                f"batch_size {self.batch_size} is not a multiple of {self.micro_batches} "
                "micro_batches"
            )
        if self.fused_attention and self.dropout:
            raise UserError("fused_attention has no dropout: set dropout=0 or leave it out")
        if self.packing and self.micro_batches > 1:
            raise UserError("packing and micro_batches exclude each other: choose one")
        if self.prompt.shots < 0 or (self.prompt.shots and self.prompt.init != "text"):
            raise UserError("shots must be 0 or more, and are for initialiser 'text'")
        if not 0 <= self.dropout < 1:
            raise UserError(f"dropout must be in [0, 1), not {self.dropout}")
        if not (math.isfinite(self.z_loss) and self.z_loss >= 0):
            raise UserError(f"z_loss must be 0 or more and finite, not {self.z_loss}")

    @property
    def id(self) -> str:
        """A readable name with a hash of the whole configuration; names the run's directory.

        Where the data lies does not enter the hash: what it holds is in the run's manifest.
        """
        config = self.to_dict()
        config["data"]["dir"] = None
        if not self.sentinel:  # as before there was this field: runs keep their names
            del config["sentinel"]
        if self.user_task is not None:
            splits, labels = list(self.user_task.files), self.user_task.labels
            config["user_task"]["files"] = sorted(splits)
            # Their order is that of the classes, which sorted keys would lose.
            if isinstance(labels, Mapping) and list(labels) != sorted(labels):
                config["user_task"]["labels"] = list(labels.items())
            if labels is None and self.user_task.label_field and splits[0] != min(splits):
                config["user_task"]["files"] = splits
        text = json.dumps(config, sort_keys=True, separators=(",", ":"))
        digest = hashlib.sha256(text.encode()).hexdigest()[:8]
        what = f"p{self.prompt.length or self.prompt.init}" if self.method == "prompt" else "model"
        name = f"{self.model.rstrip('/').split('/')[-1]}-{self.task}-{what}-s{self.seed}"
        return re.sub(r"[^A-Za-z0-9._-]+", "-", name) + f"-{digest}"

    @property
    def mixes(self) -> bool:
        """Whether its rows may share the parts of a batch with those of other runs, sorted by
        length: nothing but the prompt is its own.
        """
        return self.packing and self.method == "prompt" and self.dropout == 0

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return json.loads(json.dumps(dataclasses.asdict(self)))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Run":
        """The inverse of `to_dict`; an unknown field raises UserError with the closest names."""
        return build(cls, values, _NESTED)

    def get_task(self) -> Task:
        """The task with its data source; nothing is read yet."""
        if self.user_task is not None:
            if self.data != DataConfig() or self.task_name_in_text:
                raise UserError(
                    f"{self.task}: data and task_name_in_text are for the catalogue's tasks; where "
                    "the files of a task of your own lie is in user_task"
                )
            fields = dataclasses.fields(UserTask)
            return user_task(self.task, **{f.name: getattr(self.user_task, f.name) for f in fields})
        return get_task(self.task, self.data, name_in_text=self.task_name_in_text)


_NESTED: dict[str, type] = {
    "data": DataConfig,
    "prompt": PromptConfig,
    "optimizer": OptimizerConfig,
    "user_task": UserTask,
}


def build(cls: type, values: Mapping[str, Any], nested: Mapping[str, type]) -> Any:
    """A configuration from JSON values; `nested` has the classes of fields that are one too."""
    kinds = kinds_of(cls)
    for key, value in values.items():
        if key not in kinds:
            raise unknown(f"field of {cls.__name__}", key, kinds)
        check_kind(key, value, kinds[key])
    inner = {
        key: build(nested[key], value, nested)
        for key, value in values.items()
        if key in nested and isinstance(value, Mapping)
    }
    plain = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
    try:
        return cls(**{**plain, **inner})
    except TypeError as error:
        raise UserError(f"{cls.__name__}: {error}") from error


def paper(task: str, **changes: Any) -> Run:
    """Prompt tuning as the paper's text has it (section 3 and appendix A)."""
    return build(Run, {"task": task, **changes}, _NESTED)


def released(task: str, **changes: Any) -> Run:
    """Prompt tuning as the released code does it.

    Differs from `paper` in batch size (128), dropout (0.1), z-loss (1e-4), summed loss and the
    optimiser's first step (1,100,000).
    """
    differences: dict[str, Any] = {
        "batch_size": 128,
        "dropout": 0.1,
        "z_loss": 1e-4,
        "loss": "sum",
    }
    return _preset(task, RELEASED, differences, changes)


def model_tuning(task: str, **changes: Any) -> Run:
    """The paper's baseline: all weights, Adafactor at 0.001 with parameter scaling, dropout 0.1."""
    return _preset(task, MODEL_TUNING, {"method": "model", "dropout": 0.1}, changes)


def _preset(
    task: str, optimizer: OptimizerConfig, differences: dict[str, Any], changes: dict[str, Any]
) -> Run:
    """`changes` over a preset's fields; those of the optimiser that they leave out stay its own."""
    own = changes.get("optimizer", {})
    if isinstance(own, Mapping):
        changes = {**changes, "optimizer": {**dataclasses.asdict(optimizer), **own}}
    return paper(task, **{**differences, **changes})


PRESETS = {"paper": paper, "released": released, "model-tuning": model_tuning}
