"""The page: sections in their order, style, scripts and data, all in one file that needs no network."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

from halion.report.draw_plotly import plotly_javascript, plotly_specification
from halion.report.figure import Figure, figure_csv
from halion.report.table import Table, table_csv, table_html

__all__ = ["Material", "Section", "figure_block", "page_html", "paragraphs", "table_block"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One section of the page: its anchor, its name in the navigation, its heading and its HTML."""

    anchor: str
    name: str
    heading: str
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """What sections are made of: figures and tables by name, and the figures' SVG."""

    figures: Mapping[str, Figure]
    pictures: Mapping[str, str]
    tables: Mapping[str, Table]


def paragraphs(*texts: str) -> str:
    """Plain texts as escaped paragraphs."""
    return "\n".join(f"<p>{html.escape(text)}</p>" for text in texts)


def figure_block(material: Material, name: str) -> str:
    """A figure: plotly where scripts run, its SVG in print and without scripts; nothing if there is none."""
    figure = material.figures.get(name)
    if figure is None:
        return ""
    title, caption = html.escape(figure.title), html.escape(figure.caption)
    return f"""<figure class="plot" id="figure-{name}">
<h3>{title}</h3>
<div class="drawing" data-figure="{name}" role="img" aria-label="{title}"></div>
<img class="still" alt="{title}" src="{_data_uri("image/svg+xml", material.pictures[name])}">
<figcaption>{caption} <span class="files">{_download(f"figure-{name}.csv", "text/csv", figure_csv(figure), "CSV")}
<a class="file svg" download="{name}.svg">SVG</a></span></figcaption>
</figure>"""


def table_block(material: Material, name: str, caption: str) -> str:
    """A table with its caption and download; nothing if there is none."""
    table = material.tables.get(name)
    if table is None:
        return ""
    link = _download(f"{name}.csv", "text/csv", table_csv(table), "CSV")
    return (
        f'<div class="tabular"><p class="caption">{html.escape(caption)} <span class="files">{link}</span></p>\n'
        f"{table_html(table)}</div>"
    )


def _download(name: str, kind: str, content: str, text: str) -> str:
    uri = _data_uri(kind, content)
    return f'<a class="file" download="{html.escape(name)}" href="{uri}">{html.escape(text)}</a>'


def _data_uri(kind: str, content: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(content.encode()).decode()}"


def page_html(
    title: str,
    sections: tuple[Section, ...],
    top: str,
    figures: tuple[Figure, ...],
    views: Mapping[str, Any],
) -> str:
    """The whole page.

    Args:
        title: of the window and the heading.
        sections: in their order.
        top: HTML above the sections (header and caveats).
        figures: for plotly.
        views: 3-D views by name, for 3Dmol.js; without any, no library for it.
    """
    links = "\n".join(f'<a href="#{section.anchor}">{html.escape(section.name)}</a>' for section in sections)
    body = "\n".join(
        f'<section id="{section.anchor}"><h2>{html.escape(section.heading)}</h2>\n{section.body}\n</section>'
        for section in sections
    )
    data = {"figures": {figure.name: plotly_specification(figure) for figure in figures}, **views}
    is_solid = any(view is not None for view in views.values())
    scripts = [plotly_javascript() if figures else "", _asset("vendor", "3Dmol-min.js") if is_solid else ""]
    libraries = "\n".join(f"<script>{_closed(script)}</script>" for script in scripts if script)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<title>{html.escape(title)}</title>
<link rel="icon" href="data:,">
<style>
{_asset("assets", "page.css")}
</style>
</head>
<body>
<script>document.documentElement.classList.add("scripted");</script>
<nav aria-label="sections"><span class="brand">halion</span>
{links}
</nav>
<main>
{top}
{body}
</main>
<script type="application/json" id="data">{_json(data)}</script>
{libraries}
<script>
{_asset("assets", "page.js")}
</script>
</body>
</html>
"""


# The page may run its own scripts and show its own data, and fetch nothing from anywhere.
_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; "
    "img-src data: blob:; font-src data:; worker-src blob:; connect-src 'none'"
)


def _asset(folder: str, name: str) -> str:
    return (resources.files("halion.report") / folder / name).read_text(encoding="utf-8")


def _closed(script: str) -> str:
    """A script that cannot end its own element early."""
    return script.replace("</script", "<\\/script").replace("<!--", "<\\!--")


def _json(value: object) -> str:
    """JSON that is safe inside a script element."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"), ensure_ascii=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
