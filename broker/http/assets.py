#!/usr/bin/env python3
"""assets.py OUT.S OUT.cc ROOT FILE...: the page's files as part of the binary.

OUT.S takes each file in by .incbin, and a compressed copy of it (OUT.S.N.gz) where that is smaller; OUT.cc is the table
of them, which assets.h declares. Paths are relative to ROOT. The output depends on the files alone.
"""
import gzip
import pathlib
import sys


def taken_in(symbol, path):
    """A file between two symbols."""
    return [f'.global {symbol}', f'.global {symbol}_end', '.balign 8', f'{symbol}:', f'.incbin "{path}"', f'{symbol}_end:']


def main():
    assembly, table, root, *files = sys.argv[1:]
    lines = ['.section .rodata']
    rows, symbols = [], []
    for number, file in enumerate(files):
        path = pathlib.Path(root, file)
        names = [f'naru_asset_{number}']
        lines += taken_in(names[0], path)
        plain = path.read_bytes()
        small = gzip.compress(plain, mtime=0)
        if len(small) < len(plain):
            copy = pathlib.Path(f'{assembly}.{number}.gz').resolve()
            copy.write_bytes(small)
            names.append(f'naru_asset_{number}_gz')
            lines += taken_in(names[1], copy)
        symbols += [f'extern const char {name}[], {name}_end[];' for name in names]
        views = [f'{{{name}, static_cast<size_t>({name}_end - {name})}}' for name in names]
        rows.append(f'    {{"/{file}", {views[0]}, {views[1] if len(views) > 1 else "{}"}}},')
    lines.append('.section .note.GNU-stack,"",%progbits')
    pathlib.Path(assembly).write_text('\n'.join(lines) + '\n')
    pathlib.Path(table).write_text('\n'.join([
        '#include "broker/http/assets.h"', '', 'extern "C" {', *symbols, '}', '', 'namespace broker::http {', '',
        'std::span<const Asset> assets() {', '  static const Asset all[] = {', *rows, '  };', '  return all;', '}', '',
        '}  // namespace broker::http', '']))


main()
