// What if: the vessel run ahead under a change that nobody has made yet, beside the present course.

import { el, say } from "./dom.js";
import { button, post } from "./session.js";
import { inWords, number, plain, quantity, t, unitOf, word } from "./text.js";

const CHARTS = [
  ["product_g", "g", ["trend", "product"]],
  ["biomass_g_per_l", "g/L", ["estimate", "biomass_g_per_l"]],
  ["do_percent", "%", ["tag", "do"]],
  ["acetate_g_per_l", "g/L", ["estimate", "acetate_g_per_l"]],
];
const node = document.getElementById("ahead");
node.addEventListener("keydown", (event) => {
  if (event.key === "Escape") node.close();
});

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function chart(answer, [key, unit, name]) {
  const { present, changed, hours } = answer;
  const now = present.bands[key];
  const then = changed.bands[key];
  const root = el("figure", { class: "ahead" }, el("figcaption", {}, `${word(...name)} / ${unitOf(unit, name[1])}`));
  const series = (stroke, more = {}) => ({ stroke, width: 1.6, points: { show: false }, ...more });
  const pale = `${colour("--pv")}33`;
  const axis = { stroke: colour("--ink-2"), grid: { stroke: colour("--line"), width: 1 }, size: 46, font: "11px sans-serif" };
  new uPlot(
    {
      width: 300,
      height: 130,
      legend: { show: false },
      cursor: { show: false },
      scales: { x: { time: false } },
      axes: [{ ...axis, size: 26 }, axis],
      series: [{}, series(colour("--sp"), { dash: [6, 4] }), series("transparent"), series("transparent"), series(colour("--pv"))],
      bands: [{ series: [3, 2], fill: pale }],
    },
    [hours, now.middle, then.low, then.high, then.middle],
    root,
  );
  return root;
}

const range = ([low, middle, high], unit) => `${quantity(middle, unit)} (${number(low, unit)} … ${number(high, unit)})`;

function limits(course, label) {
  return course.limits.map((row) => {
    const limit = word("limit", row.limit);
    const crossed = row.expected_h == null ? "whatif.possible" : "whatif.expected";
    const key = row.limit === "feed tank" ? "whatif.empty" : crossed;
    const hours = (row.expected_h ?? row.possible_h).toFixed(1);
    return el("p", { class: "wrong" }, `${label}: ${t(key, { limit, hours })}`);
  });
}

function shown(answer) {
  return [
    el("p", { class: "line" }, inWords(answer)),
    el("div", { class: "charts" }, ...CHARTS.map((c) => chart(answer, c))),
    el("p", { class: "quiet" }, t("whatif.key")),
    el("p", {}, `${t("whatif.present")}: ${range(answer.present.product_g, "g")}`),
    el("p", {}, `${t("whatif.changed")}: ${range(answer.changed.product_g, "g")}`),
    ...limits(answer.present, t("whatif.present")),
    ...limits(answer.changed, t("whatif.changed")),
  ];
}

/** Open the question; nothing of it is applied. */
export function ahead(id, loops) {
  const answer = el("div", { class: "answer" });
  const wrong = el("p", { class: "wrong", role: "alert", hidden: true });
  const field = (key, label, unit, loop) =>
    el(
      "label",
      {},
      el("span", {}, label),
      el("input", { name: key, type: "number", step: "any", min: loop?.sp_low, max: loop?.sp_high, placeholder: loop?.sp == null ? "" : plain(loop.sp) }),
      el("span", {}, unit),
    );
  const form = el(
    "form",
    {},
    el("header", {}, el("h2", {}, `${t("whatif.title")} ${id}`), button("detail.close", () => node.close())),
    el("p", { class: "note" }, t("whatif.note")),
    el(
      "div",
      { class: "wishes" },
      field("feed", word("tag", "feed"), unitOf(loops.feed?.op_unit ?? "mL/h"), loops.feed),
      field("feed_percent", t("whatif.feed_percent"), "%"),
      field("do", word("tag", "do"), unitOf("%", "do"), loops.do),
      field("temperature", word("tag", "temperature"), unitOf("Cel"), loops.temperature),
      field("hours", t("whatif.hours"), unitOf("h")),
    ),
    wrong,
    el("button", { type: "submit", class: "primary" }, t("whatif.run")),
  );
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const wish = Object.fromEntries([...new FormData(form)].filter(([, text]) => text !== "").map(([key, text]) => [key, Number(text)]));
    wrong.hidden = true;
    answer.replaceChildren(el("p", { class: "quiet" }, t("whatif.waiting")));
    const said = await post(`/api/command/what-if/${id}`, wish);
    answer.replaceChildren();
    if (said.error) {
      wrong.hidden = false;
      return say(wrong, said.error);
    }
    answer.replaceChildren(...shown(said));
  });
  node.replaceChildren(form, answer);
  if (!node.open) node.show();
  form.elements.feed.focus();
}
