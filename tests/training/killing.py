"""For scripts that are to die: a copy of this lies beside them. `count` calls are survived."""

import os
import signal

count = 0


def dying(function, after):
    """The function, which kills the process before or after its call once `count` is used up."""

    def call(*args, **kwargs):
        global count
        count -= 1
        if count < 0 and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        result = function(*args, **kwargs)
        if count < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    return call


def die_at_commits():
    """Orbax has written its temporary folder and is about to commit it."""
    from orbax.checkpoint._src.path import atomicity

    cls = atomicity.AtomicRenameTemporaryPath
    cls.finalize = dying(cls.finalize, after=False)
