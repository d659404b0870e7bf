"""Files in no build, and links and paths that lead nowhere."""

import json
import os
import re
import subprocess
import tempfile

from lint_checks import includes, prose
from lint_checks.repository import ROOT, Finding, compiles_here, files, is_cmake, is_cpp, is_python, is_shell, text

# Sources that tests hand to a compiler themselves.
COMPILED_BY_TESTS = re.compile(rf"compile_fail/|{includes.OUTSIDE.pattern}")
# Pages that code hosts find by their names.
KNOWN_PAGES = re.compile(r"(?:^|/)README\.md$|^(?:CHANGELOG|CONTRIBUTING|SECURITY)\.md$")
SCRIPTS_FOUND_BY_NAME = (".ci/run",)
LINK = re.compile(r"\]\(([^)#\s]*)(#[^)\s]*)?\)")
PATH = re.compile(r"`((?:[\w.-]+/)+[\w.-]+\.(?:h|cc|md|py|sh|fbs|txt|cmake))`")


def check():
    return (sources_in_no_target() + headers_nobody_includes() + pages_nobody_links() + dead_links()
            + dead_paths() + scripts_nobody_mentions())


def sources_in_no_target():
    with tempfile.TemporaryDirectory() as folder:
        configured = subprocess.run(
            ["cmake", "-S", ROOT, "-B", folder, "-G", "Ninja", "-DCMAKE_EXPORT_COMPILE_COMMANDS=ON"],
            capture_output=True, text=True)
        if configured.returncode:
            return [Finding("CMakeLists.txt", 0, "no-target", "the project cannot be configured: "
                            + " ".join(configured.stderr.split()))]
        with open(f"{folder}/compile_commands.json", encoding="utf-8") as commands:
            compiled = {os.path.relpath(command["file"], ROOT) for command in json.load(commands)}
    return [Finding(path, 0, "no-target", "add the file to a target, or remove it")
            for path in files() if path.endswith(".cc") and path not in compiled
            and not COMPILED_BY_TESTS.search(path) and compiles_here(path)]


def headers_nobody_includes():
    included = {name.removeprefix("headway/") for path in files() if is_cpp(path)
                for _, name in includes.includes(path)}
    return [Finding(path, 0, "no-includer", "nobody includes the header: remove it")
            for path in files() if path.endswith(".h") and path not in included
            and not includes.OUTSIDE.match(path)]


def targets_of_links(path):
    """The links of a page to files of the tree, as (line, target, anchor)."""
    for number, line in prose.markdown_lines(path):
        for link in LINK.finditer(line):
            target = link[1]
            if re.match(r"\w+:", target):
                continue
            target = os.path.normpath(os.path.join(os.path.dirname(path), target)) if target else path
            yield number, target, link[2]


def pages_nobody_links():
    linked = {target for page in files() if page.endswith(".md")
              for _, target, _ in targets_of_links(page) if target != page}
    return [Finding(page, 0, "no-link", "link the page from another one, or remove it")
            for page in files() if page.endswith(".md") and page not in linked
            and not KNOWN_PAGES.search(page)]


def anchors(page):
    headings = re.findall(r"^#+ +(.*)$", re.sub(r"```.*?```", "", text(page), flags=re.DOTALL),
                          re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", prose.plain(heading).lower()).replace(" ", "-")
            for heading in headings}


def dead_links():
    findings = []
    for page in files():
        if not page.endswith(".md"):
            continue
        for line, target, anchor in targets_of_links(page):
            if not (ROOT / target).exists():
                findings.append(Finding(page, line, "link", f"there is no {target}"))
            elif anchor and target.endswith(".md") and anchor[1:] not in anchors(target):
                findings.append(Finding(page, line, "link", f"{target} has no heading {anchor}"))
    return findings


def dead_paths():
    """Paths in `backticks` that begin with a folder of the tree and lead nowhere."""
    findings = []
    for path in files():
        if path.startswith("scripts/lint_checks/"):
            continue
        lines = (enumerate(text(path).split("\n"), start=1) if path.endswith(".md") else
                 prose.comment_lines(path) if prose.comment_style(path) else ())
        for number, line in lines:
            for name in PATH.findall(line):
                # Users' programs name the root headway/.
                name = name.removeprefix("headway/")
                beside = os.path.join(os.path.dirname(path), name)
                if not (ROOT / name).exists() and not (ROOT / beside).exists():
                    findings.append(Finding(path, number, "path", f"there is no {name}"))
    return findings


def scripts_nobody_mentions():
    scripts = [path for path in files() if (is_shell(path) or is_python(path))
               and path not in SCRIPTS_FOUND_BY_NAME]
    readers = {path: text(path) for path in files()
               if path.endswith(".md") or is_cmake(path) or is_shell(path) or is_python(path)}
    findings = []
    for script in scripts:
        name = re.sub(r"\.py$", "", os.path.basename(script))
        if name == "__init__" or any(re.search(rf"\b{re.escape(name)}\b", content)
                                     for path, content in readers.items() if path != script):
            continue
        findings.append(Finding(script, 0, "no-mention", "mention the script where people look for "
                                "it, or remove it"))
    return findings
