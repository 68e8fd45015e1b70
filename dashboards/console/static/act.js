// What a person may do where: the buttons of the page and the questions behind them.

import { ask } from "./ask.js";
import { button, command, leave, look, may, tell, who } from "./session.js";
import { el } from "./dom.js";
import { language, plain, quantity, t, unitOf, word } from "./text.js";

/** Who it is, the way out, and the safe stop of a vessel: one click, no question. */
export function bar(id, reactor) {
  const user = who();
  const stopped = reactor?.stopped;
  const node = document.getElementById("person");
  const shown = JSON.stringify([user, id, stopped, language()]);
  if (node.dataset.shown === shown) return;
  node.dataset.shown = shown;
  const stop = stopped
    ? () => button("act.release", () => ask({ title: "act.release", path: `release/${id}`, note: t("act.release_note") }), { class: "release" })
    : () => button("act.safe_stop", () => command(`safe-stop/${id}`, {}), { class: "safe-stop", title: t("act.safe_stop_note") });
  document.getElementById("stop").replaceChildren(...(user && may("operator") && id ? [stop()] : []));
  node.replaceChildren(
    ...(user ? [himself(user), button("door.leave", leave)] : []),
  );
}

/** The user's name and role; pressed, it asks for another password. */
function himself(user) {
  const node = el("button", { type: "button", class: "who", title: t("door.change") }, el("b", {}, user.name), ` ${word("role", user.role)}`);
  node.addEventListener("click", ownPassword);
  return node;
}

function ownPassword() {
  const field = (key, label, auto, more = {}) => ({ key, label: t(label), type: "password", auto, ...more });
  ask({
    title: "door.change",
    to: "/api/password",
    note: t("door.change_note"),
    reason: null,
    fields: [field("old", "door.old", "current-password"), field("new", "door.new", "new-password"), field("again", "door.again_new", "new-password", { aside: true })],
    check: (filled) => (filled.new === filled.again ? "" : t("door.differ")),
  });
}

/** What a faceplate offers to who may act: mode, setpoint, output; `now` gives the loop as it is. */
export function loopActions(id, name, now) {
  if (!may("operator")) return [];
  const common = (title, loop) => ({ title, subject: `${word("tag", name)} (${id}.${name})`, reason: loop.critical ? "required" : "optional", path: `loop/${id}.${name}/${title.slice(4)}` });
  const mode = () => {
    const loop = now();
    const choice = (loop.modes ?? []).map((m) => [m, word("mode", m)]);
    ask({ ...common("act.mode", loop), fields: [{ key: "mode", label: t("act.mode"), old: word("mode", loop.target), now: loop.target, choice }] });
  };
  const setpoint = () => {
    const loop = now();
    const ucum = loop.pv_unit || loop.op_unit;
    const old = loop.local ?? loop.sp;
    const field = { key: "value", label: t("act.setpoint"), old: quantity(old, ucum, name), now: old, low: loop.sp_low, high: loop.sp_high, unit: unitOf(ucum, name), ucum, rate: loop.sp_rate_per_s };
    ask({ ...common("act.setpoint", loop), body: { old }, fields: [field] });
  };
  const output = () => {
    const loop = now();
    const ucum = loop.op_unit;
    ask({ ...common("act.output", loop), fields: [{ key: "value", label: t("act.output"), old: quantity(loop.op, ucum), now: +loop.op.toFixed(4), low: loop.op_low, high: loop.op_high, unit: unitOf(ucum), ucum }] });
  };
  const { target } = now();
  return [
    button("act.mode", mode),
    ["AUTO", "MANUAL", "OFF"].includes(target) ? button("act.setpoint", setpoint) : null,
    target === "MANUAL" ? button("act.output", output) : null,
  ];
}

const RECIPE = { IDLE: ["start"], RUNNING: ["hold", "step", "abort"], HELD: ["resume", "abort"], ABORTED: ["start"], COMPLETE: ["start"] };

/** The fields of a recipe's parameters, each within its limits. */
const parameters = (all) =>
  Object.entries(all ?? {}).map(([key, p]) => ({ key, group: "parameters", label: word("parameter", key), old: plain(p.value), now: p.value, low: p.low, high: p.high, unit: unitOf(p.unit) }));

/** Ask which recipe, then its parameters; one that does not fit the plant cannot be chosen. */
async function start(id, chosen) {
  let found;
  try {
    found = (await look(`/api/recipes/${id}`)).recipes;
  } catch (error) {
    return tell(error.message, true);
  }
  const fits = found.filter((r) => !r.errors.length);
  const recipe = fits.find((r) => r.path === chosen) ?? fits[0];
  const choice = found.map((r) => [r.path, `${r.name} (${r.file})${r.errors.length ? ` · ${t("recipe.unfit")}` : ""}`, r.errors.join("\n")]);
  ask({
    title: "recipe.start",
    subject: id,
    path: `recipe/${id}`,
    body: { action: "start" },
    note: recipe ? recipe.phases.map((phase) => word("phase", phase)).join(" → ") : t("recipe.none_fits"),
    fields: [{ key: "recipe", label: t("batch.recipe"), now: recipe?.path, choice }, ...parameters(recipe?.parameters)],
    changed: (_, path) => start(id, path),
  });
}

/** What the batch strip offers, with "yes" first to what the batch asks; `b` is the batch. */
export function recipeActions(id, b) {
  if (!may("operator")) return [];
  const body = (action) => (["confirm", "step"].includes(action) ? { action, phase: b.phase } : { action });
  const question = (action) => ask({ title: `recipe.${action}`, subject: id, path: `recipe/${id}`, body: body(action), note: action === "confirm" ? b.question : "", reason: action === "step" ? "required" : "optional" });
  const edited = () => ask({ title: "recipe.edit", subject: id, path: `recipe/${id}/edit`, reason: "required", fields: parameters(b.parameters) });
  const editable = ["RUNNING", "HELD"].includes(b.state) && Object.keys(b.parameters ?? {}).length && may("engineer");
  return [
    ...[...(b.question ? ["confirm"] : []), ...(RECIPE[b.state] ?? [])].map((action) =>
      button(`recipe.${action}`, () => (action === "start" ? start(id) : question(action)), action === "confirm" ? { class: "primary" } : {}),
    ),
    ...(editable ? [button("recipe.edit", edited)] : []),
  ];
}

/** What an interlock offers: to engineers a bypass, to operators its end, and the reset of a latch. */
export function interlockActions(id, name, lock) {
  const subject = word("interlock", name);
  const path = `interlock/${id}.${name}`;
  const bypass = () => {
    const most = lock.bypass_max_min;
    const field = { key: "minutes", label: t("act.bypass"), now: Math.min(30, most), low: 1, high: most, unit: unitOf("min") };
    ask({ title: "act.bypass", subject, note: t("act.bypass_note", { text: lock.text }), path: `${path}/bypass`, fields: [field], reason: "required" });
  };
  const offered = [];
  if (lock.bypass && may("operator")) offered.push(button("act.end_bypass", () => ask({ title: "act.end_bypass", subject, path: `${path}/end` })));
  if (!lock.bypass && lock.bypass_max_min > 0 && may("engineer")) offered.push(button("act.bypass", bypass));
  if (lock.tripped && lock.latched && may("operator")) offered.push(button("act.reset", () => ask({ title: "act.reset", subject, note: lock.text, path: `${path}/reset` })));
  return offered;
}

/** What an alarm that waits offers. */
export function alarmActions(id) {
  if (!may("operator")) return [];
  return [button("act.acknowledge", () => ask({ title: "act.acknowledge", subject: id, path: `alarm/${id}/acknowledge`, reason: "comment" }))];
}

/** What the optimiser's panel offers. */
export function optimiserActions(id, mode) {
  if (!may("operator")) return [];
  return ["off", "shadow", "advisory", "on"]
    .filter((m) => m !== mode)
    .map((m) => {
      const node = el("button", { type: "button" }, word("optimiser_mode", m));
      node.addEventListener("click", () => ask({ title: "optimiser.title", subject: `${word("optimiser_mode", mode)} → ${word("optimiser_mode", m)}`, path: `optimiser/${id}`, body: { mode: m } }));
      return node;
    });
}

/** A new tuning of a loop, in engineering units; nothing bumps. `l` is the loop of the state. */
export function tuningAction(id, name, l) {
  const { tuning } = l;
  const gain = gainUnit(l, name);
  const field = (key, label, now, unit, more = {}) => ({ key, label: t(label), old: plain(now), now, unit, ...more });
  ask({
    title: "tuning.change",
    subject: `${word("tag", name)} (${id}.${name})`,
    path: `loop/${id}.${name}/retune`,
    reason: "required",
    note: t("tuning.note"),
    fields: [
      field("kp", "tuning.kp", tuning.kp, gain, { low: 0 }),
      field("ti_s", "tuning.ti", tuning.ti_s, unitOf("s"), { low: 1, optional: true }),
      field("td_s", "tuning.td", tuning.td_s, unitOf("s"), { low: 0 }),
      field("filter_s", "tuning.filter", tuning.filter_s, unitOf("s"), { low: 0 }),
    ],
  });
}

/** The unit of a loop's gain: output per measurement, %/°C. */
export const gainUnit = (l, name) => `${unitOf(l.op_unit)}/${unitOf(l.pv_unit, name) || word("tag", name)}`;
