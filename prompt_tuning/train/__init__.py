"""Training: one run, or a population of runs over one frozen model.

`prompt_tuning.train(...)` is `loop.train`: the package has the function's name, so it is callable.
"""

import sys
import types
from typing import Any


class _Room(types.ModuleType):
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        from prompt_tuning.train.loop import train

        return train(*args, **kwargs)


sys.modules[__name__].__class__ = _Room
