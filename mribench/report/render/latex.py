r"""Tables as LaTeX for booktabs: ``\input`` one, or compile the document of all."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence

from mribench.interfaces.table import Cell, Table
from mribench.report.render.headers import groups, levels
from mribench.results.formatting import cell_text, row_header

_LINES = 36
"""Rows and lines of notes that go on one page."""
_NOTE_WIDTH = 150
"""Characters of a line of notes, about."""
_COMMANDS = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%",
    "_": r"\_", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}",
    ">": r"\textgreater{}", "|": r"\textbar{}", '"': r"{\char34}", "`": r"{\char96}", "'": r"{\char39}",
    "[": "{[}", "*": "{*}",  # the end of a row would read these two as its options
    "–": r"\textendash{}", "—": r"\textemdash{}", "…": r"\ldots{}",
    "±": r"$\pm$", "×": r"$\times$", "·": r"$\cdot$", "−": "$-$", "≤": r"$\leq$", "≥": r"$\geq$",
    "→": r"$\rightarrow$", "←": r"$\leftarrow$", "↑": r"$\uparrow$", "↓": r"$\downarrow$",
    "†": r"\textdagger{}", "‖": r"$\Vert$", "‡": r"\textdaggerdbl{}", "§": r"\S{}", "¶": r"\P{}",
    "°": r"$^\circ$",
    "²": r"\textsuperscript{2}", "³": r"\textsuperscript{3}", "µ": r"$\mu$", "μ": r"$\mu$",
    "σ": r"$\sigma$", "τ": r"$\tau$", "Δ": r"$\Delta$", "α": r"$\alpha$", "β": r"$\beta$",
}  # fmt: skip
_LETTERS = "ßæœøłÆŒØŁ"
_ACCENTS = "\u0300\u0301\u0302\u0303\u0304\u0306\u0307\u0308\u030a\u030b\u030c\u0327"
"""Of letters that every encoding of LaTeX has: ``è é ê ẽ ē ĕ ė ë å ő ě ç``."""
_LIGATURES = re.compile("([-,])(?=\\1)")
"""Pairs that the font would set as another character."""
_MINUS = re.compile(r"(?<![\w.)])-(?=\d)")
_PREAMBLE = r"""\documentclass[a4paper,landscape,10pt]{article}
\usepackage[utf8]{inputenc}
\IfFileExists{lmodern.sty}{\usepackage[T1]{fontenc}\usepackage{lmodern}}{}
\usepackage[margin=15mm]{geometry}
\usepackage{booktabs}
\usepackage{graphicx}
\pagestyle{plain}
\begin{document}
"""


def to_latex(table: Table) -> str:
    r"""Return a table as one float, or several where it is longer than a page.

    It needs the packages ``booktabs`` and ``graphicx``. The best is ``\textbf``, the second ``\underline``. A
    table wider than the line is scaled down. Every text is escaped: what a name holds is printed, never run.
    """
    pages = list(_pages(table))
    name = " ".join(table.name.split())
    parts = [_float(table, rows, notes, first=place == 0) for place, (rows, notes) in enumerate(pages)]
    return f"% mribench table {name}\n" + "\n".join(parts)


def latex_document(tables: Iterable[Table]) -> str:
    """Return a document of tables that pdflatex compiles as it is."""
    body = "\\clearpage\n".join(to_latex(table) for table in tables)
    return f"{_PREAMBLE}{body}\\end{{document}}\n"


def escape(text: str) -> str:
    """Return text that LaTeX prints as it is.

    A character that the usual fonts lack stands as its code, ``[U+4E2D]``, rather than stopping the run.
    """
    escaped = "".join(map(_escaped, " ".join(unicodedata.normalize("NFC", text).split())))
    return _LIGATURES.sub(r"\1{}", escaped)


def _escaped(character: str) -> str:
    if character in _COMMANDS:
        return _COMMANDS[character]
    if " " <= character <= "~" or character in _LETTERS:
        return character
    base, *accents = list(unicodedata.normalize("NFD", character))
    if base.isascii() and base.isalpha() and len(accents) == 1 and accents[0] in _ACCENTS:
        return character
    return f"[U+{ord(character):04X}]"


def _pages(table: Table) -> Iterator[tuple[range, tuple[str, ...]]]:
    """Yield the rows of each float and the notes below it; notes that do not fit stand alone at the end."""
    lines = sum(math.ceil(len(sentence) / _NOTE_WIDTH) for sentence in table.caption)
    count = len(table.rows)
    whole = max(1, math.ceil(count / _LINES))
    last = count - (whole - 1) * _LINES
    for page in range(whole - 1):
        yield range(page * _LINES, (page + 1) * _LINES), ()
    together = last + lines <= _LINES
    yield range((whole - 1) * _LINES, count), table.caption if together else ()
    if not together:
        yield range(0), table.caption


def _float(table: Table, rows: range, notes: Sequence[str], *, first: bool) -> str:
    title = escape(table.title)
    only_notes = not len(rows) and not first
    if not first:
        title += " (notes)" if only_notes else " (continued)"
    lines = [r"\begin{table}[htbp]", r"\centering", rf"\caption{{{title}}}"]
    if not first:  # one number for all parts
        lines.insert(1, r"\addtocounter{table}{-1}")
    if not only_notes:
        lines += [r"\sbox0{%", *_tabular(table, rows), r"}%", _FIT]
    if notes:
        lines += [r"\par\smallskip", r"\begin{minipage}{\linewidth}\footnotesize\raggedright"]
        lines += [rf"{escape(sentence)}\par" for sentence in notes]
        lines += [r"\end{minipage}"]
    return "\n".join([*lines, r"\end{table}", ""])


_FIT = r"\ifdim\wd0>\linewidth\resizebox{\linewidth}{!}{\usebox0}\else\usebox0\fi"


def _tabular(table: Table, rows: range) -> list[str]:
    heads = len(table.row_names)
    lines = [rf"\begin{{tabular}}{{{'l' * heads}{'r' * len(table.columns)}}}", r"\toprule"]
    above = levels(table.columns)
    for place, spans in enumerate(above):
        innermost = place == len(above) - 1
        names = [escape(name) if innermost else "" for name in table.row_names]
        lines.append(" & ".join([*names, *(_spanned(span.text, span.width) for span in spans)]) + r" \\")
        if not innermost:
            lines += [rf"\cmidrule(lr){{{heads + s.start + 1}-{heads + s.stop}}}" for s in spans if s.text]
    if not above:
        lines.append(" & ".join(map(escape, table.row_names)) + r" \\")
    lines.append(r"\midrule")
    new_group = set(groups([row.header for row in table.rows]))
    for place in rows:
        if place in new_group and place != rows.start:
            lines.append(r"\addlinespace")
        texts = [escape(text) for text in row_header(table.rows[place])]
        lines.append(" & ".join([*texts, *map(_cell, table.cells[place])]) + r" \\")
    return [*lines, r"\bottomrule", r"\end{tabular}%"]


def _spanned(text: str, width: int) -> str:
    return rf"\multicolumn{{{width}}}{{c}}{{{escape(text)}}}"


def _cell(cell: Cell | None) -> str:
    text = escape(_MINUS.sub("−", cell_text(cell)))
    mark = cell.mark if cell else "none"
    return {"best": rf"\textbf{{{text}}}", "second": rf"\underline{{{text}}}"}.get(mark, text)
