#!/bin/sh
# Temporal's tables, by Temporal's own tool. Safe to run at every start: a schema that is newer than 0.0 is
# only brought up to date. The password comes in SQL_PASSWORD.
set -eu

: "${SQL_PASSWORD:?}" "${POSTGRES_SEEDS:?}" "${POSTGRES_USER:?}"

schema() {
    temporal-sql-tool --plugin postgres12 --ep "$POSTGRES_SEEDS" -p "${DB_PORT:-5432}" \
        -u "$POSTGRES_USER" --db "$1" "$2" "$3" "$4"
}

for pair in temporal:temporal temporal_visibility:visibility; do
    database=${pair%%:*}
    directory=/etc/temporal/schema/postgresql/v12/${pair##*:}/versioned
    schema "$database" setup-schema -v 0.0
    schema "$database" update-schema -d "$directory"
done
