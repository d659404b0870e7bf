#!/usr/bin/env bash
# compare_output.sh EXPECTED PROGRAM [ARGUMENT...]: runs the program and compares its output with
# the file EXPECTED, in any order of the lines, since workers print concurrently. Without that file
# the program only has to succeed.
set -euo pipefail
export LC_ALL=C
expected=$1
shift

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"$@" >"$scratch/stdout" || {
  echo "$* ended with status $?; it printed:"
  cat "$scratch/stdout"
  exit 1
}
[[ -e $expected ]] || exit 0
diff -u --label "$expected (sorted)" --label "$* (sorted)" \
  <(sort "$expected") <(sort "$scratch/stdout")
