"""Tests of the checks: pieces of text, and the findings that they must give."""

import unittest

from lint_checks import classes, includes, prose, reference


def found(code):
    """The only class of a piece of code as (public functions, data members)."""
    [(_, _, functions, members, _)] = classes.classes(code)
    return functions, members


def sentences(*lines):
    return [sentence for paragraph in prose.split(list(enumerate(lines, start=1)), prose.ITEM)
            for _, sentence in paragraph.sentences()]


def phrases(sentence):
    return [finding.rule for finding in prose.check_phrases("page.md", 1, sentence)]


class Classes(unittest.TestCase):

    def test_counts_public_functions_and_all_members(self):
        self.assertEqual(found("class A { public: void F(); int g() const { return 1; } private: "
                               "void H(); int a_; std::map<int, std::function<void(int)>> b_{}; };"),
                         (2, 2))

    def test_the_members_of_a_struct_are_public(self):
        self.assertEqual(found("struct A { int a = f(1); bool F(); };"), (1, 1))

    def test_does_not_count_construction_types_and_constants(self):
        self.assertEqual(found("class A final : public B<int> { public: explicit A(int); A(const A&) = "
                               "delete; A& operator=(A&&) = default; ~A(); using B = int; enum class E "
                               "{ kOne }; friend class C; static constexpr int kMax = 3; };"), (0, 0))

    def test_a_const_overload_counts_once_and_another_one_twice(self):
        self.assertEqual(found("struct A { int* begin(); const int* begin() const; };"), (1, 0))
        self.assertEqual(found("struct A { void F(int); void F(char); };"), (2, 0))

    def test_a_constructor_with_initializers_in_braces_ends_at_its_body(self):
        self.assertEqual(found("class A { public: A() : a_{1}, b_{} {} void F(); private: int a_; "
                               "int b_; };"), (1, 2))

    def test_templates_and_operators_are_functions(self):
        self.assertEqual(found("struct A { template <class T> requires (sizeof(T) > 1) void F(T&& t); "
                               "bool operator==(const A&) const; bool operator<(const A&) const; };"),
                         (3, 0))

    def test_comments_and_literals_are_not_code(self):
        self.assertEqual(found("struct A { /* int a; */ // int b;\n std::string s = \"int c;{\"; };"),
                         (0, 1))

    def test_an_enum_class_is_no_class(self):
        self.assertEqual(list(classes.classes("enum class E : int { kOne };")), [])

    def test_a_nested_class_counts_for_itself(self):
        self.assertEqual([(name, functions, members) for _, name, functions, members, _ in
                          classes.classes("class A { struct B { int b; }; B b_; };")],
                         [("A", 0, 1), ("B", 0, 1)])


class Floors(unittest.TestCase):

    def test_a_folder_includes_the_floors_below_it(self):
        self.assertTrue(includes.may_include("engine/graph", "engine/runtime"))
        self.assertTrue(includes.may_include("operators", "comm/codec"))
        self.assertTrue(includes.may_include("cli", "engine/launch"))

    def test_a_folder_does_not_include_its_own_floor_or_those_above(self):
        self.assertFalse(includes.may_include("engine/runtime", "engine/graph"))
        self.assertFalse(includes.may_include("engine/graph", "engine/state"))
        self.assertFalse(includes.may_include("comm/wire", "comm/local"))
        self.assertFalse(includes.may_include("engine", "tests/engine"))

    def test_progress_and_comm_do_not_know_each_other(self):
        self.assertFalse(includes.may_include("comm/mesh", "progress"))
        self.assertFalse(includes.may_include("progress", "comm/memory"))

    def test_every_circle_is_named(self):
        found = includes.circles({"a.h": ["b.h"], "b.h": ["c.h"], "c.h": ["b.h"]})
        self.assertEqual([finding.advice for finding in found], ["break b.h > c.h > b.h"])


class Prose(unittest.TestCase):

    def test_a_sentence_crosses_lines_and_ends_at_a_list_item(self):
        self.assertEqual(sentences("One is", "here. Two.", "- Three", "", "four"),
                         ["One is here.", "Two.", "- Three", "four"])

    def test_an_abbreviation_ends_no_sentence(self):
        self.assertEqual(sentences("A number, e.g. Seven, is here."), ["A number, e.g. Seven, is here."])

    def test_phrases_are_found_and_questions_are_not(self):
        self.assertEqual(phrases("It returns what is left."), ["phrase"])
        self.assertEqual(phrases("Malformed is progress that is none."), ["phrase"])
        self.assertEqual(phrases("It gives that which stalls."), ["phrase"])
        self.assertEqual(phrases("What is a frontier?"), [])
        self.assertEqual(phrases("Returns true iff the key is in the list."), [])

    def test_openings(self):
        self.assertTrue(prose.OPENING.match("Who waits is woken."))
        self.assertFalse(prose.OPENING.match("What is a frontier?"))
        self.assertFalse(prose.OPENING.match("Whole rounds are sent."))

    def test_a_code_span_is_one_word(self):
        self.assertEqual(prose.words(prose.plain("Run `a b c` of [this page](docs/x.md).")), 5)


class Reference(unittest.TestCase):

    def documented(self, *lines):
        result = reference.documented("\n".join(lines)).split("\n")
        self.assertEqual(len(result), len(lines))  # a warning names the right line
        return result

    def test_a_comment_before_a_declaration_is_its_documentation(self):
        self.assertEqual(self.documented("namespace headway {", "// A <b> & c.", "struct A;"),
                         ["namespace headway {", r"/// A \<b\> \& c.", "struct A;"])

    def test_a_comment_of_its_own_is_none_but_at_the_head_of_the_file(self):
        self.assertEqual(self.documented("", "// Ideas.", "", "namespace headway {", "// Alone.", ""),
                         [r"/// \file", "/// Ideas.", "", "namespace headway {", "// Alone.", ""])

    def test_indented_lines_are_code(self):
        self.assertEqual(self.documented("namespace a {", "// As in:", "//", "//   f<int>();", "//",
                                         "// So.", "struct A;")[1:6],
                         ["/// As in:", r"/// \code{.cpp}", "///   f<int>();", r"/// \endcode",
                          "/// So."])

    def test_internal_names_are_left_out(self):
        self.assertEqual(self.documented("namespace internal {", "struct A;",
                                         "}  // namespace internal", "struct B;"),
                         ["", "", "", "struct B;"])


def run():
    suite = unittest.TestLoader().loadTestsFromModule(__import__("lint_checks.self_test", fromlist=["*"]))
    return 0 if unittest.TextTestRunner(verbosity=1).run(suite).wasSuccessful() else 1
