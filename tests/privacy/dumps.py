"""A dump of a whole database, as an operator would take it."""

import re
import subprocess
from pathlib import Path

from devstack.binaries import postgres_programs

_SECTION = re.compile(r"^COPY (\S+) \(.*?\) FROM stdin;\n(.*?)^\\\.$", re.MULTILINE | re.DOTALL)


def dump(owner_url: str) -> dict[str, str]:
    """The rows of every table of every schema, by `schema.table`, as `pg_dump` writes them."""
    program = postgres_programs(None, Path()) / "pg_dump"
    address = owner_url.replace("+psycopg", "", 1)
    done = subprocess.run(
        [str(program), "--data-only", "--encoding=UTF8", f"--dbname={address}"],
        check=True,
        capture_output=True,
    )
    return dict(_SECTION.findall(done.stdout.decode()))
