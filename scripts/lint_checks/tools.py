"""Checks that tools of others make: compilers, formatters, spelling. All are Debian packages."""

import concurrent.futures
import os
import py_compile
import re
import subprocess
import tempfile

from lint_checks import includes
from lint_checks.repository import (LIBRARY, ROOT, Finding, changed_files, compiles_here, files, is_cpp, is_python,
                                    is_shell, text)

# file:line:column: severity: message, as compilers and their friends write it.
MESSAGE = re.compile(r"^(?P<path>[^\s:]+):(?P<line>\d+):(?:\d+:)? (?P<severity>\w+): (?P<text>.*)$",
                     re.MULTILINE)
# Corpora, recorded data and pictures are not prose.
NOT_PROSE = re.compile(r"^tests/fuzz/corpus/|^examples/data/|\.lock$|\.svg$|^LICENSE$")


def run(*command):
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, errors="replace")


def in_parallel(function, items):
    """The findings of FUNCTION for each item, in the order of the items."""
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        return [finding for findings in pool.map(function, items) for finding in findings]


def compile_flags():
    return text("compile_flags.txt").split()


def findings_in(output, rule, severities):
    return [Finding(os.path.relpath(ROOT / message["path"], ROOT), int(message["line"]), rule,
                    message["text"])
            for message in MESSAGE.finditer(output) if message["severity"] in severities]


def check_format():
    paths = [path for path in files() if is_cpp(path)]
    output = run("clang-format-19", "--dry-run", *paths).stderr
    lines = {}
    for finding in findings_in(output, "format", ("warning", "error")):
        lines.setdefault(finding.path, finding.line)
    return [Finding(path, line, "format", f"run clang-format-19 -i {path}")
            for path, line in lines.items()]


def headers_to_compile(everything):
    """A file .cc includes its header first: the preset release-clang compiles these alone."""
    known = set(files())
    return [path for path in (files() if everything else changed_files())
            if is_cpp(path) and path.endswith(".h")
            and re.sub(r"\.h$", ".cc", path) not in known and compiles_here(path)]


def check_headers(everything):
    def compile_alone(path):
        result = run("g++", *compile_flags(), "-w", "-fsyntax-only", path)
        if result.returncode == 0:
            return []
        errors = findings_in(result.stderr, "self-contained", ("error",))
        first = errors[0] if errors else Finding(path, 0, "self-contained", "does not compile")
        return [Finding(path, first.line if first.path == path else 0, "self-contained",
                        f"include all that it uses; compiled alone: {first.advice}")]

    return in_parallel(compile_alone, headers_to_compile(everything))


# Most of the time of clang-tidy goes into headers, which the files of a folder share.
TIDY_TOGETHER = 12


def check_tidy(everything):
    def tidy(paths):
        with tempfile.TemporaryDirectory() as folder:
            source = os.path.join(folder, "together.cc")
            with open(source, "w", encoding="utf-8") as out:
                out.writelines(f'#include "{path}"\n' for path in paths)
            output = run("clang-tidy-19", "--quiet", "--config-file=.clang-tidy", source, "--",
                         *compile_flags()).stdout
        findings = findings_in(output, "tidy", ("warning", "error"))
        if len(paths) > 1 and any("clang-diagnostic-error" in finding.advice for finding in findings):
            half = len(paths) // 2  # two of them define the same name
            return tidy(paths[:half]) + tidy(paths[half:])
        return [finding for finding in findings if not finding.path.startswith("..")]

    folders = {}
    for path in (files() if everything else changed_files()):
        if path.endswith(".cc") and path.startswith(LIBRARY) and compiles_here(path):
            folders.setdefault(os.path.dirname(path), []).append(path)
    together = [paths[start:start + TIDY_TOGETHER] for paths in folders.values()
                for start in range(0, len(paths), TIDY_TOGETHER)]
    # A header's finding comes once for each file that includes it.
    found = {str(finding): finding for finding in in_parallel(tidy, together)}
    return sorted(found.values(), key=str)


def check_scripts():
    findings = []
    for path in (path for path in files() if is_shell(path)):
        result = run("bash", "-n", path)
        if result.returncode:
            findings.append(Finding(path, 0, "shell", " ".join(result.stderr.split())))
            continue
        output = run("shellcheck", "--format=gcc", "--external-sources", path).stdout
        findings += findings_in(output, "shell", ("note", "warning", "error"))
    with tempfile.TemporaryDirectory() as folder:
        for path in (path for path in files() if is_python(path)):
            try:
                py_compile.compile(str(ROOT / path), cfile=f"{folder}/compiled", doraise=True)
            except py_compile.PyCompileError as error:
                findings.append(Finding(path, 0, "python", " ".join(str(error).split())))
    return findings


def check_spelling():
    paths = [path for path in files() if not NOT_PROSE.search(path)]
    output = run("codespell", "--ignore-words", "scripts/lint_checks/words.txt", *paths).stdout
    findings = []
    for line in output.splitlines():
        path, number, words = line.split(":", 2)
        findings.append(Finding(path, int(number), "spelling", f"{words.strip()} (a word that is "
                                "right goes into scripts/lint_checks/words.txt)"))
    return findings


def check_wire():
    """The generated header is compared with the output of the flatc that the header names."""
    generated = "comm/wire/wire_generated.h"
    wanted = ".".join(re.findall(r"FLATBUFFERS_VERSION_\w+ == (\d+)", text(generated)))
    version = run("flatc", "--version").stdout.split()[-1]
    if version != wanted:
        return [Finding(generated, 0, "wire", f"is made by flatc {wanted}, here is {version}")]
    with tempfile.TemporaryDirectory() as folder:
        script = re.search(r"^flatc (.*) -o comm/wire (.*)$", text("scripts/generate-wire"), re.MULTILINE)
        run("flatc", *script[1].split(), "-o", folder, *script[2].split())
        made = f"{folder}/wire_generated.h"
        if os.path.exists(made) and open(made, encoding="utf-8").read() == text(generated):
            return []
    return [Finding(generated, 0, "wire", "differs from wire.fbs: run scripts/generate-wire")]
