"""The cap on classes: at most 20 public functions and 15 data members.

A count of declarations, not a parser of C++: constructors, destructors, operators that are defaulted or
deleted, types, friends and constants do not count. Every overload does, but for the const one of a pair.
"""

import re

from lint_checks.repository import LIBRARY, Finding, files, is_cpp, text

MAX_PUBLIC_FUNCTIONS = 20
MAX_DATA_MEMBERS = 15

HEAD = re.compile(
    r"\b(?P<kind>class|struct)\s+(?:\[\[[^\]]*\]\]\s*|alignas\s*\([^)]*\)\s*)*"
    r"(?P<name>[A-Za-z_][\w:]*)\s*(?P<arguments><[^;{}()]*>)?\s*(?:final\s*)?(?::(?!:)[^;{}]*)?\{")


def blank(match):
    """Replaces a piece of code by blanks, so that offsets and lines stay."""
    return re.sub(r"[^\n]", " ", match[0])


def strip(code):
    """Blanks out comments, literals and preprocessor lines."""
    code = re.sub(r'R"(\w*)\((?:.|\n)*?\)\1"|//[^\n]*|/\*(?:.|\n)*?\*/|"(?:\\.|[^"\\\n])*"'
                  r"|(?<![0-9A-Fa-f])'(?:\\.|[^'\\\n])+'", blank, code)
    return re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*$", blank, code, flags=re.MULTILINE)


def closing(code, start):
    """The offset of the brace that closes the one before `start`."""
    depth = 1
    for offset in range(start, len(code)):
        depth += (code[offset] == "{") - (code[offset] == "}")
        if depth == 0:
            return offset
    return len(code)


def declarations(kind, body):
    """The declarations of a class's body as (access, text), without what stands in inner braces."""
    access = "public" if kind == "struct" else "private"
    found, current, offset = [], "", 0
    while offset < len(body):
        character = body[offset]
        if character == "{":
            offset = closing(body, offset + 1)
            current += "{}"
            following = body[offset + 1:].lstrip()[:1]
            is_function = "(" in without_templates(current) and not re.search(
                r"[=,(]\s*\{\}$", current)
            # A member initializer in braces is followed by a comma or by the body.
            if is_function and following not in (";", ",", "{", ")", "("):
                found.append((access, current))
                current = ""
        elif character == ";":
            found.append((access, current))
            current = ""
        elif character == ":" and current.strip() in ("public", "protected", "private"):
            access, current = current.strip(), ""
        else:
            current += character
        offset += 1
    return [(access, " ".join(declaration.split())) for access, declaration in found
            if declaration.strip()]


def without_templates(declaration):
    """Drops template heads and arguments, so that a parenthesis left is one of the declaration."""
    declaration = re.sub(r"operator\s*(?:\(\)|[^\s\w(]+)", "operator_", declaration)
    declaration = re.sub(r"requires\s*\((?:[^()]|\([^()]*\))*\)", "", declaration)
    previous = None
    while previous != declaration:
        previous = declaration
        declaration = re.sub(r"<[^<>]*>", "", declaration)
    return re.sub(r"\b(?:alignas|decltype|explicit|noexcept)\s*\((?:[^()]|\([^()]*\))*\)|\[\[.*?\]\]",
                  "", declaration)


TYPE_OR_ALIAS = re.compile(
    r"^(?:template\s+)?(?:using|friend|typedef|static_assert|enum|union|concept)\b"
    r"|^(?:template\s+)?(?:class|struct)\s+[\w:]+\s*(?:final\s*)?(?::.*)?(?:\{\})?$"
    r"|^(?:template\s+)?friend\b")


def counts(kind, name, body):
    """Returns how many public functions and how many data members a class has."""
    functions, members = set(), 0
    for access, declaration in declarations(kind, body):
        plain = re.sub(r"^template\s*", "", without_templates(declaration).strip())
        plain = re.sub(r"^requires [^(]*?&& |^requires \S+ ", "", plain)
        if TYPE_OR_ALIAS.match(plain):
            continue
        if "(" not in re.split(r"=(?!=)|\{", plain)[0]:
            if not re.match(r"(?:static |inline )*constexpr |constinit ", plain):
                members += 1
            continue
        special = re.search(r"~|=\s*(?:default|delete)$", plain) or re.match(
            rf"(?:constexpr |inline |explicit )*{re.escape(name)}\s*\(", plain)
        if access == "public" and not special:
            # Without the types that were dropped, overloads would look the same: their heads do not.
            head = re.split(r"\)(?!.*\))", declaration.split("{")[0])[0]
            functions.add(re.sub(r"^.*?(?=\b(?:operator|\w+\s*\())", "", head))
    return len(functions), members


def classes(code):
    """The classes of a file as (line, name, public functions, data members, lines)."""
    code = strip(code)
    for head in HEAD.finditer(code):
        if re.search(r"\benum\s+$", code[:head.start()]):
            continue
        end = closing(code, head.end())
        functions, members = counts(head["kind"], head["name"].split("::")[-1],
                                    code[head.end():end])
        line = code.count("\n", 0, head.start()) + 1
        yield line, head["name"], functions, members, code.count("\n", head.start(), end) + 1


def checked_files():
    return [path for path in files() if is_cpp(path) and not path.startswith("tests/")]


def over_cap():
    for path in checked_files():
        for line, name, functions, members, _ in classes(text(path)):
            if functions > MAX_PUBLIC_FUNCTIONS or members > MAX_DATA_MEMBERS:
                yield path, line, name, functions, members


def check():
    return [Finding(path, line, "class-cap", f"{name} has {functions} public functions and {members} "
                    f"data members; give a part of it a class of its own (at most "
                    f"{MAX_PUBLIC_FUNCTIONS} and {MAX_DATA_MEMBERS})")
            for path, line, name, functions, members in over_cap()]
