"""Evaluation: texts to rows, batches of rows to answers, answers to scores.

`prompt_tuning.evaluate(...)` is `evaluate.evaluate`: the package has the function's name, so it is
callable.
"""

import sys
import types
from typing import Any


class _Room(types.ModuleType):
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        from prompt_tuning.evaluate.evaluate import evaluate

        return evaluate(*args, **kwargs)


sys.modules[__name__].__class__ = _Room
