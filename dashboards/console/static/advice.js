// The optimiser's advice: what it suggests, what it has shown, and who decides.

import { ask } from "./ask.js";
import { el, shape } from "./dom.js";
import { button, may } from "./session.js";
import { inWords, number, plain, quantity, t, timeOfDay, unitOf, word } from "./text.js";
import { ahead } from "./whatif.js";

const LEVELS = ["off", "shadow", "advisory", "on"];

const row = (name, value) => el("div", { class: "row" }, el("span", { class: "name" }, name), el("span", { class: "live" }, value));
const signed = (value, digits = 3) => (value >= 0 ? "+" : "−") + Math.abs(value).toPrecision(digits).replace(/e.*/, "");

/** "+2.35 g (+1.8 … +2.9), +17 %": a gain with its 90 % interval. */
function gain(s) {
  const [low, middle, high] = s.gain_g;
  const share = s.gain_percent ? `, ${signed(s.gain_percent[1], 2)} %` : "";
  return `${signed(middle)} ${unitOf("g")} (${signed(low)} … ${signed(high)})${share}`;
}

/** A suggestion with what it changes, gains, is limited by, and why. */
function card(s, title, buttons) {
  const [now, first, then] = s.feed_ml_per_h;
  const feed = `${number(now, "mL/h")} → ${quantity(first, "mL/h")} · ${t("advice.then", { feed: number(then, "mL/h") })}`;
  return el(
    "div",
    { class: "suggestion", "data-suggestion": s.number },
    el("h3", {}, title),
    row(word("tag", "feed"), feed),
    row(word("tag", "do"), `${number(s.do_percent[0], "%")} → ${quantity(s.do_percent[1], "%", "do")}`),
    row(t("advice.gain"), gain(s)),
    row(t("advice.binding"), s.binding ? word("limit", s.binding) : "—"),
    el("p", { class: "reason" }, inWords(s, "why")),
    buttons.length ? el("div", { class: "acts" }, ...buttons) : null,
  );
}

function decisions(id, s, loops) {
  if (!may("operator")) return [];
  const { feed, do: oxygen } = loops;
  const per = { "L/h": 1000, "mL/min": 60 }[feed?.op_unit] ?? 1; // of the loop's unit in mL/h
  const common = (action) => ({ title: `advice.${action}`, subject: String(s.number), path: `advice/${id}`, body: { action, number: s.number } });
  const changed = [
    { key: "feed", label: word("tag", "feed"), now: +(s.feed_ml_per_h[1] / per).toPrecision(4), low: feed?.sp_low, high: feed?.sp_high, unit: unitOf(feed?.op_unit ?? "mL/h") },
    { key: "do", label: word("tag", "do"), now: +s.do_percent[1].toFixed(1), low: oxygen?.sp_low, high: oxygen?.sp_high, unit: unitOf("%", "do") },
  ];
  return [
    button("advice.accept", () => ask({ ...common("accept"), note: inWords(s, "text") }), { class: "primary" }),
    button("advice.edit", () => ask({ ...common("edit"), note: t("advice.edit_note"), fields: changed, reason: "required" })),
    button("advice.reject", () => ask({ ...common("reject"), reason: "required" })),
  ];
}

function promotion(id, o) {
  if (!may("engineer")) return [];
  const choice = LEVELS.filter((mode) => mode !== "off" && mode !== o.granted).map((mode) => [mode, word("optimiser_mode", mode)]);
  const next = LEVELS[LEVELS.indexOf(o.granted) + 1];
  const lacking = (o.evidence.lacking[next] ?? []).map((line) => inWords(line)).join("; ");
  const asked = (override) =>
    ask({
      title: override ? "advice.override" : "advice.promote",
      subject: id,
      path: `optimiser/${id}/promote`,
      body: { override },
      note: override && lacking ? t("advice.lacking", { lines: lacking }) : "",
      fields: [{ key: "mode", label: t("act.mode"), old: word("optimiser_mode", o.granted), now: next, choice }],
      reason: override ? "required" : "optional",
    });
  return [button("advice.promote", () => asked(false)), ...(lacking ? [button("advice.override", () => asked(true))] : [])];
}

function evidence(id, o) {
  const e = o.evidence;
  const percent = (share) => (share == null ? "—" : `${Math.round(100 * share)} %`);
  const next = LEVELS[LEVELS.indexOf(o.granted) + 1];
  const lacking = e.lacking[next] ?? [];
  return el(
    "details",
    { class: "evidence", open: opened },
    el("summary", {}, t("advice.evidence"), " · ", t("advice.granted", { mode: word("optimiser_short", o.granted) })),
    ...["shadow", "advisory", "on"].map((mode) => row(t("advice.hours", { mode: word("optimiser_short", mode) }), quantity(e.hours[mode], "h"))),
    row(t("advice.plans"), `${e.plans} · ${e.refused}`),
    row(t("advice.coverage"), `${percent(e.coverage)} (${e.forecasts})`),
    row(t("advice.fed_more"), `${signed(e.fed_more_ml)} mL`),
    ...lacking.map((line) => el("p", { class: "quiet" }, shape("warn"), inWords(line))),
    ...o.advice.decisions.slice(-3).map((d) => el("p", { class: "quiet" }, `${d.number} · ${word("decision", d.decision)} · ${d.who}${d.reason ? ` · ${d.reason}` : ""}`)),
    el("div", { class: "acts" }, ...promotion(id, o)),
  );
}

let opened = false; // the page is drawn again each minute; what was opened stays open

/** What the panel of the optimiser shows below its state; `o` is the optimiser of the state. */
export function adviceParts(o, id, reactor) {
  const offered = may("viewer") && reactor.batch?.state === "RUNNING" ? [el("div", { class: "look" }, button("whatif.title", () => ahead(id, reactor.loops ?? {})))] : [];
  if (!o?.advice || !o.evidence) return offered;
  const { open, accepted, until } = o.advice;
  const shut = o.mode === "on" && o.guardrail.share < 1;
  const tried = o.mode === "on" ? o.guardrail.region : null; // what batches have tried
  const shown = evidence(id, o);
  shown.addEventListener("toggle", () => (opened = shown.open));
  return [
    ...(open ? [card(open, t("advice.suggested", { number: open.number }), decisions(id, open, reactor.loops ?? {}))] : []),
    ...(accepted ? [card(accepted, t("advice.followed", { time: timeOfDay(until) }), [])] : []),
    ...(shut ? [el("p", { class: "why strong" }, shape("warn"), t("advice.guardrail", { percent: plain(100 * o.guardrail.share) }), " ", inWords(o.guardrail, "reason"))] : []),
    ...(tried?.at_edge.length ? [el("p", { class: "why" }, t("advice.tried", { percent: plain(100 * tried.width), loops: tried.at_edge.map((loop) => word("tag", loop)).join(", ") }))] : []),
    shown,
    ...offered,
  ];
}
