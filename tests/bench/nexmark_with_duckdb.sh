#!/usr/bin/env bash
# nexmark_with_duckdb.sh PROGRAM CHECK FOLDER: runs bench/nexmark/check_with_duckdb (CHECK) with
# headway-bench (PROGRAM), for few events. DuckDB comes from PyPI, into a virtual environment in
# FOLDER that later runs use again. The exit status is 77 if it cannot be installed.
set -euo pipefail
program=$1 check=$2 folder=$3

if ! "$folder/bin/python" -c 'import duckdb' 2>/dev/null; then
  {
    python3 -m venv --clear "$folder" &&
      timeout 120 "$folder/bin/pip" install --quiet --retries 1 --disable-pip-version-check duckdb
  } || {
    echo "skipped: DuckDB cannot be installed from PyPI (see above)"
    exit 77
  }
fi
exec "$folder/bin/python" "$check" "$program" --events 20000
