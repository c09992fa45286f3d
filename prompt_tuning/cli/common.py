"""What several commands share."""

import pathlib
from collections.abc import Callable
from typing import Any

from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo

from prompt_tuning.cli import Refused
from prompt_tuning.errors import UserError
from prompt_tuning.prompts.prompt import Prompt, load_prompt
from prompt_tuning.t5.load import FrozenT5, load_t5


def read_prompt(path: pathlib.Path) -> Prompt:
    """A prompt in any readable format; of a run's directory, its best."""
    best = path / "best_prompt.safetensors"
    return load_prompt(best if best.is_file() else path)


def one_word(cls: type, metavar: str, read: Callable[[str], Any]) -> ConstructorRegistry:
    """A flag for a configuration or None: one word, from which `read` makes the former."""
    registry = ConstructorRegistry()

    def from_words(words: list[str]) -> Any:
        try:
            return None if words[0] == "None" else read(words[0])
        except UserError as error:
            raise Refused(str(error)) from error

    @registry.primitive_rule
    def _(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Any] | None:
        if info.type != cls | None:
            return None
        return PrimitiveConstructorSpec(
            nargs=1,
            metavar=metavar,
            instance_from_str=from_words,
            is_instance=lambda value: value is None or isinstance(value, cls),
            str_from_instance=lambda value: ["None" if value is None else "as configured"],
        )

    return registry


def load_base(
    model: str | None,
    prompts: dict[str, Prompt],
    *,
    revision: str | None = None,
    dtype: str | None = None,
    tokenizer: str | None = None,
) -> FrozenT5:
    """The model by name or, without one, the base that the prompts were made for."""
    if model is None:
        bases = {
            (prompt.metadata.get("base_model"), prompt.metadata.get("base_revision"))
            for prompt in prompts.values()
        }
        if len(bases) != 1 or bases == {(None, None)}:
            known = ", ".join(sorted(base for base, _ in bases if base)) or "none"
            raise UserError(f"name the model with --model (bases of the prompts: {known})")
        model, trained_on = bases.pop()
        assert model is not None
        revision = revision or trained_on
    return load_t5(model, revision, dtype, tokenizer=tokenizer)
