"""Extracts the programs of the documentation: extract_snippets.py OUTPUT_FOLDER PAGE...

A fenced block that opens with ```cpp and contains `int main` is a program; one that exports a
dataflow instead is a shared library. A block that opens with ```text output, after a program and
before the next, is the program's output. Each is written to OUTPUT_FOLDER/<page>_<number>.cc, a
program's output to the .txt beside it (absent if the page shows none), and "program" or "library"
and its name are printed on a line of their own.
"""

import pathlib
import re
import sys

FENCE = re.compile(r"^```(?P<info>[^\n`]*)\n(?P<body>.*?)^```[ ]*$", re.MULTILINE | re.DOTALL)


def extract(page):
    """Returns the programs and libraries as (kind, source, output or None), in order."""
    text = page.read_text(encoding="utf-8")
    programs = []
    for block in FENCE.finditer(text):
        info, body = block["info"].strip(), block["body"]
        is_program = re.search(r"\bint main\b", body)
        if info == "cpp" and (is_program or "HEADWAY_EXPORT_DATAFLOW(" in body):
            # A compiler's message names the page and the line in it.
            line = text.count("\n", 0, block.start("body")) + 1
            kind = "program" if is_program else "library"
            programs.append([kind, f'#line {line} "{page.name}"\n{body}', None])
        elif info == "text output":
            if not programs or programs[-1][0] != "program" or programs[-1][2] is not None:
                sys.exit(f"{page}: a block of output that belongs to no program:\n{body}")
            programs[-1][2] = body
    return programs


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    written = {}
    for page in map(pathlib.Path, sys.argv[2:]):
        for number, (kind, source, output) in enumerate(extract(page), start=1):
            name = re.sub(r"\W", "_", f"{page.stem.lower()}_{number}")
            written[f"{name}.cc"] = source
            if output is not None:
                written[f"{name}.txt"] = output
            print(kind, name)
    for old in folder.iterdir():
        if old.suffix in (".cc", ".txt") and old.name not in written:
            old.unlink()
    for name, content in written.items():
        path = folder / name
        # An unchanged file keeps its time: nothing is built again for it.
        if not path.exists() or path.read_text(encoding="utf-8") != content:
            path.write_text(content, encoding="utf-8")


main()
