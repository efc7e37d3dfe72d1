#!/bin/sh
# Roles and databases, at the first start of an empty database server. Run by the PostgreSQL image as the
# superuser; also safe to run again by hand. commerce_owner owns the schema and runs the migrations,
# commerce_app is what gateway and worker use, temporal owns Temporal's two databases.
set -eu

: "${COMMERCE_OWNER_PASSWORD:?}" "${COMMERCE_APP_PASSWORD:?}" "${TEMPORAL_DB_PASSWORD:?}"

psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --username "${POSTGRES_USER:-postgres}" --dbname postgres \
    --set owner_password="$COMMERCE_OWNER_PASSWORD" \
    --set app_password="$COMMERCE_APP_PASSWORD" \
    --set temporal_password="$TEMPORAL_DB_PASSWORD" <<'SQL'
SELECT format('CREATE ROLE %I LOGIN PASSWORD %L', role, password)
FROM (VALUES ('commerce_owner', :'owner_password'), ('commerce_app', :'app_password'),
             ('temporal', :'temporal_password')) AS wanted (role, password)
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role)
\gexec

SELECT format('CREATE DATABASE %I OWNER %I TEMPLATE template0 ENCODING ''UTF8''', name, owner)
FROM (VALUES ('commerce', 'commerce_owner'), ('temporal', 'temporal'),
             ('temporal_visibility', 'temporal')) AS wanted (name, owner)
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = name)
\gexec

REVOKE ALL ON DATABASE commerce, temporal, temporal_visibility FROM PUBLIC;
GRANT CONNECT ON DATABASE commerce TO commerce_app;
SQL
