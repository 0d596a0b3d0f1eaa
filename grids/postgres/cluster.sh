#!/bin/sh
# PostgreSQL for the trials alone.
#
#     cluster.sh build CACHE SEED           makes a cluster with the data of the file SEED, once
#     cluster.sh run CACHE RUN HOST PORT    runs a copy of it, in the foreground
#
# Only who can read RUN/pgpass gets in: that is PostgreSQL's user, and root.
set -eu

# Debian keeps the server's programs off the PATH, each version in a folder of its own.
debian=/usr/lib/postgresql
umask 077

case "$1" in
build)
    cache=$2 seed=$3
    bin=$(ls -d "$debian"/*/bin 2>/dev/null | sort -V | tail -n 1)
    PATH="${bin:+$bin:}$PATH"
    # The path of a socket is short.
    sockets=$(mktemp -d)
    trap 'rm -rf "$sockets"' EXIT
    password=$(od -A n -t x1 -N 16 /dev/urandom | tr -d ' \n')
    echo "$password" >"$sockets/password"
    initdb --no-sync --auth=scram-sha-256 --pwfile="$sockets/password" --username=postgres \
        --encoding=UTF8 --locale=C -D "$cache/data" >/dev/null
    echo "*:*:*:postgres:$password" >"$cache/pgpass"
    pg_ctl -D "$cache/data" -w -s -l "$cache/build.log" \
        -o "-c listen_addresses= -c unix_socket_directories=$sockets" start
    export PGPASSFILE="$cache/pgpass" PGHOST="$sockets" PGUSER=postgres
    psql --no-psqlrc -q -v ON_ERROR_STOP=1 -d postgres -c "CREATE DATABASE notes_template"
    psql --no-psqlrc -q -v ON_ERROR_STOP=1 -d notes_template -f "$seed"
    pg_ctl -D "$cache/data" -w -s -m fast stop
    ;;
run)
    cache=$2 run=$3 host=$4 port=$5
    # Data are only for the version that made them; another one may have come since.
    version=$(cat "$cache/data/PG_VERSION")
    PATH="$debian/$version/bin:$PATH"
    found=$(postgres --version | sed 's/[^0-9]*\([0-9]*\).*/\1/')
    if [ "$found" != "$version" ]; then
        echo "the data are of PostgreSQL $version, and what is installed is ${found:-none}:" \
            "remove $cache, and they are made anew" >&2
        exit 1
    fi
    cp -R "$cache/data" "$run/data"
    cp "$cache/pgpass" "$run/pgpass"
    # Memory that is shared through files of /dev/shm would stay there after a kill.
    exec postgres -D "$run/data" -h "$host" -p "$port" \
        -c unix_socket_directories= -c dynamic_shared_memory_type=mmap
    ;;
esac
