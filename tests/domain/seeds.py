"""Seeds of random scenarios: printed, and enough to run one again."""

import os
import random
import sys


def seeded(name: str) -> random.Random:
    """A generator for one scenario; `TEST_SEED=<number>` runs it again."""
    seed = int(os.environ.get("TEST_SEED") or random.SystemRandom().randrange(2**32))
    sys.stdout.write(f"{name}: TEST_SEED={seed}\n")
    return random.Random(seed)
