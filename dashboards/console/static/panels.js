// Header, batch strip and the panels beside the trends.

import { adviceParts } from "./advice.js";
import { interlockActions, optimiserActions, recipeActions } from "./act.js";
import { priorityMark } from "./alarms.js";
import { el, retell, say, shape, show } from "./dom.js";
import { who } from "./session.js";
import { faded, qualityText } from "./faceplates.js";
import { age, count, dateTime, inWords, language, number, quantity, t, unitOf, word } from "./text.js";

const node = (id) => document.getElementById(id);
const title = (key, ...more) => el("h2", {}, t(key), ...more);
const row = (name, value, cls = "live") => el("div", { class: "row" }, el("span", { class: "name" }, name), el("span", { class: cls }, value));

/** Site, plant clock, simulation mark. */
export function header(snapshot) {
  const state = snapshot.state;
  say(node("site"), snapshot.site);
  say(node("clock"), dateTime(state?.time));
  const open = Object.entries(state?.devices ?? {}).filter(([, d]) => d.insecure).map(([name]) => name);
  const warned = Object.entries(state?.devices ?? {}).filter(([, d]) => warnings(d).length).map(([name]) => name);
  show(node("badges"), [state?.simulated, state?.speed, open, warned, language()], () => [
    state?.simulated ? el("strong", { class: "badge simulated" }, simulation(state.speed)) : null,
    open.length ? el("span", { class: "badge" }, shape("warn"), t("header.insecure", { names: open.join(", ") })) : null,
    warned.length ? el("span", { class: "badge warned" }, shape("warn"), t("header.warned", { names: warned.join(", ") })) : null,
  ]);
}

/** What a device's driver warns of; that it is not encrypted has a badge of its own. */
const warnings = (d) => (d.warnings ?? []).filter((text) => !(d.insecure && text.includes("encrypt")));

function simulation(speed) {
  if (speed === 0) return t("header.simulated_lockstep");
  return `${t("header.simulated")} ${t("header.speed", { n: +speed.toFixed(1) })}`;
}

/** Vessels to choose from, when there is more than one. */
export function reactors(ids, chosen, choose) {
  const nav = node("reactors");
  nav.hidden = ids.length < 2;
  show(nav, [ids, chosen], () =>
    ids.map((id) => {
      const button = el("button", { type: "button", "aria-pressed": String(id === chosen) }, id);
      button.addEventListener("click", () => choose(id));
      return button;
    }),
  );
}

/** Batch number, recipe, phase chain, hours since inoculation. */
export function batch(id, b) {
  show(node("batch"), [id, b, who()?.role, language()], () => [
    el("div", { class: "vessel" }, el("b", {}, id)),
    el("div", {}, el("small", {}, t("batch.id")), el("b", {}, b.id || t("batch.none"))),
    el("div", {}, el("small", {}, t("batch.recipe")), el("b", {}, b.recipe || "—")),
    el(
      "div",
      { class: `run ${b.state}` },
      b.state === "HELD" || b.state === "ABORTED" ? shape("warn") : null,
      el("b", {}, word("batch_state", b.state)),
      // held or aborted, the message stands among what needs attention
      b.message && !["HELD", "ABORTED"].includes(b.state) ? el("span", { lang: "en" }, b.message) : null,
      b.question ? el("span", { class: "question" }, `${t("batch.question")} ${b.question}`) : null,
    ),
    el("div", { class: "acts" }, ...recipeActions(id, b)),
    phases(b),
    el("div", { class: "age" }, el("small", {}, t("batch.phase_age")), el("b", { class: "live" }, quantity(b.phase_age_h, "h"))),
    el("div", { class: "age great" }, el("small", {}, t("batch.age")), el("b", { class: "live" }, quantity(b.age_h, "h"))),
  ]);
}

function phases(b) {
  const names = b.phases ?? [];
  const at = b.state === "COMPLETE" ? names.length : names.indexOf(b.phase);
  const steps = names.map((name, i) =>
    el(
      "li",
      { class: i < at ? "past" : i === at ? "now" : "", "aria-current": i === at ? "step" : null },
      i < at ? "✓ " : null,
      word("phase", name),
    ),
  );
  return el("ol", { "aria-label": t("batch.phases") }, ...steps);
}

const SAID = ["device", "interlock"]; // alarms of what the strip shows by itself

function troubles(state, reactor) {
  const found = [];
  const silent = Object.entries(state.devices ?? {}).filter(([, d]) => !d.answering);
  for (const [name, d] of silent) {
    const [key, old] = d.last_good ? ["attention.device_since", age(state.time - d.last_good)] : ["attention.device_never", ""];
    found.push(["device", t("attention.device"), t(key, { name, address: d.address, age: old }), d.error]);
  }
  // a bypass is shown whatever vessel is looked at
  const several = Object.keys(state.reactors).length > 1;
  for (const [id, other] of Object.entries(state.reactors))
    for (const [name, i] of Object.entries(other.interlocks ?? {}))
      if (i.bypass) found.push(["interlock", t("attention.bypass"), (several ? `${id} ` : "") + word("interlock", name), bypassed(i.bypass, state.time) + (i.tripped ? `: ${inWords(i)}` : "")]);
  for (const [name, i] of Object.entries(reactor.interlocks ?? {}))
    if (i.tripped && !i.bypass) found.push(["interlock", t("attention.interlock"), word("interlock", name), inWords(i)]);
  for (const name of reactor.local ?? []) found.push(["held", t("attention.local"), word("tag", name.split(".")[1]), ""]);
  // an alarm that a person has acknowledged stands in its panel; what is said here already is not said twice
  for (const a of state.alarms ?? [])
    if (a.state === "unacknowledged" && !SAID.includes(a.code)) found.push([`alarm ${a.priority}`, word("alarm_priority", a.priority), a.subject, inWords(a)]);
  const b = reactor.batch ?? {};
  if (b.state === "HELD") found.push(["held", t("attention.held"), b.id, b.message]);
  if (b.state === "ABORTED") found.push(["held", t("attention.aborted"), b.id, b.message]);
  if (state.samples_lost > 0) found.push(["alarm", t("attention.lost"), t("attention.lost_samples", { n: count(state.samples_lost) }), ""]);
  return found;
}

/** Everything abnormal, worst first, in one strip that is not there when there is nothing. */
export function attention(state, reactor) {
  const found = troubles(state, reactor);
  node("attention").hidden = found.length === 0;
  show(node("attention"), found, () =>
    found.map(([kind, what, subject, text]) =>
      el("div", { class: `trouble ${kind}` }, kind.startsWith("alarm ") ? priorityMark(kind.slice(6)) : shape(kind), el("strong", {}, what), el("b", {}, subject), text ? el("span", {}, text) : null),
    ),
  );
  return found.length;
}

/** Who bypassed an interlock, why, and how long it will be. */
const bypassed = (b, now) => t("interlocks.bypass", { left: left(b.until, now), who: b.who, reason: b.reason });
const left = (until, now) => t("age.min", { n: Math.max(0, Math.ceil((until - now) / 60)) });

/** How an interlock stands: the key of its word. */
function standing_of(i) {
  if (i.bypass) return "attention.bypass";
  if (i.tripped) return i.latched ? "interlocks.latched" : "interlocks.tripped";
  return "interlocks.ready";
}

/** Each interlock with what it does; one that is tripped or bypassed stands out. */
export function interlocks(all, id, now) {
  const list = Object.entries(all ?? {}).sort(([, a], [, b]) => b.tripped - a.tripped || !!b.bypass - !!a.bypass);
  const shown = list.map(([name, i]) => [name, { ...i, bypass: i.bypass && { ...i.bypass, left_min: null } }]);
  show(node("interlocks"), [shown, id, who()?.role, language()], () => [
    title("interlocks.title"),
    list.length ? null : el("p", { class: "quiet" }, t("interlocks.none")),
    ...list.map(([name, i]) =>
      el(
        "div",
        { class: i.tripped || i.bypass ? "lock tripped" : "lock", title: inWords(i) },
        el("div", { class: "row" }, el("b", {}, word("interlock", name)), el("span", {}, shape(i.tripped || i.bypass ? "interlock" : "GOOD"), t(standing_of(i)))),
        i.bypass ? el("small", {}, el("span", { "data-moment": i.bypass.until, "data-more": JSON.stringify(i.bypass) })) : null,
        el("small", {}, inWords(i)),
        el("div", { class: "acts" }, ...interlockActions(id, name, i)),
      ),
    ),
  ]);
  retell(node("interlocks"), (_, told) => bypassed(JSON.parse(told), now));
}

const ESTIMATES = [
  ["biomass_g_per_l", "g/L"],
  ["substrate_g_per_l", "g/L"],
  ["acetate_g_per_l", "g/L"],
  ["product_g_per_l", "g/L"],
  ["volume_l", "L"],
  ["qomax_factor", "1"],
  ["kla_factor", "1"],
];

/** Soft sensors, each with the half-width of its 95 % interval. */
export function estimate(values) {
  const rows = ESTIMATES.filter(([name]) => values?.[name]?.value != null);
  show(node("estimate"), [rows.map(([name]) => values[name]), language()], () => [
    title("estimate.title", el("small", {}, t("estimate.interval"))),
    rows.length ? null : el("p", { class: "quiet" }, t("estimate.none")),
    ...rows.map(([name, unit]) => {
      const { value, sd } = values[name];
      const about = sd == null ? "" : ` ± ${number(1.96 * sd, unit)}`;
      return el(
        "div",
        { class: "row", "data-estimate": name },
        el("span", { class: "name" }, word("estimate", name)),
        el("span", { class: "live" }, el("b", {}, number(value, unit)), el("small", {}, `${about} ${unitOf(unit)}`)),
      );
    }),
  ]);
}

/** What the optimiser is doing and why; what it would change now and what it foresees. */
export function optimiser(o, state, id) {
  const wrong = ["late", "infeasible", "shed", "latched", "dead"].includes(o?.state);
  const next = o?.next_in_s == null ? null : Math.max(0, Math.round(o.next_in_s));
  show(node("optimiser"), [o, next, state.time && Math.round(state.time / 60), who()?.role, language()], () => [
    title("optimiser.title"),
    el("div", { class: `mode-line ${o?.mode ?? "off"}` }, el("b", {}, word("optimiser_mode", o?.mode ?? "off"))),
    el(
      "div",
      { class: wrong ? "why strong" : "why" },
      wrong ? shape("warn") : null,
      el("b", {}, word("optimiser_state", o?.state ?? "off")),
      o?.reason ? el("span", inWords(o, "reason") === o.reason ? { lang: "en" } : {}, inWords(o, "reason")) : null,
    ),
    el(
      "div",
      { class: "counts" },
      figure("optimiser.next", next === null ? "—" : age(next)),
      figure("optimiser.plans", count(o?.plans)),
      figure("optimiser.streak", count(o?.good_in_a_row)),
      figure("optimiser.sheds", count(o?.sheds), o?.sheds > 0),
      figure("optimiser.late", count(o?.late), o?.late > 0),
    ),
    el("div", { class: "acts" }, ...optimiserActions(id, o?.mode ?? "off")),
    ...adviceParts(o, id, state.reactors[id]),
    ...advice(o?.plan, state),
  ]);
}

function figure(key, value, raised = false) {
  return el("div", { class: raised ? "raised" : "" }, el("small", {}, t(key)), el("b", { class: "live" }, value));
}

function advice(plan, state) {
  if (!plan?.time?.length) return [el("p", { class: "quiet" }, t("optimiser.no_plan"))];
  const at = Math.max(0, plan.time.findLastIndex((time) => time <= state.time));
  const last = plan.time.length - 1;
  const hours = ((plan.time[last] - state.time) / 3600).toFixed(1);
  const parts = (i, list) => list.filter(([field]) => plan[field]?.[i] != null).map(([field, unit, name]) => row(word(...name), quantity(plan[field][i], unit, name[1])));
  return [
    el("h3", {}, t("optimiser.advice")),
    ...parts(Math.min(at, last), [["feed_ml_per_h", "mL/h", ["tag", "feed"]], ["do_percent", "%", ["tag", "do"]]]),
    el("h3", {}, t("optimiser.end", { hours: `+${hours}` })),
    ...parts(last, [
      ["biomass_g_per_l", "g/L", ["estimate", "biomass_g_per_l"]],
      ["acetate_g_per_l", "g/L", ["estimate", "acetate_g_per_l"]],
      ["product_g", "g", ["trend", "product"]],
    ]),
  ];
}

/** Devices and whether they answer. */
export function devices(all) {
  const list = Object.entries(all ?? {});
  show(node("devices"), [list.map(([name, d]) => [name, d.answering, d.address, d.error, d.armed, d.warnings]), language()], () => [
    title("devices.title"),
    ...list.map(([name, d]) =>
      el(
        "div",
        { class: d.answering ? "device" : "device silent" },
        el("div", { class: "row" }, el("b", {}, name), el("span", {}, shape(d.answering ? "GOOD" : "device"), t(d.answering ? "devices.answering" : "devices.silent"))),
        el("small", {}, d.address),
        d.answering && !d.armed ? el("small", {}, shape("warn"), t("devices.unarmed")) : null,
        d.error ? el("small", { lang: "en" }, d.error) : null,
        ...(d.warnings ?? []).map((text) => el("small", { class: "warning", lang: "en" }, shape("warn"), text)),
      ),
    ),
  ]);
}

/** Every tag of the vessel, when the table is open. */
export function tags(all, now) {
  const details = node("tags");
  if (!details.open) return;
  const rows = Object.entries(all ?? {}).map(([name, v]) => [name, v, faded(name, v, now)]);
  show(details.querySelector("table"), [rows, language()], () => [
    el("tr", {}, ...["tags.name", "tags.value", "tags.quality"].map((key) => el("th", { scope: "col" }, t(key)))),
    ...rows.map(([name, v, seen]) => {
      const short = name.slice(name.indexOf(".") + 1);
      return el(
        "tr",
        { class: v.quality === "BAD" ? "bad" : "" },
        el("td", {}, word("tag", short), el("code", {}, name)),
        el("td", { class: "live" }, quantity(seen.value, v.unit, short)),
        el("td", {}, shape(v.quality), qualityText(v.quality, seen.age)),
      );
    }),
  ]);
}

/** Counters that tell whether scan and store keep up. */
export function footer(state) {
  const part = (key, value, raised = false) => el("span", { class: raised ? "raised" : "" }, raised ? shape("warn") : null, `${t(key)} ${value}`);
  const shown = [state.scans, state.scans_missed, state.samples_stored, state.samples_forwarded, state.samples_lost, state.scan_s];
  show(node("footer"), [shown, language()], () => [
    el("span", {}, t("footer.scan", { n: state.scan_s })),
    part("footer.scans", count(state.scans)),
    part("footer.missed", count(state.scans_missed), state.scans_missed > 0),
    part("footer.stored", count(state.samples_stored)),
    part("footer.forwarded", count(state.samples_forwarded)),
    part("footer.lost", count(state.samples_lost), state.samples_lost > 0),
  ]);
}
