#!/usr/bin/env bash
# compile_fail.sh SOURCE COMPILER [FLAG...]: succeeds if the compiler rejects SOURCE and its first
# error contains the sentence of the first line of SOURCE, `// expect: <sentence>`. If the second
# line is `// names: <text>`, the text has to occur in the lines about that error.
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
first=$(awk '/error:/ && ++errors == 2 {exit} {print}' <<<"$output")
if ! grep -F 'error:' <<<"$first" | grep -qF -- "$expected"; then
  printf '%s is refused, but the first error does not say: %s\n\n%s\n' "$source" "$expected" "$output"
  exit 1
fi
names=$(sed -n '2s|^// names: *||p' "$source")
if ! grep -qF -- "$names" <<<"$first"; then
  printf '%s is refused, but the first error does not name: %s\n\n%s\n' "$source" "$names" "$output"
  exit 1
fi
