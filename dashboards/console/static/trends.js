// The trends: history from the store, the newest points from the live state, the foreseen beyond now.

import { CHARTS, Chart, rowsOf } from "./charts.js";
import { el, show } from "./dom.js";
import { language, t } from "./text.js";

const WINDOWS = [1, 8, 24, "batch"];
const POINTS = 600; // as many as a chart has pixels, but a bucket spans at least two scans
const FUTURE = 0.3; // the greatest share of a window that is given to what is foreseen
const ESTIMATE = { biomass: "biomass_g_per_l", substrate: "substrate_g_per_l", acetate: "acetate_g_per_l", product: "product_g_per_l", volume: "volume_l" };

const charts = [];
let chosen = 1;
let byAge = true;
let reactorId = null;
let snapshot = null;
let history = null; // { time: [...], values: { tag: [...] } }
let begun = []; // phases that began in the window
let empty = false; // nothing is stored in the window
let failure = null;
let asked = -Infinity; // when the store was last asked, ms
let busy = false;

const reactor = () => snapshot?.state?.reactors?.[reactorId];
const now = () => snapshot?.state?.time ?? 0;

function hours() {
  if (chosen !== "batch") return chosen;
  return Math.min(1440, Math.max(0.25, (reactor()?.batch?.age_h ?? 1) * 1.02));
}

const time = {
  now,
  marks: () => begun,
  byAge: () => byAge,
  // ticks are counted from the inoculation, or from local midnight
  zero() {
    if (byAge) return now() - (reactor()?.batch?.age_h ?? 0) * 3600;
    return new Date(now() * 1000).setHours(0, 0, 0, 0) / 1000;
  },
  range() {
    const span = hours() * 3600;
    const plan = reactor()?.optimiser?.plan?.time;
    const ahead = plan?.length ? Math.min(plan.at(-1) - now(), span * FUTURE) : 0;
    return [now() - span, now() + Math.max(ahead, span * 0.01)];
  },
};

/** Short tags (do.sp) that the charts need; product in g is made of titre and volume. */
function needed() {
  const tags = new Set();
  for (const { tag, band } of CHARTS.flatMap((c) => c.lines)) {
    const base = tag === "est.product_g" ? "est.product" : tag;
    tags.add(base);
    if (band) tags.add(`${base}.sd`);
  }
  tags.add("est.volume").add("phase");
  return [...tags];
}

/** Short tags of which the least and greatest are drawn too. */
const banded = () => CHARTS.flatMap((c) => c.lines).filter((l) => l.band && !l.tag.startsWith("est.")).map((l) => l.tag);

/** The value of a short tag in the live state; undefined where the state does not tell it. */
function liveValue(tag) {
  const r = reactor();
  const [first, second, third] = tag.split(".");
  if (first === "phase") return r.batch?.phases?.indexOf(r.batch.phase);
  if (first === "est") return third === "sd" ? r.estimate?.[ESTIMATE[second]]?.sd : r.estimate?.[ESTIMATE[second]]?.value;
  if (second) return r.loops?.[first]?.[second];
  return (r.tags?.[`${reactorId}.${first}`] ?? { value: r.loops?.[first]?.pv }).value;
}

/** The unit of a short tag by the live state; undefined where the state does not tell it. */
function unitOfTag(tag) {
  const [first, second] = (tag ?? "").split(".");
  const loop = reactor()?.loops?.[first];
  if (second) return second === "op" ? loop?.op_unit : loop?.pv_unit;
  return reactor()?.tags?.[`${reactorId}.${first}`]?.unit ?? loop?.pv_unit;
}

async function ask() {
  busy = true;
  asked = performance.now();
  const wanted = [reactorId, chosen];
  const names = (tags) => tags.map((tag) => `${reactorId}.${tag}`).join();
  const points = Math.max(10, Math.min(POINTS, Math.floor((hours() * 1800) / (snapshot.state.scan_s || 1))));
  try {
    const query = new URLSearchParams({ tags: names(needed()), bands: names(banded()), hours: hours().toFixed(3), points });
    const reply = await fetch(`/api/series?${query}`);
    const body = await reply.json();
    if (!reply.ok) throw new Error(body.error);
    empty = body.time.length === 0;
    // without a store the live values that have been drawn so far are all there is
    if (wanted.join() === [reactorId, chosen].join() && !(empty && history?.time.length)) history = body;
    failure = null;
  } catch (error) {
    failure = error.message; // the state stream says whether the console itself is gone
  } finally {
    busy = false;
  }
  redraw();
}

function extend() {
  const last = history.time.at(-1) ?? 0;
  if (!(now() > last) || !reactor()) return;
  // what is longer than a few buckets and answers of the controller is a gap, not a slow store
  const hole = now() - last > Math.max(3 * history.width_s, 15 * (snapshot.state.speed || 1));
  if (hole) push(last + 1, () => null);
  push(now(), liveValue);
}

function push(at, value) {
  history.time.push(at);
  for (const tag of needed())
    for (const kind of ["values", "low", "high"]) history[kind][`${reactorId}.${tag}`]?.push(value(tag) ?? null);
}

const column = (tag, kind = "values") => history[kind][`${reactorId}.${tag}`] ?? [];

function values(tag) {
  if (tag !== "est.product_g") return column(tag);
  const volume = column("est.volume");
  return column("est.product").map((p, i) => (p == null || volume[i] == null ? null : p * volume[i]));
}

/** One edge of a band: of an estimate its 95 % interval, of a measurement what its buckets span. */
function bound({ of: tag, sign }) {
  if (!tag.startsWith("est.")) return column(tag, sign > 0 ? "high" : "low");
  const volume = column("est.volume");
  const product = tag === "est.product_g";
  const sd = column(product ? "est.product.sd" : `${tag}.sd`);
  return values(tag).map((v, i) => (v == null || sd[i] == null ? null : Math.max(0, v + sign * 1.96 * sd[i] * (product ? volume[i] : 1))));
}

/** Plan columns from now on: the first point is where now cuts the plan. */
function foreseen(plan, field) {
  const ahead = plan.time.map((x, i) => [x, plan[field]?.[i] ?? null]).filter(([x]) => x > now());
  const i = plan.time.findLastIndex((x) => x <= now());
  if (i >= 0 && ahead.length) {
    const share = (now() - plan.time[i]) / (plan.time[i + 1] - plan.time[i]);
    ahead.unshift([now(), plan[field]?.[i] == null ? null : plan[field][i] + share * (plan[field][i + 1] - plan[field][i])]);
  }
  return ahead;
}

/** Where a phase began: [plant time, name]. */
function marks() {
  const names = reactor()?.batch?.phases ?? [];
  const found = [];
  let before = null;
  column("phase").forEach((value, i) => {
    const phase = value == null ? before : Math.ceil(value); // a bucket's mean, between two phases
    if (before !== null && phase !== before && names[phase]) found.push([history.time[i], names[phase]]);
    before = phase;
  });
  return found;
}

function columns(chart) {
  const plan = reactor()?.optimiser?.plan;
  const rows = rowsOf(chart);
  const past = history.time;
  const field = rows.find((row) => row.field)?.field;
  const ahead = plan && field ? foreseen(plan, field).map(([x]) => x) : [];
  const fresh = ahead.filter((x) => x > (past.at(-1) ?? 0));
  const joins = ahead.length > fresh.length; // the last stored point is at now: the plan starts on it
  return [
    [...past, ...fresh],
    ...rows.map((row) => {
      if (!row.field) {
        const known = row.role === "bound" ? bound(row) : values(row.tag);
        return [...(known.length ? known : past.map(() => null)), ...fresh.map(() => undefined)];
      }
      if (!ahead.length) return past.map(() => undefined);
      const told = foreseen(plan, row.field).map(([, v]) => v);
      const first = past.map(() => undefined);
      if (joins && first.length) first[first.length - 1] = told[0];
      return [...first, ...told.slice(ahead.length - fresh.length)];
    }),
  ];
}

function redraw() {
  show(document.getElementById("trend-note"), [failure, empty, language()], () => [
    failure ? t("trends.failed", { error: failure }) : empty ? t("trends.empty") : "",
  ]);
  begun = history ? marks() : [];
  document.getElementById("charts").dataset.phases = begun.map(([, name]) => name).join();
  const shadow = reactor()?.optimiser?.mode === "shadow";
  if (history) for (const chart of charts) chart.draw(columns(chart.chart), shadow);
}

function toolbar() {
  const spans = WINDOWS.map((w) => [w, w === "batch" ? t("trends.batch") : t("trends.hours", { n: w })]);
  choice(document.getElementById("windows"), spans, chosen, (window) => {
    chosen = window;
    asked = -Infinity;
    step();
  });
  const axes = [[true, t("trends.axis_age")], [false, t("trends.axis_clock")]];
  choice(document.getElementById("axis"), axes, byAge, (age) => {
    byAge = age;
    redraw();
  });
}

/** A group of buttons of which one is pressed. */
function choice(group, options, pressed, take) {
  show(group, [options, pressed], () =>
    options.map(([value, text]) => {
      const button = el("button", { type: "button", "aria-pressed": String(value === pressed), "data-value": String(value) }, text);
      button.addEventListener("click", () => {
        take(value);
        toolbar();
        group.querySelector("[aria-pressed=true]").focus();
      });
      return button;
    }),
  );
}

/** Make the charts once. */
export function begin() {
  for (const chart of CHARTS) charts.push(new Chart(chart, time));
  document.getElementById("charts").replaceChildren(...charts.map((chart) => chart.root));
  document.addEventListener("visibilitychange", step);
  toolbar();
}

function step() {
  if (document.hidden || !reactor()) return;
  for (const chart of charts) chart.units(unitOfTag);
  const period = chosen === 1 ? 5000 : 15000;
  if (!busy && performance.now() - asked > period) ask();
  if (history) {
    extend();
    redraw();
  }
}

/** Take a new snapshot of one reactor. */
export function update(news, id) {
  if (id !== reactorId) {
    history = null;
    asked = -Infinity;
  }
  snapshot = news;
  reactorId = id;
  step();
}

/** Say everything again in the language of now. */
export function relabel() {
  for (const chart of charts) chart.labels();
  toolbar();
  redraw();
}

/** Draw again in the colours of now. */
export function repaint() {
  for (const chart of charts) chart.repaint();
}
