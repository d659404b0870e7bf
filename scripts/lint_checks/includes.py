"""The order of the folders: which folder may include which, and how an include is written."""

import os
import re

from lint_checks.repository import ROOT, Finding, files, is_cpp, text

# From the bottom to the top. A folder may include itself and the folders of the floors below it; the
# folders of one floor do not know each other. progress/ and comm/ do not know each other either.
FLOORS = (
    ("progress", "comm/memory", "comm/system", "comm/codec"),
    ("comm/local", "comm/wire"),
    ("comm/mesh",),
    ("engine/batch", "engine/runtime"),
    ("engine/network", "engine/store"),
    ("engine/graph", "engine/state"),
    ("engine/step",),
    ("engine/recovery",),
    ("engine",),
    ("operators", "engine/launch"),
    ("operators/io", "operators/windows"),
    ("operators/http", "operators/kafka", "operators/parquet", "operators/postgres"),
    ("operators/kafka_avro",),
    ("cli",),
)
FLOOR_OF = {folder: floor for floor, folders in enumerate(FLOORS) for folder in folders}
# Pairs that the floors alone would allow.
STRANGERS = (("comm", "progress"), ("cli", "operators"))
# The programs on top include the library and themselves; the tests include everything.
PROGRAMS = ("bench", "examples", "tests")
# Includes of other projects.
FOREIGN = re.compile(r"(absl|flatbuffers|doctest|benchmark)/")
# Programs that are written as a user's are, with "headway/headway.h".
AS_USERS = re.compile(r"examples/|tests/cli/libraries/")
# Programs outside of the tree: their headers are those of an installation.
OUTSIDE = re.compile(r"tests/install/")
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*"([^"]+)"', re.MULTILINE)
ANY_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*["<]([^">]+)[">]', re.MULTILINE)


def top(folder):
    return folder.split("/")[0]


def may_include(folder, other):
    """Whether a file of `folder` may include a header of `other`, both from the root."""
    if folder == other or other == "":
        return True
    if top(folder) in PROGRAMS:
        return top(folder) == "tests" or top(other) not in PROGRAMS or top(other) == top(folder)
    if any(top(folder) == a and top(other) == b for a, b in STRANGERS):
        return False
    return FLOOR_OF.get(other, len(FLOORS)) < FLOOR_OF[folder]


def includes(path):
    """The quoted includes of a file, as (line, name)."""
    content = text(path)
    return [(content.count("\n", 0, match.start()) + 1, match[1])
            for match in INCLUDE.finditer(content)]


def check():
    findings = []
    sources = [path for path in files() if is_cpp(path) and not OUTSIDE.match(path)]
    graph = {}
    for path in sources:
        folder = os.path.dirname(path)
        if folder and top(folder) not in PROGRAMS and folder not in FLOOR_OF:
            findings.append(Finding(path, 0, "floors", f"the folder {folder}/ is new: give it its "
                                    "place in FLOORS of scripts/lint_checks/includes.py"))
            continue
        graph[path] = []
        for line, name in includes(path):
            if FOREIGN.match(name):
                continue
            if name.startswith("headway/"):
                if not AS_USERS.match(path):
                    findings.append(Finding(path, line, "include-path", "inside the project write "
                                            f'"{name.removeprefix("headway/")}"'))
                name = name.removeprefix("headway/")
            elif AS_USERS.match(path) and not name.startswith("examples/"):
                findings.append(Finding(path, line, "include-path", "a user's program writes "
                                        f'"headway/{name}"'))
            if not (ROOT / name).is_file():
                findings.append(Finding(path, line, "include-path",
                                        f"there is no {name}; name the header from the root"))
                continue
            graph[path].append(name)
            if folder and not may_include(folder, os.path.dirname(name)):
                findings.append(Finding(path, line, "floors", f"{folder}/ may not include "
                                        f"{os.path.dirname(name)}/: move the code that needs it up, "
                                        "or the code that is needed down"))
            if name == "headway.h" and folder and top(folder) not in PROGRAMS:
                findings.append(Finding(path, line, "floors", "headway.h is for programs: include "
                                        "the headers that are used"))
        own = re.sub(r"\.cc$", ".h", path)
        if path.endswith(".cc") and own in graph_headers(sources):
            first = ANY_INCLUDE.search(text(path))
            if not first or first[1] not in (own, f"headway/{own}"):
                findings.append(Finding(path, 0, "own-header", f'include "{own}" first, so that '
                                        "the build compiles it alone"))
    findings += circles(graph)
    return findings


def graph_headers(sources):
    return {path for path in sources if path.endswith(".h")}


def circles(graph):
    """Headers that include each other."""
    findings, state = [], {}

    def visit(path, trail):
        state[path] = "open"
        for name in graph.get(path, ()):
            if state.get(name) == "open":
                circle = trail[trail.index(name):] + [name]
                findings.append(Finding(path, 0, "circle", "break " + " > ".join(circle)))
            elif name not in state:
                visit(name, trail + [name])
        state[path] = "done"

    for path in sorted(graph):
        if path not in state:
            visit(path, [path])
    return findings
