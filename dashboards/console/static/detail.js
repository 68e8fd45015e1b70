// A loop in detail: its last hour (PV solid, SP dashed, OP thin, quality below), and its tuning.

import { tuningAction, gainUnit } from "./act.js";
import { Chart, loopChart, rowsOf } from "./charts.js";
import { el, show } from "./dom.js";
import { button, look, may } from "./session.js";
import { language, plain, t, unitOf, word } from "./text.js";

const POINTS = 600;
const EVERY_MS = 5000;
const HOUR_S = 3600;
const node = document.getElementById("detail");

let open = null; // { id, name }
let tab = "trend";
let loop = null;
let chart = null;
let news = { reactors: {}, time: 0, scan: 1 };
let asked = -Infinity;

node.addEventListener("keydown", (event) => {
  if (event.key === "Escape") close();
});

function close() {
  open = null;
  chart = null;
  node.close();
}

/** Open the detail of a loop. */
export function detail(id, name) {
  open = { id, name };
  chart = null;
  asked = -Infinity;
  if (!node.open) node.show();
  draw();
  node.querySelector("button")?.focus();
}

const clock = {
  now: () => news.time,
  marks: () => [],
  byAge: () => false,
  zero: () => new Date(news.time * 1000).setHours(0, 0, 0, 0) / 1000,
  range: () => [news.time - HOUR_S, news.time],
};

async function fetched() {
  asked = performance.now();
  const { id, name } = open;
  const tags = ["", ".sp", ".op"].map((suffix) => `${id}.${name}${suffix}`);
  const behind = `${tags[0]}_flow`; // a drive without a PID: what is measured behind it
  const measured = loop.measured ?? (news.reactors[id].tags?.[behind] ? behind : tags[0]);
  const points = Math.max(10, Math.min(POINTS, Math.floor(HOUR_S / 2 / (news.scan || 1))));
  const query = new URLSearchParams({ tags: [measured, ...tags.slice(1)], bands: measured, hours: 1, points });
  try {
    const body = await look(`/api/series?${query}`);
    if (open?.id !== id || open?.name !== name || !chart) return;
    const columns = { [name]: ["values", measured], [`${name}.sp`]: ["values", tags[1]], [`${name}.op`]: ["values", tags[2]] };
    const column = (row) => {
      if (row.role === "bound") return body[row.sign > 0 ? "high" : "low"][measured];
      const [kind, tag] = columns[row.tag];
      return body[kind][tag];
    };
    chart.quality = { time: body.time, worst: body.quality[measured] ?? [], width: body.width_s };
    chart.draw([body.time, ...rowsOf(chart.chart).map((row) => column(row) ?? body.time.map(() => null))], false);
    told("");
  } catch (error) {
    told(t("trends.failed", { error: error.message }));
  }
}

function told(text) {
  const note = node.querySelector(".trend-note");
  if (note) note.textContent = text;
}

function trend() {
  const { name } = open;
  const least = 0.02 * (loop.sp_high - loop.sp_low) || 1; // so that noise stays small
  chart = new Chart(loopChart(name, loop.pv_unit || loop.op_unit || "1", loop.op_unit, { least }), clock);
  chart.root.classList.add("large");
  asked = -Infinity;
  return [chart.root, el("p", { class: "quiet key" }, el("i", { class: "swatch uncertain" }), t("quality.UNCERTAIN"), el("i", { class: "swatch bad" }), t("quality.BAD"), el("span", { class: "trend-note" }))];
}

function tuning() {
  const { id, name } = open;
  const { tuning: k } = loop;
  const line = (key, value, unit) => el("tr", {}, el("th", { scope: "row" }, t(key)), el("td", {}, value), el("td", {}, unit));
  const seconds = unitOf("s");
  const pv = unitOf(loop.pv_unit, name);
  return [
    el(
      "table",
      { class: "tuning" },
      line("tuning.kp", plain(k.kp), gainUnit(loop, name)),
      line("tuning.ti", k.ti_s == null ? t("tuning.no_integral") : plain(k.ti_s), k.ti_s == null ? "" : seconds),
      line("tuning.td", plain(k.td_s), seconds),
      line("tuning.filter", plain(k.filter_s), seconds),
      line("tuning.deadband", plain(k.deadband), pv),
      line("tuning.sp_limits", `${plain(loop.sp_low)} … ${plain(loop.sp_high)}`, pv),
      line("tuning.sp_rate", loop.sp_rate_per_s == null ? "—" : plain(loop.sp_rate_per_s * 60), loop.sp_rate_per_s == null ? "" : `${pv}/${unitOf("min")}`),
      line("tuning.op_limits", `${plain(loop.op_low)} … ${plain(loop.op_high)}`, unitOf(loop.op_unit)),
    ),
    loop.scheduled ? el("p", { class: "quiet" }, t("tuning.scheduled", { tag: loop.scheduled })) : null,
    may("engineer") ? el("div", { class: "acts" }, button("tuning.change", () => tuningAction(id, name, loop), { class: "primary" })) : el("p", { class: "quiet" }, t("tuning.read_only")),
  ];
}

/** Take the newest state; draws only what has changed. */
export function update(state) {
  news = { reactors: state.reactors, time: state.time, scan: state.scan_s };
  draw();
}

function draw() {
  if (!open) return;
  const found = news.reactors[open.id]?.loops?.[open.name];
  if (!found) return close();
  loop = found;
  const tunable = Boolean(loop.tuning) && may("operator");
  if (tab === "tuning" && !tunable) tab = "trend";
  show(node, [open, tab, tunable, may("engineer"), tab === "tuning" ? [loop.tuning, loop.sp_low, loop.sp_high] : null, language()], () => {
    chart = null;
    const choose = (key) => button(`detail.${key}`, () => ((tab = key), draw()), { "aria-pressed": String(tab === key) });
    return [
      el("header", {}, el("h2", {}, `${word("tag", open.name)} `, el("code", {}, `${open.id}.${open.name}`)), choose("trend"), tunable ? choose("tuning") : null, button("detail.close", close)),
      ...(tab === "trend" ? trend() : tuning()),
    ];
  });
  if (tab === "trend" && performance.now() - asked > EVERY_MS) fetched();
}
