"""The gateway: builds the app and its clients (composition root). `uvicorn api.main:create_app --factory`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from api import problems, protection
from api.dependencies import Secrets, Services
from api.openapi import describe, product_routes
from api.routers import ALL_ROUTERS
from api.tokens import TokenIssuer, parse_signing_keys
from config import Settings
from integrations.dispatch import Dispatcher
from integrations.http import make_http_client
from integrations.lms import LmsWatch, make_lms
from integrations.lms.tokens import LmsTokens
from integrations.logs import configure as configure_logs
from integrations.payments import StripePayments
from integrations.sealing import Sealer
from integrations.stripe_tax import StripeTax
from integrations.temporal import connect
from integrations.vat_registry import make_vat_registry
from models.database import Database

# No caller waits longer; what needs more is a workflow's.
_STATEMENT_SECONDS = 60


def create_app(settings: Settings | None = None) -> FastAPI:
    """The app; its clients are opened when it starts and closed when it stops."""
    settings = settings or Settings()
    configure_logs(settings.log_lines)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        database_url = settings.database_url.get_secret_value()
        database = Database(database_url, pool_size=30, statement_timeout_seconds=_STATEMENT_SECONDS)
        commands = Database(database_url, pool_size=10, statement_timeout_seconds=_STATEMENT_SECONDS)
        http = make_http_client()
        sealer = Sealer(settings.secrets_key.get_secret_value())
        payments = StripePayments(settings.stripe_secret_key.get_secret_value(), settings.stripe_api_base)
        tax_calculator = (
            StripeTax(settings.stripe_secret_key.get_secret_value(), settings.stripe_api_base)
            if settings.tax_provider == "stripe"
            else None
        )
        temporal = await connect(
            settings.temporal_address,
            settings.temporal_namespace,
            sealer=sealer if settings.temporal_encrypt_payloads else None,
            tls_cert=settings.temporal_tls_cert,
            tls_key=(
                None if settings.temporal_tls_key is None else settings.temporal_tls_key.get_secret_value()
            ),
            api_key=(
                None if settings.temporal_api_key is None else settings.temporal_api_key.get_secret_value()
            ),
            lazy=True,  # the gateway starts, and says so on /readyz, while Temporal is away
        )
        lms = make_lms(settings.lms_access, http)
        lms_watch = LmsWatch(lms)
        app.state.services = Services(
            database=database,
            commands=commands,
            temporal=temporal,
            task_queue=settings.temporal_task_queue,
            dispatcher=Dispatcher(temporal, settings.temporal_task_queue),
            payments=payments,
            publishable_key=settings.stripe_publishable_key,
            lms=lms,
            lms_watch=lms_watch,
            tokens=TokenIssuer(
                parse_signing_keys(settings.jwt_signing_keys.get_secret_value()),
                issuer=settings.public_url,
                audience="commerce",
                access_ttl_seconds=round(settings.access_token_minutes * 60),
            ),
            lms_tokens=(None if settings.lms_tokens is None else LmsTokens(http, settings.lms_tokens)),
            sealer=sealer,
            webhook_secrets=Secrets(
                settings.stripe_webhook_secrets,
                settings.lms_webhook_secrets,
                settings.payout_webhook_secrets,
            ),
            public_url=settings.public_url,
            seller_country=settings.seller_country,
            vat_registry=make_vat_registry(
                settings.vat_check, http, settings.vies_api_base, settings.seller_vat_id
            ),
            tax_calculator=tax_calculator,
            refund_max_progress_percent=settings.refund_max_progress_percent,
            resolution_days=settings.resolution_days,
            rate_limit_factor=settings.rate_limit_factor,
            allow_private_addresses=settings.webhook_private_addresses,
            temporal_namespace=settings.temporal_namespace,
            temporal_ui_origins=settings.ui_origins,
            is_development=settings.commerce_env == "development",
        )
        try:
            async with lms_watch:
                yield
        finally:
            app.state.services.typesetting.shutdown(wait=False, cancel_futures=True)
            await payments.aclose()
            if tax_calculator is not None:
                await tax_calculator.aclose()
            await http.aclose()
            await commands.aclose()
            await database.aclose()

    # Pages of our own document the API: those of the framework load scripts from elsewhere.
    app = FastAPI(title="Commerce", version="0.1.0", lifespan=lifespan, docs_url=None, redoc_url=None)
    for router in ALL_ROUTERS:
        app.include_router(router)
    problems.install(app, settings.public_url, product_routes())
    protection.install(
        app,
        front_ends=settings.cors_origin_list,
        temporal_uis=settings.ui_origins,
        https_only=settings.public_url.startswith("https://"),
    )
    describe(app)
    return app
