"""What scripts/check finds by more than a pattern."""
import check_sources
from support import equal

SOURCE = """namespace a {
struct S {
  int f() const {
    if (x) {
      y();
    }
    auto l = [] { return 1; };
  }
  S() : a(1) {}
};
enum class E { a, b };
int g(int a,
      int b) {
  return '{';
}
std::vector<Row> some_rows() {
  return {{1}, {2}};
}
}
"""


def test_functions_are_measured():
    found = [(line, lines, head.split()[-1]) for line, lines, head in check_sources.functions(check_sources.without_comments(SOURCE))]
    equal(found, [(3, 6, "const"), (9, 1, "a(1)"), (12, 4, "b)"), (16, 3, "some_rows()")], "functions, with their lines")


def test_a_function_beyond_a_screen_is_a_breach_where_it_is_no_table():
    def told(name, lines, path="broker/long.cc"):
        text = f"// Why.\nint {name}() {{\n" + "  a();\n" * (lines - 2) + "}\n"
        return [what for _, _, what in check_sources.file_in_breach(".", path, text, {path})]
    equal(told("f", 80), [], "one that fits")
    equal(told("f", 81), ["a function of 81 lines does not fit a screen"], "one that does not")
    equal(told("topic_rows", 200) + told("f", 200, "tests/unit/story_test.cc"), [], "tables and tests")
