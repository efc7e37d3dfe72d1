"""Command lines that put small substitutes in place of the product's processes."""

import sys
from pathlib import Path

from devstack.ports import Ports

# All but the seed and the migrations, which belong to the product.
SUBSTITUTED_PARTS = frozenset({"postgres", "temporal", "stripe", "lms", "payout", "gateway", "worker"})


def substitute_commands(ports: Ports) -> dict[str, tuple[str, ...]]:
    """Command lines of the substitutes on a stack's ports."""
    program = (sys.executable, "-I", "-S", str(Path(__file__).with_name("substitute.py")))
    http = {
        "stripe": ports.stripe_standin,
        "lms": ports.lms_standin,
        "payout": ports.payout,
        "gateway": ports.gateway,
    }
    commands = {name: (*program, "http", str(port)) for name, port in http.items()}
    return commands | {"worker": (*program, "worker")}
