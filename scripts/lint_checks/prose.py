"""The prose of comments, Markdown and error messages: phrases to avoid, and long sentences."""

import re

from lint_checks.repository import LIBRARY, Finding, files, is_cmake, is_cpp, is_python, is_shell, text

MAX_SENTENCE_WORDS = 40
MAX_MARKDOWN_COLUMNS = 100

# A phrase as a pattern, and the words to write instead.
PHRASES = tuple((re.compile(pattern, re.IGNORECASE), advice) for pattern, advice in (
    (r"\bthat which\b|\bthose which\b|\bthose who\b|\bthe one who\b", "name the thing"),
    (r"\b(?:of|by|in|with|from|to|for|on|at|as|than|behind|after|before|into|over|about) "
     r"(?:what|whatever|whoever)\b(?! is\b[^.]*\?)", "write the noun that `what` stands for"),
    (r"\b(?:of|by|in|with|from|to|for|on|at|than|behind|after|before) who\b",
     "write the noun that `who` stands for"),
    (r"\bwhat (?:it|they|we|you|one|he|she|the|a|an|each|another|other|others|is|are|was|were|has|have|"
     r"had|goes|comes|came|went|stands|needs|must|may|can|could|does|waits|arrived|arrives|belongs|"
     r"remains|follows|follow|every|all|this|that|these|those|its|their)\b",
     "write the noun that `what` stands for"),
    (r"\bwho (?:parks|sleeps|dials|connects|sends|gets|waits|asks|owns|holds|has|is|was|comes|goes)\b",
     "name the thread, worker, process or user"),
    (r"\bcall(?:s|ing)? for\b(?! (?:each|every))", "needs, requires, requests"),
    (r"\b(?:stand(?:s|ing)?|stood) behind\b", "name the relation: follows, is downstream of, backs"),
    (r"(?<!there )\b(?:is|are|was|were|be) none\b", "is not one; there is no ...; say the property: malformed, absent"),
    (r"\b(?:go(?:es)?|went|going) on\b(?! (?:a|the|top))", "continues, proceeds"),
    (r"\blook(?:s|ed|ing)? (?:whether|if)\b", "polls, checks"),
    (r"\b(?:that|which) (?:is|are|was|were) not there\b", "absent, missing, out of memory"),
))
# Messages are read by users, who should see none of them either.
MESSAGE = re.compile(r'"((?:\\.|[^"\\\n]){12,})"')

OPENING = re.compile(r"(?:Who|What|Those|Whoever|Whatever)\b(?![^.!?]*\?)")
WORD = re.compile(r"[A-Za-z0-9][\w'’./:+*=-]*")
SENTENCE_END = re.compile(r"(?<=[.!?])[)\"”]?\s+(?=[A-Z\"“(`'])|(?<=[.!?])[)\"”]?\s*$")
ABBREVIATION = re.compile(r"\b(?:e\.g|i\.e|etc|cf|vs|Dr|No)\.$")


class Paragraph:
    """Text that belongs together, and the line of each of its characters."""

    def __init__(self):
        self.text, self.lines = "", []

    def add(self, line, piece):
        piece = " ".join(piece.split())
        if not piece:
            return
        if self.text:
            self.text += " "
            self.lines.append(line)
        self.text += piece
        self.lines += [line] * len(piece)

    def sentences(self):
        """The sentences, as (line, text)."""
        start = 0
        for end in SENTENCE_END.finditer(self.text):
            if ABBREVIATION.search(self.text[:end.start()]):
                continue
            yield self.lines[start], self.text[start:end.start()]
            start = end.end()
        if start < len(self.text):
            yield self.lines[start], self.text[start:]


def split(lines, starts_paragraph=re.compile(r"(?!)")):
    """Paragraphs of (line, text), divided at empty lines and at items of lists."""
    paragraph = Paragraph()
    for line, piece in lines:
        if not piece.strip() or starts_paragraph.match(piece):
            yield paragraph
            paragraph = Paragraph()
        paragraph.add(line, piece)
    yield paragraph


COMMENT_MARKS = {"cpp": r"//+", "hash": r"#"}
LICENCE_OR_TOOL = re.compile(r"\s*(?:NOLINT|clang-format|shellcheck|expect:|!)")
ITEM = re.compile(r"\s*(?:[-*]|\d+\.)\s")


def comment_style(path):
    if is_cpp(path) or path.endswith((".rs", ".fbs")):
        return "cpp"
    if is_cmake(path) or is_shell(path) or is_python(path):
        return "hash"
    return None


def comment_lines(path):
    """The comments of a file as (line, text); an empty text divides two comments."""
    mark = re.compile(rf"(?:^|(?<=\s)){COMMENT_MARKS[comment_style(path)]}(?=\s|$|!)")
    previous, docstring = 0, None
    for number, line in enumerate(text(path).split("\n"), start=1):
        if is_python(path) and line.count('"""') % 2 == 1:
            docstring = None if docstring else "open"
            yield number, ""
            yield number, line.replace('"""', "")
            continue
        if docstring or (is_python(path) and line.strip().startswith('"""')):
            yield number, line.replace('"""', "")
            continue
        found = mark.search(blank_literals(line))
        if not found:
            continue
        piece = line[found.end():]
        alone = not line[:found.start()].strip()
        if LICENCE_OR_TOOL.match(piece):
            piece = ""
        # Drawings and code in comments are indented.
        if re.match(r" {4}", piece):
            piece = ""
        if previous != number - 1 or not alone:
            yield number, ""
        yield number, piece
        previous = number if alone else 0


def blank_literals(line):
    return re.sub(r'"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\'',
                  lambda match: "_" * len(match[0]), line)


def comment_paragraphs(path):
    return split(comment_lines(path), ITEM)


def markdown_lines(path):
    """The prose of a page as (line, text), without code and tables; cells of tables stand alone."""
    fence = False
    for number, line in enumerate(text(path).split("\n"), start=1):
        if re.match(r"\s*```", line):
            fence = not fence
            yield number, ""
        elif fence or re.match(r" {4}(?! *[-*\d])", line) or line.startswith("<"):
            yield number, ""
        elif line.lstrip().startswith("|"):
            for cell in re.split(r"(?<!\\)\|", line):
                yield number, ""
                yield number, cell
            yield number, ""
        else:
            if line.startswith("#"):
                yield number, ""
            yield number, line
            if line.startswith("#"):
                yield number, ""


def plain(piece):
    """Drops the marks of Markdown: the target of a link, emphasis, the code of a span."""
    piece = re.sub(r"`[^`]*`", lambda span: re.sub(r"[^\w`]", "_", span[0]).strip("`"), piece)
    piece = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", piece)
    return re.sub(r"\*\*|^\s*(?:[-*>]|\d+\.|#+)\s+", "", piece)


def markdown_paragraphs(path):
    return split(markdown_lines(path), ITEM)


def paragraphs(path):
    if path.endswith(".md"):
        return markdown_paragraphs(path)
    return comment_paragraphs(path) if comment_style(path) else ()


def words(sentence):
    return len(WORD.findall(sentence))


def sentences(path):
    for paragraph in paragraphs(path):
        if path.endswith(".md"):
            cleaned = Paragraph()
            # Spans may cross a line: the marks go after the lines were joined.
            cleaned.text = plain(paragraph.text)
            for line, sentence in cleaned_sentences(paragraph, cleaned):
                yield line, sentence
        else:
            for line, sentence in paragraph.sentences():
                yield line, re.sub(r"^\s*(?:[-*]|\d+\.)\s+", "", sentence)


def cleaned_sentences(paragraph, cleaned):
    if not paragraph.lines:
        return
    # The marks shift the text by little: a sentence's line is that at the same share of the paragraph.
    share = len(paragraph.lines) / max(len(cleaned.text), 1)
    cleaned.lines = [paragraph.lines[min(int(offset * share), len(paragraph.lines) - 1)]
                     for offset in range(len(cleaned.text))]
    yield from cleaned.sentences()


def check_sentences(path):
    for line, sentence in sentences(path):
        count = words(sentence)
        if count > MAX_SENTENCE_WORDS:
            yield Finding(path, line, "sentence", f"{count} words, at most {MAX_SENTENCE_WORDS}: "
                          f"divide \"{shorten(sentence)}\"")
        if OPENING.match(sentence):
            yield Finding(path, line, "opening", f"begin with the subject, a noun: "
                          f"\"{shorten(sentence)}\"")
        yield from check_phrases(path, line, sentence)


def shorten(sentence):
    return sentence if len(sentence) <= 60 else sentence[:57] + "..."


def check_phrases(path, line, sentence):
    for pattern, advice in PHRASES:
        found = pattern.search(sentence)
        # A question may ask what it likes.
        if found and not sentence.endswith("?"):
            around = sentence[max(0, found.start() - 20):found.end() + 20]
            yield Finding(path, line, "phrase", f"\"{found[0]}\" in \"{around.strip()}\": {advice}")


def check_messages(path):
    for number, line in enumerate(text(path).split("\n"), start=1):
        if re.match(r"\s*(?://|#)", line):
            continue
        for message in MESSAGE.finditer(line):
            if " " in message[1]:
                yield from check_phrases(path, number, message[1])


def check_columns(path):
    fence = False
    for number, line in enumerate(text(path).split("\n"), start=1):
        if re.match(r"\s*```", line):
            fence = not fence
        elif (len(line) > MAX_MARKDOWN_COLUMNS and not fence and not re.match(r"\s*\| |    \S", line)
              and " " in line[:MAX_MARKDOWN_COLUMNS].strip()
              and not re.search(r"\S{80,}$", line)):
            yield Finding(path, number, "columns", f"{len(line)} columns, at most "
                          f"{MAX_MARKDOWN_COLUMNS}: wrap the line")


def check():
    findings = []
    for path in files():
        if path == "LICENSE" or path.endswith("_generated.h"):
            continue
        # The list of phrases names them.
        if path.startswith("scripts/lint_checks/"):
            continue
        findings += check_sentences(path)
        if path.endswith(".md"):
            findings += check_columns(path)
        if is_cpp(path) and path.startswith(LIBRARY):
            findings += check_messages(path)
    return findings
