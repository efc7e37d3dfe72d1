"""The command line: `python -m devstack.payout_receiver --data-dir DIR --secret whsec_...`, and `--help`."""

import argparse
from pathlib import Path

from devstack.lms_standin.server import run_server
from devstack.payout_receiver.app import create_app
from devstack.payout_receiver.receiver import Receiver


def main() -> None:
    """Run the payout receiver until it is told to stop."""
    parser = argparse.ArgumentParser(
        prog="python -m devstack.payout_receiver", description="The payout receiver."
    )
    parser.add_argument("--port", type=int, default=8091)
    parser.add_argument("--data-dir", type=Path, required=True, help="where its SQLite file lies")
    parser.add_argument("--secret", required=True, help="verifies incoming events; several with commas")
    parser.add_argument("--webhook-url", help="where payout.settled is sent")
    parser.add_argument("--webhook-secret", help="signs payout.settled (whsec_...)")
    given = parser.parse_args()
    secrets = [part.strip() for part in given.secret.split(",") if part.strip()]
    run_server(
        create_app(Receiver(given.data_dir, secrets, given.webhook_url, given.webhook_secret)), given.port
    )


main()
