"""The command line: `python -m devstack.stripe_standin --port 12111 --data-dir DIR`, and `--help`."""

import argparse
from pathlib import Path

from devstack.lms_standin.server import run_server
from devstack.stripe_standin.app import Options, create_app


def main() -> None:
    """Run the stand-in Stripe until it is told to stop."""
    parser = argparse.ArgumentParser(
        prog="python -m devstack.stripe_standin", description="A stand-in for Stripe, on loopback only."
    )
    parser.add_argument("--port", type=int, default=12111)
    parser.add_argument("--data-dir", type=Path, required=True, help="where its SQLite file lies")
    parser.add_argument("--webhook-url", help="an endpoint that gets every event")
    parser.add_argument("--webhook-secret", help="signs what that endpoint gets (whsec_...)")
    parser.add_argument("--account-currency", default="USD", help="the account's default currency")
    given = parser.parse_args()
    if bool(given.webhook_url) != bool(given.webhook_secret):
        parser.error("--webhook-url and --webhook-secret belong together")
    options = Options(given.data_dir, given.webhook_url, given.webhook_secret, given.account_currency)
    run_server(create_app(options), given.port)


if __name__ == "__main__":
    main()
