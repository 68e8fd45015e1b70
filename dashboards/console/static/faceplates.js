// One faceplate a loop: measured value, setpoint, output, quality, mode, and why where it matters.

import { loopActions } from "./act.js";
import { detail } from "./detail.js";
import { el, say, shape, show } from "./dom.js";
import { who } from "./session.js";
import { age, inWords, number, quantity, t, unitOf, word } from "./text.js";

const ORDER = ["temperature", "ph", "do", "agitation", "air", "feed"]; // these are large
const plates = new Map(); // loop → its nodes
const lastGood = new Map(); // tag → its last value that was not BAD, shown struck while it is
const twoSided = new Set(); // loops whose output has been seen below 0: acid and base

function rank(name) {
  const place = ORDER.indexOf(name);
  return place < 0 ? ORDER.length : place;
}

/** What a loop shows: for a drive without a PID what is measured behind it, where something is. */
function measured(reactor, id, name, loop) {
  const behind = reactor.tags?.[`${id}.${name}_flow`] ?? reactor.tags?.[`${id}.${name}`];
  const unit = loop.pv_unit || loop.op_unit || "1";
  if (behind?.unit === unit) return { ...behind, unit };
  return { value: loop.pv, unit, quality: loop.quality ?? "GOOD", age_s: 0 };
}

/** The value to show: while it is BAD the last one that was not, with its age in plant s. */
export function faded(key, { value, quality, age_s: told }, now) {
  if (quality !== "BAD") {
    if (value != null) lastGood.set(key, { value, time: now });
    return { value, age: 0 };
  }
  const last = lastGood.get(key);
  return { value: last?.value ?? null, age: Math.max(told ?? 0, last ? now - last.time : 0) };
}

/** Words for a quality: "bad, last good 12 s ago". */
export function qualityText(quality, ageS) {
  return quality === "BAD" && ageS > 0 ? t("quality.BAD_since", { age: age(ageS) }) : word("quality", quality);
}

function build(id, name) {
  const part = (cls) => el("span", { class: cls });
  const n = {
    title: el("button", { type: "button", class: "open" }),
    mode: el("span", { class: "mode" }),
    value: el("span", { class: "value live" }),
    unit: part("unit"),
    quality: el("div", { class: "quality" }),
    fill: part("fill"),
    mark: part("mark"),
    low: part("limit"),
    high: part("limit"),
    spName: part("name"),
    sp: part("sp live"),
    opName: part("name"),
    op: part("op live"),
    opFill: part("fill"),
    why: el("div", { class: "why" }),
    alarms: el("div", { class: "own-alarms" }),
    acts: el("div", { class: "acts" }),
  };
  n.bar = el("div", { class: "bar", "aria-hidden": "true" }, n.fill, n.mark);
  n.opBar = el("div", { class: "bar thin", "aria-hidden": "true" }, n.opFill);
  n.root = el(
    "article",
    { class: rank(name) < ORDER.length ? "plate" : "plate small", "data-loop": name },
    el("header", {}, el("h3", {}, n.title), n.mode),
    el("div", { class: "pv" }, n.value, n.unit),
    n.quality,
    el("div", { class: "scale" }, n.low, n.bar, n.high),
    el("div", { class: "row" }, n.spName, n.sp),
    el("div", { class: "row output" }, n.opName, n.op),
    n.opBar,
    n.why,
    n.alarms,
    n.acts,
  );
  n.title.addEventListener("click", () => detail(id, name));
  return n;
}

const share = (value, low, high) => Math.min(100, Math.max(0, (100 * (value - low)) / (high - low)));

function span(node, from, to) {
  node.style.left = `${Math.min(from, to)}%`;
  node.style.width = `${Math.abs(to - from)}%`;
}

function outputRange(key, loop) {
  if (Number.isFinite(loop.op_low) && Number.isFinite(loop.op_high)) return [loop.op_low, loop.op_high];
  if (loop.op_unit !== "%") return [loop.sp_low, loop.sp_high];
  if (loop.op < 0) twoSided.add(key);
  return twoSided.has(key) ? [-100, 100] : [0, 100];
}

function bars(n, key, loop, pv) {
  const { sp_low: low, sp_high: high } = loop;
  const scaled = high > low;
  n.bar.parentNode.hidden = !scaled;
  if (scaled) {
    say(n.low, String(+low.toFixed(2)).replace("-", "−"));
    say(n.high, String(+high.toFixed(2)));
    span(n.fill, 0, pv == null ? 0 : share(pv, low, high));
    n.mark.hidden = loop.sp == null;
    if (loop.sp != null) n.mark.style.left = `${share(loop.sp, low, high)}%`;
  }
  const [opLow, opHigh] = outputRange(key, loop);
  n.opBar.hidden = loop.op == null || !(opHigh > opLow);
  if (!n.opBar.hidden) span(n.opFill, share(Math.max(0, opLow), opLow, opHigh), share(loop.op, opLow, opHigh));
}

function modes(n, loop) {
  const { actual, target } = loop;
  const reason = inWords(loop, "reason");
  say(n.mode, word("mode", actual));
  n.mode.className = `mode ${actual}`;
  n.mode.setAttribute("aria-label", `${t("loops.mode_label")}: ${word("mode", actual)}`);
  const differs = target !== actual;
  n.root.classList.toggle("differs", differs);
  show(n.why, [actual, target, reason, document.documentElement.lang], () => [
    differs ? shape("warn") : null,
    differs ? el("b", {}, t("loops.target", { mode: word("mode", target) })) : null,
    reason ? el("span", {}, reason) : null,
  ]);
}

function update(n, id, name, loop, reactor, now, alarms) {
  const key = `${id}.${name}`;
  const m = measured(reactor, id, name, loop);
  const { value, age: old } = faded(key, m, now);
  say(n.title, word("tag", name));
  n.title.title = t("detail.open");
  say(n.value, number(value, m.unit));
  say(n.unit, unitOf(m.unit, name));
  n.root.classList.toggle("bad", m.quality === "BAD");
  n.root.classList.toggle("uncertain", m.quality === "UNCERTAIN");
  const text = qualityText(m.quality, old);
  show(n.quality, [m.quality, text, document.documentElement.lang], () => [
    el("span", { class: "told" }, shape(m.quality), text),
    el("span", { class: "stale" }, shape("UNCERTAIN"), t("quality.stale")),
  ]);
  say(n.spName, t("loops.sp"));
  say(n.sp, quantity(loop.sp, loop.pv_unit || loop.op_unit || m.unit, ""));
  say(n.opName, t("loops.op"));
  say(n.op, quantity(loop.op, loop.op_unit));
  bars(n, key, loop, value);
  modes(n, loop);
  const own = alarms.filter((a) => a.active && (a.subject === key || a.subject === loop.measured));
  show(n.alarms, [own.map((a) => a.text), document.documentElement.lang], () => own.map((a) => el("small", {}, shape("alarm"), inWords(a))));
  // the buttons keep their focus while only values move: their dialogs take these when they open
  n.loop = loop;
  show(n.acts, [who()?.role, loop.target, loop.modes, loop.critical, document.documentElement.lang], () => loopActions(id, name, () => n.loop));
}

/** Show every loop of one reactor. */
export function faceplates(node, id, reactor, now, alarms) {
  const names = Object.keys(reactor.loops ?? {}).sort((a, b) => rank(a) - rank(b));
  const wanted = names.map((name) => `${id}.${name}`);
  if ([...plates.keys()].join() !== wanted.join()) {
    plates.clear();
    for (const name of names) plates.set(`${id}.${name}`, build(id, name));
    node.replaceChildren(...[...plates.values()].map((n) => n.root));
  }
  for (const name of names) update(plates.get(`${id}.${name}`), id, name, reactor.loops[name], reactor, now, alarms);
}
