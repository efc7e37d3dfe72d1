"""The command line: `python -m devstack.lms_standin --data-dir DIR --token T`, and `--help`."""

import argparse
from pathlib import Path

from devstack.lms_standin.app import create_app
from devstack.lms_standin.server import run_server


def main() -> None:
    """Run the stand-in LMS until it is told to stop."""
    parser = argparse.ArgumentParser(prog="python -m devstack.lms_standin", description="The stand-in LMS.")
    parser.add_argument("--port", type=int, default=8090)
    parser.add_argument("--data-dir", type=Path, required=True, help="where its SQLite file lies")
    parser.add_argument("--webhook-url", help="where completion and user events are sent")
    parser.add_argument("--webhook-secret", help="signs the events (whsec_...)")
    parser.add_argument("--token", required=True, help="what service calls must bear")
    given = parser.parse_args()
    app = create_app(given.data_dir, given.webhook_url, given.webhook_secret, given.token)
    run_server(app, given.port)


main()
