"""`python -m prompt_tuning` is the command `prompt-tuning`."""

import sys

from prompt_tuning.cli import main

sys.exit(main())
