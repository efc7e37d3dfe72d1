# One image for gateway, worker, migrations and the namespace job; the command tells them apart.
FROM python:3.11-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /build
COPY requirements.lock pyproject.toml ./
COPY deploy/development_packages.py deploy/
# The lock also names what only development needs (servers, test tools): every package is checked by
# its hash, then those leave again.
RUN python -m venv /opt/commerce \
    && /opt/commerce/bin/pip install --require-hashes --no-deps --only-binary :all: -r requirements.lock \
    && /opt/commerce/bin/python deploy/development_packages.py pyproject.toml > development.txt \
    && /opt/commerce/bin/pip uninstall --yes -r development.txt

FROM python:3.11-slim-bookworm
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin commerce
ENV PATH=/opt/commerce/bin:$PATH PYTHONPATH=/app PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /app
COPY --from=build /opt/commerce /opt/commerce
# By name, so that the stand-ins and the embedded stack can't get into production.
COPY domain domain
COPY models models
COPY integrations integrations
COPY activities activities
COPY workflows workflows
COPY api api
COPY commands commands
COPY migrations migrations
COPY config.py worker.py cli.py ./
COPY deploy/temporal_namespace.py deploy/
RUN python -m compileall -q /app
USER 10001:10001
EXPOSE 8000
CMD ["uvicorn", "api.main:create_app", "--factory", "--host", "0.0.0.0", "--port", "8000", "--no-server-header", "--forwarded-allow-ips", "*", "--timeout-graceful-shutdown", "20", "--timeout-keep-alive", "75"]
