"""A table in a page of docs/ to which programs add lines."""


def lines_with(text, heading, head, rule):
    """The page's lines, with the table, which it gets if it has none; and where the table's lines begin and end."""
    lines = text.rstrip("\n").split("\n") if text.strip() else []
    if head not in lines:
        lines += ([""] if lines else []) + [heading, "", head, rule]
    begin = lines.index(head) + 2
    end = begin
    while end < len(lines) and lines[end].startswith("|"):
        end += 1
    return lines, begin, end
