#!/bin/sh
# Makes the database $PGDATABASE anew, as a copy of the template that cluster.sh has made from seed.sql.
# A copy takes as long as the template is large; loading would take much longer.
set -eu

# The name may come from the environment of whoever copied this: what is dropped below must never be
# a database that somebody wants to keep.
case "$PGDATABASE" in
*_trial) ;;
*)
    echo "refused: the database $PGDATABASE would be dropped, and its name does not end with _trial" >&2
    exit 1
    ;;
esac

# FORCE ends connections that a killed trial left.
psql --no-psqlrc --quiet -v ON_ERROR_STOP=1 -d postgres \
    -c "DROP DATABASE IF EXISTS $PGDATABASE WITH (FORCE)" \
    -c "CREATE DATABASE $PGDATABASE TEMPLATE notes_template"
