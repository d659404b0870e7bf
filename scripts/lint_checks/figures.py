"""Figures about the tree: prose and classes."""

from lint_checks import classes, prose
from lint_checks.repository import LIBRARY, files, is_cpp, text


def comment_share(paths):
    """The share of comment lines of C++ that have the word `what`, in percent."""
    lines = [line for path in paths for _, line in prose.comment_lines(path) if line.strip()]
    with_what = sum("what" in prose.re.findall(r"\w+", line.lower()) for line in lines)
    return 100 * with_what / max(len(lines), 1), len(lines)


def show():
    cpp = [path for path in files() if is_cpp(path)]
    library = [path for path in cpp if path.startswith(LIBRARY) or "/" not in path]
    for name, paths in (("library", library), ("all C++", cpp)):
        share, lines = comment_share(paths)
        print(f"comment lines with \"what\", {name}: {share:.2f} % of {lines}")
    for name, paths in (("docs", [path for path in files() if path.endswith(".md")]),
                        ("comments", cpp)):
        length, path, line, sentence = max(
            ((prose.words(sentence), path, line, sentence) for path in paths
             for line, sentence in prose.sentences(path)), default=(0, "", 0, ""))
        print(f"longest sentence, {name}: {length} words, {path}:{line} \"{prose.shorten(sentence)}\"")
    over = list(classes.over_cap())
    print(f"classes over the cap: {len(over)}")
    for path, line, name, functions, members in over:
        print(f"  {path}:{line}: {name}: {functions} public functions, {members} data members")
    found = sorted(((lines, name, path) for path in classes.checked_files()
                    for _, name, _, _, lines in classes.classes(text(path))), reverse=True)
    for lines, name, path in found[:5]:
        print(f"lines of a class's definition: {lines}, {name} in {path}")
