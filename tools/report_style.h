// SPDX-License-Identifier: Apache-2.0
//
// How the page of `ebbctl report` looks. --c0 to --c6 are series of a kind, --g0 to --g2 what
// belongs to none of them.
#pragma once

#include <string_view>

namespace ebbfs {

inline constexpr std::string_view kReportStyle = R"(
:root{color-scheme:light dark;--fg:#1b1f24;--bg:#fff;--soft:#59636e;--line:#d8dee4;--tile:#f6f8fa;
--bad:#c62828;--good:#1b7f3b;--mark:#8a6100;--c0:#2a78d6;--c1:#1baf7a;--c2:#eda100;--c3:#4a3aa7;
--c4:#e87ba4;--c5:#e34948;--c6:#8a6d3b;--g0:#8c959f;--g1:#b9c1c9;--g2:#dde2e7}
@media(prefers-color-scheme:dark){:root{--fg:#e6edf3;--bg:#0d1117;--soft:#9198a1;--line:#30363d;
--tile:#161b22;--bad:#ff7b72;--good:#56d364;--mark:#e3b341;--c0:#3987e5;--c1:#199e70;--c2:#c98500;
--c3:#9085e9;--c4:#d55181;--c5:#e66767;--c6:#a68a5b;--g0:#6b7580;--g1:#4a525c;--g2:#2f363e}}
*{box-sizing:border-box}
body{margin:0 auto;padding:1rem;max-width:64rem;background:var(--bg);color:var(--fg);
font:16px/1.5 system-ui,sans-serif}
h1{font-size:1.4rem;margin:0;overflow-wrap:anywhere}
h2{font-size:1.1rem;margin:2.2rem 0 .5rem}
.state{font-weight:600}.good{color:var(--good)}.bad{color:var(--bad)}
.soft,.legend{color:var(--soft);font-size:.875rem}
header p{margin:.25rem 0}.verdict{font-size:1.1rem}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(9rem,1fr));gap:.6rem;margin:1rem 0}
.tiles div{background:var(--tile);border-radius:8px;padding:.6rem .8rem}
.tiles b{display:block;font-size:1.25rem;line-height:1.3;font-weight:600}
.tiles span{color:var(--soft);font-size:.875rem}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%}
th,td{text-align:left;padding:.25rem 1rem .25rem 0;border-bottom:1px solid var(--line);
vertical-align:top}
th:last-child,td:last-child{padding-right:0}
th{color:var(--soft);font-weight:500;font-size:.875rem;white-space:nowrap}
.n{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}
td.t{overflow-wrap:anywhere}td.w{white-space:nowrap}
figure{margin:0}
.plot{display:grid;grid-template:14rem 1.6rem/4.6rem 1fr;margin:.5rem 0}
.plot svg{grid-area:1/2;width:100%;height:100%;display:block}
.ys{grid-area:1/1;position:relative}.xs{grid-area:2/2;position:relative}
.levels{grid-area:1/2;position:relative;pointer-events:none}
.ys span,.xs span,.levels span{position:absolute;font-size:.75rem;line-height:1;color:var(--soft);
white-space:nowrap}
.ys span{right:.5rem;transform:translateY(50%)}
.xs span{top:.4rem;transform:translateX(-50%)}
.xs .first{transform:none}.xs .last{transform:translateX(-100%)}
.levels span{right:0;padding:.15rem .3rem;background:var(--bg);border-radius:4px;margin:.15rem;
color:var(--mark)}
.levels .full{transform:translateY(100%);margin:0 .15rem;color:var(--soft)}
line{vector-effect:non-scaling-stroke}
.grid{stroke:var(--line);stroke-width:1}
line.high{stroke:var(--mark);stroke-width:1.5;stroke-dasharray:6 4}
line.full{stroke:var(--soft);stroke-width:1.5}
svg path{stroke:var(--bg);stroke-width:1;vector-effect:non-scaling-stroke}
.hit{fill:transparent}.hit:hover{fill:var(--fg);fill-opacity:.08}
.legend{margin:.25rem 0;line-height:1.9}
.legend span{white-space:nowrap;margin-right:1rem}
.legend i{display:inline-block;width:.75em;height:.75em;margin-right:.4em;border-radius:2px}
summary{color:var(--soft);font-size:.875rem;cursor:pointer;padding:.3rem 0}
.bar{background:var(--line);height:.6rem;border-radius:3px;min-width:5rem;margin-top:.45rem}
.bar b{display:block;height:100%;border-radius:3px;background:var(--c0)}
.bar b.bad{background:var(--bad)}
pre{background:var(--tile);padding:.75rem;overflow-x:auto;border-radius:8px;font-size:.875rem}
footer{margin-top:2.5rem;border-top:1px solid var(--line);padding-top:.5rem}
@media(max-width:36rem){body{padding:.75rem}.wide{display:none}
.xs span:nth-child(even){display:none}.plot{grid-template-columns:4rem 1fr}
th,td{padding-right:.6rem}}
@media print{details,.hit{display:none}body{max-width:none}}
)";

}  // namespace ebbfs
