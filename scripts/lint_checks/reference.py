"""The API reference: Doxygen must understand the comments of the public headers."""

import os
import pathlib
import re
import tempfile

from lint_checks import tools
from lint_checks.repository import ROOT, Finding, files, text

INCLUDE = re.compile(r'^#include "([^"]+)"', re.MULTILINE)
COMMENT = re.compile(r"^(\s*)//( ?)(.*)$")
TRAILING = re.compile(r"^(\s*)(\S.*[;,{])(\s+)// (.*)$")
WARNING = re.compile(r"^(?P<path>[^\s:]+):(?P<line>\d+): (?:warning|error): (?P<text>.*)$",
                     re.MULTILINE)
# Characters that would begin a command, an entity or a link.
SPECIAL = re.compile(r"([\\@<>#&%])")

SETTINGS = {
    "PROJECT_NAME": "Headway",
    "EXTRACT_ALL": "YES",
    "EXTRACT_STATIC": "YES",
    "EXCLUDE_SYMBOLS": "*internal*",
    "JAVADOC_AUTOBRIEF": "YES",
    "HIDE_IN_BODY_DOCS": "YES",
    "AUTOLINK_SUPPORT": "NO",
    "WARN_IF_UNDOCUMENTED": "NO",
    "SORT_MEMBER_DOCS": "NO",
    "FULL_PATH_NAMES": "YES",
    "GENERATE_LATEX": "NO",
    "HTML_OUTPUT": ".",
    "VERBATIM_HEADERS": "NO",
    "HAVE_DOT": "NO",
    "CLASS_GRAPH": "NO",
    "QUIET": "YES",
    "ENABLE_PREPROCESSING": "YES",
    "MACRO_EXPANSION": "YES",
    "EXPAND_ONLY_PREDEF": "YES",
}


MAIN_PAGE = """# Headway

The names of the library, by namespace, class and header. `headway.h` includes all that an
application needs; a step of the library has a header of its own in `operators/`. The pages in
`docs/` explain how to use them: begin with `docs/guide.md`.
"""


def public_headers():
    """The headers that headway.h leads to, in the order of their names."""
    known = set(files())
    found, waiting = set(), ["headway.h"]
    while waiting:
        path = waiting.pop()
        if path in found or path not in known:
            continue
        found.add(path)
        waiting += INCLUDE.findall(text(path))
    return sorted(found)


def documented(source):
    """The source with its comments in the form that Doxygen reads, line by line."""
    lines = without_internal(source.split("\n"))
    result = []
    at = 0
    is_head = True  # before the first namespace
    while at < len(lines):
        is_head = is_head and not lines[at].startswith("namespace ")
        if not COMMENT.match(lines[at]):
            result.append(trailing(lines[at]))
            at += 1
            continue
        end = at
        while end < len(lines) and COMMENT.match(lines[end]):
            end += 1
        is_alone = end == len(lines) or not lines[end].strip()
        block = lines[at:end]
        if is_head and result and not result[-1]:
            result[-1] = r"/// \file"  # lines keep their numbers
            result += block_of(block)
        elif is_alone or " NOLINT" in block[-1]:
            result += block
        else:
            result += block_of(block)
        at = end
    return "\n".join(result)


def without_internal(lines):
    """The lines, with empty ones for those of namespace internal."""
    result = []
    end = None
    for line in lines:
        if end is None and re.match(r"namespace (headway::)?internal \{", line):
            end = "}  // " + line.split(" {")[0]
        result.append(line if end is None else "")
        if line == end:
            end = None
    return result


def trailing(line):
    match = TRAILING.match(line)
    if match is None or "NOLINT" in match[4] or '"' in match[4]:
        return line
    return f"{match[1]}{match[2]}{match[3]}///< {escaped(match[4])}"


def escaped(prose):
    return SPECIAL.sub(r"\\\1", prose)


def block_of(lines):
    """A comment in Doxygen's form. Lines that are indented behind an empty one are code."""
    result = []
    in_code = False
    for number, line in enumerate(lines):
        indent, _, prose = COMMENT.match(line).groups()
        is_indented = prose.startswith("  ")
        if is_indented and not in_code and (number == 0 or not result[-1].strip("/ ")):
            in_code = True
            result[-1:] = [f"{indent}/// \\code{{.cpp}}"] if result else []
        elif in_code and prose and not is_indented:
            in_code = False
            result[-1] = f"{indent}/// \\endcode"
        prose = prose if in_code else escaped(prose)
        result.append(f"{indent}/// {prose}")
    if in_code:
        result[-1] += " \\endcode"
    return result


def generate(folder):
    """Writes the reference to FOLDER, and returns Doxygen's warnings as findings."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as inputs:
        for path in public_headers():
            to = pathlib.Path(inputs) / path
            to.parent.mkdir(parents=True, exist_ok=True)
            to.write_text(documented(text(path)), encoding="utf-8")
        (pathlib.Path(inputs) / "main.md").write_text(MAIN_PAGE)
        settings = dict(SETTINGS, USE_MDFILE_AS_MAINPAGE="main.md", INPUT=inputs, RECURSIVE="YES", OUTPUT_DIRECTORY=folder,
                        STRIP_FROM_PATH=inputs)
        config = pathlib.Path(inputs) / "Doxyfile"
        config.write_text("".join(f"{name} = {value}\n" for name, value in settings.items()))
        output = tools.run("doxygen", str(config)).stderr
        return [Finding(os.path.relpath(match["path"], inputs), int(match["line"]), "reference",
                        match["text"])
                for match in WARNING.finditer(output)]


def check():
    with tempfile.TemporaryDirectory() as folder:
        return generate(pathlib.Path(folder))
