"""The files of the tree, and the findings that checks make about them."""

import functools
import pathlib
import re
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
LIBRARY = ("progress/", "comm/", "engine/", "operators/", "cli/")


class Finding:
    """One line of the report. `line` 0 is the file as a whole."""

    def __init__(self, path, line, rule, advice):
        self.path, self.line, self.rule, self.advice = path, line, rule, advice

    def __str__(self):
        return f"{self.path}:{max(self.line, 1)}: {self.rule}: {self.advice}"


def git_paths(*arguments):
    output = subprocess.run(["git", *arguments, "-z"], cwd=ROOT, check=True, capture_output=True)
    return [path for path in output.stdout.decode().split("\0") if path]


@functools.cache
def files():
    """The regular files that are tracked or about to be, as paths from the root."""
    paths = git_paths("ls-files", "--cached", "--others", "--exclude-standard")
    return sorted(path for path in set(paths)
                  if (ROOT / path).is_file() and not (ROOT / path).is_symlink())


def compiles_here(path):
    """False for the component parquet, and programs with it, where scripts/pyarrow did not fetch Arrow."""
    return ((ROOT / "build/pyarrow/arrow").exists()
            or not re.match("((tests/)?operators|bench)/parquet/|examples/shop/", path))


@functools.cache
def changed_files():
    """The files that differ from the upstream branch, or from the last commit without one."""
    for upstream in ("@{upstream}", "origin/HEAD", "origin/main", "HEAD"):
        base = subprocess.run(["git", "merge-base", "HEAD", upstream], cwd=ROOT,
                              capture_output=True, text=True)
        if base.returncode == 0:
            break
    changed = set(git_paths("diff", "--name-only", base.stdout.strip()))
    changed |= set(git_paths("ls-files", "--others", "--exclude-standard"))
    return sorted(changed & set(files()))


@functools.cache
def text(path):
    return (ROOT / path).read_text(encoding="utf-8", errors="replace")


def is_cpp(path):
    return path.endswith((".h", ".cc")) and not path.endswith("_generated.h")


def is_shell(path):
    return path.endswith(".sh") or text(path).startswith(("#!/usr/bin/env bash", "#!/bin/sh"))


def is_python(path):
    return path.endswith(".py") or text(path).startswith("#!/usr/bin/env python3")


def is_cmake(path):
    return path.endswith((".cmake", "CMakeLists.txt"))
