// The alarms as they stand: priority by shape, word and colour; what nobody has acknowledged first.

import { alarmActions } from "./act.js";
import { el, retell, show } from "./dom.js";
import { who } from "./session.js";
import { age, dateTime, inWords, language, t, word } from "./text.js";

const SHOWN = 40;
const DIGIT = { critical: "1", high: "2", medium: "3", low: "4" };

/** The shape of a priority with its digit, as ISA-101 shows it; the word stands beside it. */
export function priorityMark(priority) {
  return el("span", { class: `priority ${priority}`, "aria-hidden": "true" }, DIGIT[priority] ?? "");
}

const WAITING = ["unacknowledged", "returned"];

function row(a) {
  const waits = WAITING.includes(a.state);
  return el(
    "li",
    { class: `alarm ${a.state}`, "data-alarm": a.id },
    el(
      "div",
      { class: "head" },
      priorityMark(a.priority),
      el("strong", {}, word("alarm_priority", a.priority)),
      el("span", { class: waits ? "waits" : "" }, word("alarm_state", a.state)),
      a.first_out ? el("span", { class: "first" }, t("alarms.first_out")) : null,
      el("small", { title: dateTime(a.time), "data-moment": a.time }),
    ),
    el("div", {}, el("b", {}, a.subject), " ", inWords(a), a.count > 1 ? ` ${t("alarms.count", { n: a.count })}` : ""),
    a.who ? el("small", {}, t("alarms.seen_by", { who: a.who }), a.comment ? ` ${a.comment}` : "") : null,
    waits ? el("div", { class: "acts" }, el("code", {}, a.id), ...alarmActions(a.id)) : null,
  );
}

/** The panel of alarms, in the order of the controller: to be acknowledged, then by priority. */
export function alarms({ alarms: list, time }) {
  const all = list ?? [];
  const waiting = all.filter((a) => WAITING.includes(a.state)).length;
  const shown = all.slice(0, SHOWN);
  const node = document.getElementById("alarms");
  show(node, [shown, all.length, who()?.role, language()], () => [
    el("h2", {}, t("alarms.title"), waiting ? el("small", { class: "waits" }, t("alarms.waiting", { n: waiting })) : null),
    all.length ? el("ul", {}, ...shown.map(row)) : el("p", { class: "quiet" }, t("alarms.none")),
    all.length > SHOWN ? el("small", {}, t("alarms.more", { n: all.length - SHOWN })) : null,
  ]);
  retell(node, (began) => t("alarms.ago", { age: age(Math.max(0, time - began)) }));
}
