"""The style sheet of pages: light and dark on a screen, black on white on A4; no font and no picture from elsewhere."""

from __future__ import annotations

from understudy.documents.palette import dark_rules

_LIGHT = """
:root{color-scheme:light dark;--paper:#fff;--ink:#1b1e24;--soft:#555c68;--line:#d5d9e0;--tint:#f4f6f9;--link:#1f5f9e;
--good:#0f6b4f;--bad:#b3261e;--open:#7a5b00}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%;text-size-adjust:100%}
body{margin:0 auto;padding:2rem 1.25rem 4rem;max-width:60rem;background:var(--paper);color:var(--ink);
font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif;overflow-wrap:anywhere}
h1{font-size:1.75rem;line-height:1.2;margin:.2rem 0 .6rem}
h2{font-size:1.2rem;margin:2.4rem 0 .6rem;padding-bottom:.25rem;border-bottom:1px solid var(--line)}
h3{font-size:1rem;margin:1.4rem 0 .4rem}
p{margin:.4rem 0 .8rem}
a{color:var(--link)}
code,.mono{font-family:ui-monospace,"SF Mono",Menlo,Consolas,"DejaVu Sans Mono",monospace;font-size:.875em}
.kind{color:var(--soft);margin:0;text-transform:uppercase;letter-spacing:.06em;font-size:.78rem}
.soft{color:var(--soft)}
.verdict{font-size:1.1rem;font-weight:600;padding:.7rem .9rem;border-left:.35rem solid var(--soft);background:var(--tint);
margin:0 0 1rem}
.verdict.good{border-color:var(--good)}.verdict.bad{border-color:var(--bad)}.verdict.open{border-color:var(--open)}
.good{color:var(--good)}.bad{color:var(--bad)}.open{color:var(--open)}
.verdict{color:var(--ink)}
td b.good,td b.bad,td b.open{white-space:nowrap}
.wide{overflow-x:auto;margin:.4rem 0 1rem}
table{border-collapse:collapse;width:100%;font-size:.925rem}
caption{text-align:left;color:var(--soft);padding:.2rem 0}
th,td{text-align:left;vertical-align:top;padding:.35rem .7rem .35rem 0;border-bottom:1px solid var(--line);min-width:6.2rem}
th[scope=row]{min-width:8.5rem}td.number,th.number{min-width:0}td:last-child{min-width:9rem}
thead th{overflow-wrap:normal;color:var(--soft);font-weight:600;border-bottom-width:2px}
tbody th{font-weight:600}
td.number+td,th.number+th{padding-left:.5rem}
td.number,th.number{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}
dl.facts{display:grid;grid-template-columns:minmax(8rem,max-content) 1fr;gap:.25rem 1rem;margin:.4rem 0 1rem}
dl.facts dt{color:var(--soft)}dl.facts dd{margin:0}
ul,ol{padding-left:1.3rem;margin:.3rem 0 .8rem}ol{padding-left:2.2rem}
code.label{white-space:nowrap}
ul.proof{list-style:none;padding-left:0;font-size:.9rem;margin:.2rem 0 .6rem}
ul.proof ul{list-style:none;padding-left:1rem;border-left:2px solid var(--line);margin:.1rem 0 .3rem}
ul.legend{list-style:none;display:flex;flex-wrap:wrap;gap:.2rem 1.1rem;padding:0;font-size:.875rem}
ul.legend svg{margin-right:.4rem;vertical-align:-1px}
figure{margin:.6rem 0 1.2rem;overflow-x:auto}
figcaption{font-weight:600;margin-bottom:.2rem}
.drawing{display:block;width:100%;min-width:38rem;height:auto}
.drawing text{fill:var(--ink)}.drawing text.axis{fill:var(--soft)}.drawing text.took{fill:var(--soft)}
.drawing text.failed{fill:var(--bad)}
.drawing text.objective{fill:var(--bad)}.drawing text.validated{fill:var(--good)}.drawing text.target{fill:var(--open)}
.drawing .grid{stroke:var(--line)}
.drawing .upright.objective{stroke:var(--bad)}.drawing .upright.validated{stroke:var(--good)}
.drawing .upright.target{stroke:var(--open)}
.drawing rect.failed{stroke:var(--bad)}
.drawing text.took,.drawing text.label{paint-order:stroke;stroke:var(--paper);stroke-width:3px}
.fault{border-left:.25rem solid var(--bad);padding:.1rem 0 .1rem .9rem;margin:.8rem 0}
.fault h3{margin-top:0}
.step{margin:1rem 0}
.step h3{margin-bottom:.1rem}
.draft{border:2px dashed var(--open);padding:0 1.1rem 1rem;margin-top:2.5rem}
.draft h2{border:0;margin-top:1rem}
.stamp{display:inline-block;border:1px solid var(--open);color:var(--open);padding:.1rem .6rem;font-weight:600}
.lines{white-space:pre-line}
.blank{border-bottom:1px solid var(--soft);height:2rem}
td.blank-cell{height:2.4rem}
pre.typed{overflow-x:auto;background:var(--tint);border-left:.25rem solid var(--link);padding:.6rem .9rem;margin:.4rem 0 1rem;
white-space:pre-wrap}
blockquote.template{margin:.4rem 0 1rem;padding:.4rem .9rem;border:1px solid var(--line);background:var(--tint)}
ul.to-tick{list-style:none;padding-left:0}
nav.contents ol{columns:2;column-gap:2rem}nav.contents h2{margin-top:1.4rem}
h4{font-size:.95rem;margin:1rem 0 .3rem}
footer{margin-top:3rem;color:var(--soft);font-size:.85rem}
@media print{.screen-only{display:none}}
@media (max-width:40rem){body{padding:1.2rem .9rem 3rem}h1{font-size:1.4rem}dl.facts{grid-template-columns:1fr;gap:0}
dl.facts dd{margin-bottom:.5rem}nav.contents ol{columns:1}}
"""
_DARK = """
:root{--paper:#14161a;--ink:#e7e9ee;--soft:#a3a9b5;--line:#343943;--tint:#1e2128;--link:#8bbdf2;--good:#57cfa4;--bad:#ff8a7d;
--open:#e4bb4a}
.drawing .gauge{fill:#5aa7ea}.drawing .tried{fill:#6b717c}
"""
_PRINT = """
@page{size:A4;margin:16mm 15mm 18mm;@bottom-right{content:counter(page) " / " counter(pages);font:8pt sans-serif;color:#555c68}}
@media print{body{max-width:none;padding:0;font-size:10pt}h1{font-size:17pt}
h2,h3,figcaption,caption{break-after:avoid}
tr,figure,.fault,.verdict,li,dt,dd,.blanks,.legend,.whole,.facts{break-inside:avoid}
ul.proof li{break-inside:auto}
thead{display:table-header-group;break-after:avoid}tbody tr:first-child{break-before:avoid}
.wide,figure{overflow:visible}
.drawing{min-width:0}
.draft{break-before:page;border:0;padding:0}
pre.typed,blockquote.template{break-inside:avoid}
nav.contents a::after{content:leader('.') target-counter(attr(href),page)}
.appendix{break-before:page}
table{font-size:9pt}th,td{min-width:21mm}th[scope=row]{min-width:30mm}td.number,th.number{min-width:0}td:last-child{min-width:24mm}
a{color:inherit;text-decoration:none}
.verdict,.stamp{print-color-adjust:exact;-webkit-print-color-adjust:exact}}
"""


def css() -> str:
    return f"{_LIGHT}@media screen and (prefers-color-scheme:dark){{{_DARK}{dark_rules()}}}{_PRINT}"
