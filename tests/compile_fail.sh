#!/usr/bin/env bash
# compile_fail.sh SOURCE COMPILER [FLAG...]: succeeds if the compiler rejects SOURCE and one of its
# errors contains the sentence of the first line of SOURCE, `// expect: <sentence>`.
set -euo pipefail
source=$1
shift

expected=$(sed -n '1s|^// expect: *||p' "$source")
if [[ -z $expected ]]; then
  echo "$source: the first line must be '// expect: <sentence>'"
  exit 1
fi
if output=$("$@" -c -o /dev/null "$source" 2>&1); then
  echo "$source compiles; it should be refused with: $expected"
  exit 1
fi
if ! grep -F 'error:' <<<"$output" | grep -qF -- "$expected"; then
  printf '%s is refused, but no error says: %s\n\n%s\n' "$source" "$expected" "$output"
  exit 1
fi
