#!/bin/sh
# Makes the database $PGDATABASE anew, as a copy of a template that is made from seed.sql when it is
# first needed. The template carries the seed's check sum in its name, so that another seed makes
# another template. A copy takes as long as the template is large; loading would take much longer.
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

template="notes_template_$(cksum <seed.sql | cut -d ' ' -f 1)"

ask() {
    psql --no-psqlrc --quiet --tuples-only --no-align -v ON_ERROR_STOP=1 "$@"
}

if [ "$(ask -d postgres -c "SELECT count(*) FROM pg_database WHERE datname = '$template'")" = 0 ]; then
    # Under another name until it is whole: an interrupted one is made again.
    ask -d postgres -c "DROP DATABASE IF EXISTS ${template}_new" -c "CREATE DATABASE ${template}_new"
    ask -d "${template}_new" -f seed.sql
    ask -d postgres -c "ALTER DATABASE ${template}_new RENAME TO $template"
fi
# FORCE ends connections that a killed trial left.
ask -d postgres -c "DROP DATABASE IF EXISTS $PGDATABASE WITH (FORCE)" \
    -c "CREATE DATABASE $PGDATABASE TEMPLATE $template"
