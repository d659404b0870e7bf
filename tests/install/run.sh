#!/usr/bin/env bash
# run.sh cmake|pkg-config CMAKE BUILD_FOLDER COMPILER: installs the build to a scratch prefix, moves
# that away, and builds and runs hello.cc outside the tree, found in the given way.
set -euo pipefail
how=$1 cmake=$2 build=$3 compiler=$4

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"$cmake" --install "$build" --prefix "$scratch/staged" >"$scratch/install.log"
mv "$scratch/staged" "$scratch/prefix"
cp -r "$(dirname "$0")" "$scratch/consumer"
cd "$scratch/consumer"

case $how in
  cmake)
    "$cmake" -G Ninja -S . -B build -DCMAKE_PREFIX_PATH="$scratch/prefix" \
      -DCMAKE_CXX_COMPILER="$compiler"
    "$cmake" --build build
    hello=build/hello
    ;;
  pkg-config)
    PKG_CONFIG_PATH=$(dirname "$(find "$scratch/prefix" -name headway.pc)")
    export PKG_CONFIG_PATH
    # The flags are meant to be split.
    # shellcheck disable=SC2046
    "$compiler" -std=c++20 -O1 hello.cc -o hello $(pkg-config --cflags --libs headway)
    hello=./hello
    ;;
esac

diff -u <(printf '1\n2\n3\n') <("$hello")
