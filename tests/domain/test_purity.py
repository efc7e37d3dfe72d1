"""The rules hold no float, clock or randomness, and import the standard library and each other only."""

import ast
import sys
from pathlib import Path

import pytest

import domain

# No rules of money: they say how many seconds to wait.
WAITING = {"errors", "deliveries"}
MODULES = sorted(p for p in Path(domain.__file__).parent.glob("*.py") if p.stem not in WAITING)
IMPURE = {
    "random",
    "secrets",
    "time",
    "os",
    "io",
    "socket",
    "uuid",
    "logging",
    "decimal",
    "math",
    "threading",
}


def impurities(source):
    """What a module holds that a rule may not."""
    found = []
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Constant(value=float()):
                found.append(f"{node.lineno}: a float")
            case ast.BinOp(op=ast.Div()) | ast.AugAssign(op=ast.Div()):
                found.append(f"{node.lineno}: a division that makes a float")
            case ast.Name(id="float" | "round" | "open" | "print" | "input"):
                found.append(f"{node.lineno}: {node.id}")
            case ast.Attribute(attr="now" | "utcnow" | "today" | "environ" | "getenv"):
                found.append(f"{node.lineno}: {node.attr}")
            case ast.Import(names=names):
                found += [f"{node.lineno}: {a.name}" for a in names if not allowed(a.name)]
            case ast.ImportFrom(module=module):
                found += [] if allowed(module or "") else [f"{node.lineno}: {module}"]
    return found


def allowed(module):
    """Whether a rule may import it."""
    top = module.split(".")[0]
    return top == "domain" or (top in sys.stdlib_module_names and top not in IMPURE)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_rules_are_pure(path):
    assert impurities(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "source",
    ["x = 1.5", "x = 1 / 2", "float('1')", "import random", "from sqlalchemy import text", "datetime.now()"],
)
def test_the_check_finds_what_is_not(source):
    assert len(impurities(source)) == 1
