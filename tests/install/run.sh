#!/usr/bin/env bash
# run.sh HOW CMAKE SOURCE_FOLDER BUILD_FOLDER COMPILER: uses Headway outside of its tree.
#   cmake, pkg-config: installs the build to a scratch prefix, moves that away, and builds and runs
#     hello.cc with it, found in the given way
#   component: adds a component to such an installation, and finds it in both ways
#   subdirectory: compiles hello.cc in a project that has the source tree as a part of it
set -euo pipefail
how=$1 cmake=$2 source=$3 build=$4 compiler=$5

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cp -r "$(dirname "$0")/." "$scratch/consumer"
cd "$scratch/consumer"

install_headway() {
  "$cmake" --install "$build" --prefix "$scratch/staged" >"$scratch/install.log"
  mv "$scratch/staged" "$scratch/prefix"
  [[ -f $scratch/prefix/share/doc/headway/LICENSE ]]
  PKG_CONFIG_PATH=$(dirname "$(find "$scratch/prefix" -name headway.pc)")
  export PKG_CONFIG_PATH
}

configure() { # FOLDER ARGUMENT...
  "$cmake" -G Ninja -S "$1" -B "$1/build" -DCMAKE_CXX_COMPILER="$compiler" "${@:2}"
}

# Compiles a program with the flags of pkg-config's package.
compile() { # PROGRAM PACKAGE
  # The flags are meant to be split.
  # shellcheck disable=SC2046
  "$compiler" -std=c++20 -O1 "$1.cc" -o "$1" $(pkg-config --cflags --libs "$2")
}

# With the option a static library does not wait for the libraries that programs link beside it.
configure_embedding() {
  configure embedding -DHEADWAY_SOURCE="$source" -DHELLO="$PWD/hello.cc" \
    -DCMAKE_OPTIMIZE_DEPENDENCIES=ON
}

# find_package must fail for the component, with the sentence.
refuse_component() { # COMPONENT SENTENCE
  if configure . -DCMAKE_PREFIX_PATH="$scratch/prefix" -DCOMPONENTS="$1" >refusal.log 2>&1; then
    echo "the component $1 was found" >&2
    return 1
  fi
  if ! tr -s ' \n' ' ' <refusal.log | grep -qF "$2"; then
    cat refusal.log >&2
    return 1
  fi
}

case $how in
  cmake)
    install_headway
    configure . -DCMAKE_PREFIX_PATH="$scratch/prefix"
    "$cmake" --build build
    diff -u <(printf '1\n2\n3\n') <(build/hello)
    ;;
  pkg-config)
    install_headway
    compile hello headway
    diff -u <(printf '1\n2\n3\n') <(./hello)
    ;;
  component)
    install_headway
    # A component that the package knows, and that is not installed.
    sed -i 's/set(headway_known_components ".*")/set(headway_known_components "greeting")/' \
      "$(find "$scratch/prefix" -name headway-config.cmake)"
    refuse_component greeting 'The component "greeting" is not part of this installation of Headway'
    refuse_component greetings 'has no component "greetings": check its name'

    configure_embedding
    "$cmake" --build embedding/build --target headway_greeting
    "$cmake" --install embedding/build --component headway_greeting --prefix "$scratch/prefix"
    configure . -DCMAKE_PREFIX_PATH="$scratch/prefix" -DCOMPONENTS=greeting -DOPTIONAL_COMPONENTS=absent
    "$cmake" --build build --target greet
    diff -u <(echo 'Hello from Headway') <(build/greet)
    compile greet headway-greeting
    diff -u <(echo 'Hello from Headway') <(./greet)
    ;;
  subdirectory)
    configure_embedding
    "$cmake" --build embedding/build --target hello
    ;;
esac
