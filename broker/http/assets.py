#!/usr/bin/env python3
"""assets.py OUT.S OUT.cc ROOT FILE...: the page's files as part of the binary.

OUT.S takes each file in by .incbin; OUT.cc is the table of them, which assets.h declares. Paths are relative to ROOT.
"""
import pathlib
import sys


def main():
    assembly, table, root, *files = sys.argv[1:]
    lines = ['.section .rodata']
    rows, symbols = [], []
    for number, file in enumerate(files):
        path = pathlib.Path(root, file)
        lines += [f'.global naru_asset_{number}', f'.global naru_asset_{number}_end', '.balign 8', f'naru_asset_{number}:',
                  f'.incbin "{path}"', f'naru_asset_{number}_end:']
        symbols.append(f'extern const char naru_asset_{number}[], naru_asset_{number}_end[];')
        rows.append(f'    {{"/{file}", naru_asset_{number}, naru_asset_{number}_end}},')
    lines.append('.section .note.GNU-stack,"",%progbits')
    pathlib.Path(assembly).write_text('\n'.join(lines) + '\n')
    pathlib.Path(table).write_text('\n'.join([
        '#include "broker/http/assets.h"', '', 'extern "C" {', *symbols, '}', '', 'namespace broker::http {', '',
        'std::span<const Asset> assets() {', '  static const Asset all[] = {', *rows, '  };', '  return all;', '}', '',
        '}  // namespace broker::http', '']))


main()
