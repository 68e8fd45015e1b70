// What each trend shows, and one uPlot that draws it. Data in, picture out; nothing is fetched here.

import { el, say } from "./dom.js";
import { number, t, timeOfDay, unitOf, word } from "./text.js";

const line = (key, tag, role, unit, more = {}) => ({ key, tag, role, unit, ...more });
/** The chart of a loop: measured, setpoint, output. */
export const loopChart = (name, unit, opUnit, more = {}) => ({
  id: name,
  title: ["tag", name],
  unit,
  name,
  lines: [
    line("trend.pv", name, "pv", unit, { band: true }),
    line("trend.sp", `${name}.sp`, "sp", unit),
    ...(opUnit ? [line("trend.op", `${name}.op`, "op", opUnit, { right: true })] : []),
  ],
  ...more,
});

/** The default set. `least` is the smallest span of the left axis, so that noise stays small. */
export const CHARTS = [
  loopChart("do", "%", "%", { least: 20, plan: { field: "do_percent" } }),
  loopChart("ph", "[pH]", "%", { least: 0.4 }),
  loopChart("temperature", "Cel", "%", { least: 2 }),
  {
    id: "air_agitation",
    title: ["trends", "air_agitation"],
    unit: "{r}/min",
    least: 200,
    leastRight: 1,
    lines: [
      line("trend.agitation", "agitation", "pv", "{r}/min", { band: true }),
      line("trend.sp", "agitation.sp", "sp", "{r}/min"),
      line("trend.air", "air_flow", "second", "L/min", { right: true }),
      line("", "air.sp", "sp2", "L/min", { right: true }), // its colour and dashes say what it is
    ],
  },
  loopChart("feed", "mL/h", "", { least: 10, floor: 0, plan: { field: "feed_ml_per_h" } }),
  {
    id: "biomass",
    title: ["trends", "biomass"],
    unit: "g/L",
    least: 2,
    floor: 0,
    leastRight: 0.5,
    floorRight: 0,
    lines: [
      line("trend.biomass", "est.biomass", "pv", "g/L", { band: true }),
      line("trend.acetate", "est.acetate", "second", "g/L", { right: true, band: true }),
    ],
    plan: { field: "biomass_g_per_l" },
    planRight: { field: "acetate_g_per_l" },
  },
  {
    id: "product",
    title: ["trends", "product"],
    unit: "g",
    least: 1,
    floor: 0,
    lines: [line("trend.product", "est.product_g", "pv", "g", { band: true })],
    plan: { field: "product_g" },
  },
  {
    id: "offgas",
    title: ["trends", "offgas"],
    unit: "%",
    least: 1,
    leastRight: 1,
    floorRight: 0,
    lines: [line("trend.o2", "offgas_o2", "pv", "%", { band: true }), line("trend.co2", "offgas_co2", "second", "%", { right: true })],
  },
];

// PV solid, SP dashed, OP thin, foreseen dotted; the second quantity of a chart has its own colour
const STYLE = {
  pv: { colour: "--pv", width: 2 },
  second: { colour: "--second", width: 2 },
  sp: { colour: "--sp", width: 1.5, dash: [7, 4] },
  sp2: { colour: "--second", width: 1.2, dash: [7, 4] },
  op: { colour: "--op", width: 1 },
  foreseen: { colour: "--pv", width: 2.4, dash: [2, 4] },
  foreseenRight: { colour: "--second", width: 2.4, dash: [2, 4] },
};

const STEPS = [60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 14400, 21600, 43200, 86400, 172800];
const colour = (name) => getComputedStyle(document.body).getPropertyValue(name).trim();

/** Rows of a chart: its lines, two bounds for each band, its predictions. */
export function rowsOf(chart) {
  const rows = chart.lines.map((l) => ({ ...l, scale: l.right ? "r" : "y" }));
  for (const l of chart.lines.filter((l) => l.band))
    for (const sign of [1, -1]) rows.push({ role: "bound", of: l.tag, sign, scale: l.right ? "r" : "y", unit: l.unit });
  const [first, second] = chart.lines;
  if (chart.plan) rows.push({ role: "foreseen", field: chart.plan.field, scale: "y", unit: first.unit });
  if (chart.planRight) rows.push({ role: "foreseenRight", field: chart.planRight.field, scale: "r", unit: second.unit });
  return rows;
}

function series(row) {
  if (row.role === "bound") return { scale: row.scale, width: 0, points: { show: false } };
  const style = STYLE[row.role];
  return { scale: row.scale, stroke: () => colour(style.colour), width: style.width, dash: style.dash, points: { show: false }, spanGaps: false };
}

function bands(chart, rows) {
  return chart.lines.filter((l) => l.band).map((l) => {
    const at = rows.findIndex((r) => r.role === "bound" && r.of === l.tag) + 1;
    return { series: [at, at + 1], fill: () => colour(l.right ? "--second-band" : "--pv-band") };
  });
}

// a feed in L/h is a smaller number than one in mL/h
const LEAST = { "L/h": 0.5 };

function range(given, floor, unit) {
  return (_, low, high) => {
    const least = LEAST[unit?.()] ?? given;
    if (low == null || high == null) return [floor ?? 0, (floor ?? 0) + least];
    const pad = Math.max((high - low) * 0.08, (least - (high - low)) / 2);
    if (floor == null || low - pad > floor) return [low - pad, high + pad];
    const top = Math.max(high + (high - low) * 0.08, floor + least);
    return [floor - (top - floor) * 0.02, top]; // a line on the floor stays visible
  };
}

function ticks(time) {
  return (u, _axis, low, high) => {
    const wide = Math.max(2, u.bbox.width / devicePixelRatio / 70);
    const step = STEPS.find((s) => (high - low) / s <= wide) ?? 345600;
    const zero = time.zero();
    const found = [];
    for (let x = zero + Math.ceil((low - zero) / step) * step; x <= high; x += step) found.push(x);
    return found;
  };
}

function tickText(time) {
  return (_, splits) => {
    const step = splits.length > 1 ? splits[1] - splits[0] : 3600;
    const digits = step % 3600 === 0 ? 0 : step % 1800 === 0 ? 1 : 2;
    return splits.map((x) => (time.byAge() ? `${((x - time.zero()) / 3600).toFixed(digits).replace("-", "−")} h` : timeOfDay(x)));
  };
}

function beyondNow(time) {
  return (u) => {
    const now = time.now();
    const x = u.valToPos(now, "x", true);
    const { left, top, width, height } = u.bbox;
    if (!(x > left && x < left + width - 2)) return;
    const { ctx } = u;
    ctx.save();
    ctx.fillStyle = colour("--future");
    ctx.fillRect(x, top, left + width - x, height);
    ctx.fillStyle = colour("--now");
    ctx.fillRect(x, top, devicePixelRatio, height);
    ctx.restore();
  };
}

/** Vertical lines with a name where a phase of the recipe began. */
function phaseMarks(time) {
  return (u) => {
    const { ctx } = u;
    const { left, top, width, height } = u.bbox;
    ctx.save();
    ctx.beginPath();
    ctx.rect(left, top, width, height);
    ctx.clip();
    ctx.fillStyle = ctx.strokeStyle = colour("--ink-2");
    ctx.font = `${11 * devicePixelRatio}px system-ui, sans-serif`;
    ctx.textBaseline = "top";
    ctx.textAlign = "left";
    ctx.setLineDash([devicePixelRatio, 3 * devicePixelRatio]);
    for (const [at, name] of time.marks()) {
      const x = Math.round(u.valToPos(at, "x", true)) + 0.5;
      ctx.beginPath();
      ctx.moveTo(x, top);
      ctx.lineTo(x, top + height);
      ctx.stroke();
      ctx.fillText(word("phase", name), x + 3 * devicePixelRatio, top + 1);
    }
    ctx.restore();
  };
}

/** Along the foot of a chart: low where a value was uncertain, high where it was bad. */
function qualityMarks(known) {
  return (u) => {
    const { time = [], worst = [], width = 0 } = known() ?? {};
    const { ctx } = u;
    const { left, top, height, width: wide } = u.bbox;
    ctx.save();
    ctx.beginPath();
    ctx.rect(left, top, wide, height);
    ctx.clip();
    worst.forEach((quality, i) => {
      if (quality == null || quality > 1) return;
      const x = u.valToPos(time[i] - width / 2, "x", true);
      const high = (quality === 0 ? 12 : 5) * devicePixelRatio;
      ctx.fillStyle = colour(quality === 0 ? "--alarm" : "--warn");
      ctx.fillRect(x, top + height - high, Math.max(devicePixelRatio, u.valToPos(time[i] + width / 2, "x", true) - x), high);
    });
    ctx.restore();
  };
}

function options(chart, rows, size, time, picked, quality) {
  const font = "12px system-ui, sans-serif";
  const axis = { font, stroke: () => colour("--ink-2"), grid: { stroke: () => colour("--grid"), width: 1 }, ticks: { show: false } };
  const right = chart.lines.find((l) => l.right);
  const tidy = (_, splits) => splits.map((v) => String(+v.toFixed(6)).replace("-", "−"));
  return {
    ...size,
    padding: [6, right ? 0 : 40, 0, 0], // the time axes of all charts stand above one another
    series: [{}, ...rows.map(series)],
    bands: bands(chart, rows),
    legend: { show: false },
    scales: { x: { time: false, range: () => time.range() }, y: { range: range(chart.least, chart.floor, () => chart.unit) }, r: { range: range(chart.leastRight ?? 10, chart.floorRight) } },
    axes: [
      { ...axis, size: 24, gap: 4, splits: ticks(time), values: tickText(time) },
      { ...axis, size: 46, gap: 4, space: 28, values: tidy },
      ...(right ? [{ ...axis, scale: "r", side: 1, size: 40, gap: 4, space: 28, values: tidy, grid: { show: false } }] : []),
    ],
    cursor: { drag: { x: false, y: false }, sync: { key: "fermloop" }, points: { size: 6 }, y: false },
    hooks: { drawClear: [beyondNow(time)], draw: [phaseMarks(time), qualityMarks(quality)], setCursor: [(u) => picked(u.cursor.idx)] },
  };
}

function swatch(role) {
  return el("i", { class: `swatch ${role}`, "aria-hidden": "true" });
}

/** One chart with its title and a legend that tells values: the newest, or those at the cursor. */
export class Chart {
  constructor(chart, time) {
    this.chart = { ...chart };
    this.time = time;
    this.rows = rowsOf(chart);
    this.title = el("b");
    this.legend = el("span", { class: "legend" });
    this.box = el("div", { class: "plot" });
    this.root = el("figure", { "data-chart": chart.id }, el("figcaption", {}, this.title, this.legend), this.box);
    this.data = [[], ...this.rows.map(() => [])];
    this.idx = null;
    this.labels();
    new ResizeObserver(() => this.fit()).observe(this.box);
  }

  /** Make the texts again: at the start and after a change of language. */
  labels() {
    const unit = unitOf(this.chart.unit, this.chart.name);
    say(this.title, word(...this.chart.title) + (unit ? ` · ${unit}` : ""));
    this.figures = this.rows.map((row) => (row.key ? el("b", { class: "live" }) : null));
    const items = this.rows.map((row, i) =>
      row.key ? el("span", {}, swatch(row.role), row.tag.endsWith("sp") ? t("trend.sp") : t(row.key), this.figures[i], row.right ? unitOf(row.unit) : null) : null,
    );
    this.ahead = el("span");
    const foreseen = this.rows.some((row) => row.field) ? el("span", { class: "foreseen-item" }, swatch("foreseen"), this.ahead) : null;
    this.legend.replaceChildren(...[...items, foreseen].filter(Boolean));
    this.tell();
  }

  /** Take the units that the plant has: `unitOfTag` tells that of a short tag, if it knows it. */
  units(unitOfTag) {
    const rows = this.rows.map((row) => ({ ...row, unit: unitOfTag(row.tag ?? row.of) ?? row.unit }));
    if (rows.every((row, i) => row.unit === this.rows[i].unit)) return;
    this.rows = rows;
    this.chart.unit = rows[0].unit;
    this.labels();
  }

  /** Draw columns: time, then one per row; null is a gap, undefined is no point at all. */
  draw(data, shadow) {
    say(this.ahead, t(shadow ? "trends.shadow" : "trends.foreseen"));
    this.data = data;
    if (this.plot) this.plot.setData(data);
    else this.fit();
    this.root.dataset.points = String(data[1].reduce((n, v) => n + (v != null), 0));
    this.root.classList.toggle("planned", this.rows.some((row, i) => row.field && data[i + 1].some((v) => v != null)));
    this.tell();
  }

  /** Draw again with other colours. */
  repaint() {
    this.plot?.redraw();
  }

  fit() {
    const size = { width: this.box.clientWidth, height: this.box.clientHeight };
    if (!(size.width > 60 && size.height > 60)) return;
    if (this.plot) this.plot.setSize(size);
    else this.plot = new uPlot(options(this.chart, this.rows, size, this.time, (idx) => this.pick(idx), () => this.quality), this.data, this.box);
  }

  pick(idx) {
    this.idx = idx;
    this.tell();
  }

  tell() {
    this.rows.forEach((row, i) => {
      if (!this.figures[i]) return;
      const column = this.data[i + 1];
      const value = this.idx == null ? column.findLast((v) => v !== undefined) : column[this.idx];
      say(this.figures[i], number(value, row.unit));
    });
  }
}
