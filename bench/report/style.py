"""The style of the page: one sheet, light and dark, from a phone to a wide screen."""

from __future__ import annotations

# The series colours keep 3:1 against the card in both schemes and differ in lightness, so that
# they can be told apart without seeing hues.
SHEET = """
:root { color-scheme: light dark; --ground: #f3f4f6; --card: #fff; --ink: #1b1f24; --soft: #57606a;
  --rule: #d8dde3; --good: #1a7f37; --bad: #cf222e; --bad-ground: #ffebe9; --good-ground: #dafbe1;
  --c0: #0969da; --c1: #bc4c00; --c2: #6f2da8; --c3: #11775f; --c4: #8f6a00; --c5: #57606a; }
@media (prefers-color-scheme: dark) { :root { --ground: #0d1117; --card: #161b22; --ink: #e6edf3;
  --soft: #9aa4af; --rule: #30363d; --good: #56d364; --bad: #ff7b72; --bad-ground: #3d1416;
  --good-ground: #12291a; --c0: #58a6ff; --c1: #f0883e; --c2: #d2a8ff; --c3: #3fd0a8;
  --c4: #e3b341; --c5: #9aa4af; } }
* { box-sizing: border-box }
body { margin: 0; background: var(--ground); color: var(--ink);
  font: 15px/1.5 system-ui, "Segoe UI", Roboto, "Helvetica Neue", sans-serif }
main { max-width: 1160px; margin: 0 auto; padding: 20px 16px 48px }
h1 { font-size: 1.5rem; margin: 0; line-height: 1.25 }
h2 { font-size: 1.05rem; margin: 28px 0 10px }
h3 { font-size: .95rem; margin: 0 0 4px }
p { margin: 4px 0 }
.soft { color: var(--soft) }
.card { background: var(--card); border: 1px solid var(--rule); border-radius: 8px; padding: 14px }
.panels { display: grid; gap: 14px;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 440px), 1fr)) }
.panels > :only-child { max-width: 570px }
.verdict { border-left: 4px solid var(--good); background: var(--good-ground); border-radius: 6px;
  padding: 8px 12px; margin: 12px 0 0 }
.verdict.bad { border-color: var(--bad); background: var(--bad-ground) }
.scroll { overflow-x: auto }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; min-width: 100% }
th, td { padding: 5px 14px 5px 0; text-align: right; border-top: 1px solid var(--rule);
  white-space: nowrap }
thead th { border-top: 0; color: var(--soft); font-weight: 600; vertical-align: bottom;
  white-space: normal }
th:first-child, td:first-child { text-align: left; min-width: 8.5em;
  font-weight: 400; white-space: normal }
th:last-child, td:last-child { padding-right: 0 }
.good { color: var(--good) } .bad { color: var(--bad) }
pre { overflow-x: auto; margin: 6px 0 0; padding: 10px 12px; background: var(--ground);
  border-radius: 6px; font-size: 13px }
svg { display: block; width: 100%; height: auto; font-size: 12.5px }
svg text { fill: var(--soft) } svg text.label { fill: var(--ink) }
svg text.good { fill: var(--good) }
svg text.value { fill: var(--ink); paint-order: stroke; stroke: var(--card); stroke-width: 4px;
  stroke-linejoin: round }
.grid { stroke: var(--rule); stroke-width: 1 } .tick, .axis { stroke: var(--soft) }
.mark { stroke: var(--ink); stroke-dasharray: 3 3; opacity: .7 }
.before { fill: var(--soft); opacity: .12 } .hit { fill: transparent }
.hit:hover { fill: var(--ink); opacity: .08 }
.line.other { stroke-dasharray: 8 3 }
.line { fill: none; stroke-width: 2; stroke-linejoin: round }
.legend { display: flex; flex-wrap: wrap; gap: 2px 16px; margin: 0 0 4px; font-size: .86rem;
  color: var(--soft) }
.legend i { display: inline-block; width: 14px; height: 10px; margin-right: 6px;
  border-radius: 2px }
@media (max-width: 560px) { svg { font-size: 15px } main { padding: 14px 10px 36px }
  .card { padding: 10px } th, td { padding-right: 10px } }
""" + "".join(
    f"rect.s{index}, circle.s{index} {{ fill: var(--c{index}) }} "
    f".line.s{index} {{ stroke: var(--c{index}) }} "
    f".legend .s{index} {{ background: var(--c{index}) }}\n"
    for index in range(6)
)
