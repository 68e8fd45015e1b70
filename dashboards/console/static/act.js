// Who is logged in and what he does: the log-in form, commands, and the dialogs that ask before one.

import { el, say } from "./dom.js";
import { language, number, quantity, t, unitOf, word } from "./text.js";

const RANK = { viewer: 1, operator: 2, engineer: 3 };
let user = null; // { name, role, csrf, fresh, language }
let changed = () => {};

/** Who is logged in, or null. */
export const who = () => user;
/** Whether the user may do what needs at least this role. */
export const may = (role) => user !== null && RANK[user.role] >= RANK[role];

async function post(path, body) {
  const headers = { "content-type": "application/json", "x-csrf-token": user?.csrf ?? "" };
  let reply;
  try {
    reply = await fetch(path, { method: "POST", headers, body: JSON.stringify(body) });
  } catch {
    return { error: t("act.unreachable") };
  }
  const said = await reply.json().catch(() => ({}));
  const text = (key) => (language() === "zh" && said[`${key}_zh`]) || said[key];
  if (!reply.ok) return { error: text("error") ?? String(reply.status), status: reply.status };
  return { ...said, text: text("text") };
}

/** Give a command to the controller and tell its answer; returns whether it obeyed. */
export async function command(path, body) {
  const said = await post(`/api/command/${path}`, body);
  tell(said.error ?? said.text, Boolean(said.error));
  if (said.status === 401) await begin();
  return !said.error;
}

let fading;
function tell(text, wrong) {
  const node = document.getElementById("said");
  node.hidden = false;
  node.className = wrong ? "wrong" : "";
  say(node, text);
  clearTimeout(fading);
  fading = setTimeout(() => (node.hidden = true), 15000);
}

// ---- log-in

/** Ask who is logged in; show the log-in form if nobody is. `news` is called after each change. */
export async function begin(news = changed) {
  changed = news;
  const reply = await fetch("/api/session");
  const { user: found, setup } = await reply.json();
  user = found;
  form(found === null || (!found.fresh && found.role !== "viewer"), setup);
  changed();
}

function form(shown, setup = false) {
  const node = document.getElementById("door");
  const state = JSON.stringify([shown, setup, user?.name, language()]);
  if (node.dataset.shown === state && node.hidden === !shown) return; // somebody is typing
  node.dataset.shown = state;
  node.hidden = !shown;
  if (!shown) return;
  const field = (key, name, type, auto) =>
    el("label", {}, el("span", {}, t(key)), el("input", { name, type, autocomplete: auto, required: true, maxlength: 128 }));
  const wrong = el("p", { class: "wrong", role: "alert", hidden: true });
  const asked = el(
    "form",
    { class: "door" },
    el("h2", {}, t(setup ? "door.setup" : user ? "door.again" : "door.title")),
    setup ? el("p", {}, t("door.setup_how")) : user ? el("p", {}, t("door.idle")) : null,
    setup ? field("door.token", "token", "text", "off") : null,
    field("door.name", "name", "text", "username"),
    field("door.password", "password", "password", setup ? "new-password" : "current-password"),
    wrong,
    el("button", { type: "submit", class: "primary" }, t(setup ? "door.make" : "door.enter")),
    user ? button("door.watch", () => (node.hidden = true)) : null,
  );
  asked.addEventListener("submit", async (event) => {
    event.preventDefault();
    const said = await post(setup ? "/api/setup" : "/api/login", Object.fromEntries(new FormData(asked)));
    wrong.hidden = !said.error;
    say(wrong, said.error ?? "");
    if (said.error) return;
    user = said;
    node.hidden = true;
    changed();
  });
  node.replaceChildren(asked);
  asked.querySelector("input").focus();
}

function button(key, act, attributes = {}) {
  const node = el("button", { type: "button", ...attributes }, t(key));
  node.addEventListener("click", act);
  return node;
}

/** Who it is, the way out, and the safe stop of a vessel: one click, no question. */
export function bar(id, reactor) {
  const stopped = reactor?.stopped;
  const node = document.getElementById("person");
  const shown = JSON.stringify([user, id, stopped, language()]);
  if (node.dataset.shown === shown) return;
  node.dataset.shown = shown;
  node.replaceChildren(
    ...(user && may("operator") && id
      ? [
          stopped
            ? button("act.release", () => ask({ title: "act.release", path: `release/${id}`, note: t("act.release_note") }), { class: "release" })
            : button("act.safe_stop", () => command(`safe-stop/${id}`, {}), { class: "safe-stop", title: t("act.safe_stop_note") }),
        ]
      : []),
    ...(user
      ? [
          el("span", { class: "who" }, el("b", {}, user.name), ` ${word("role", user.role)}`),
          button("door.leave", async () => {
            await post("/api/logout", {});
            user = null;
            location.reload();
          }),
        ]
      : []),
  );
}

let active = 0;
/** A key or a click says that a person is there, at most once a minute. */
export function stayAwake() {
  for (const kind of ["pointerdown", "keydown"])
    addEventListener(kind, async () => {
      if (!user || performance.now() - active < 60000) return;
      active = performance.now();
      const said = await post("/api/active", {});
      if (said.status === 401 || said.fresh === false) await begin();
    });
}

// ---- dialogs

document.getElementById("ask").addEventListener("keydown", (event) => {
  if (event.key === "Escape") event.currentTarget.close();
});

/**
 * Ask before a command. `value`: a number field with its limits and unit; `choice`: words to choose
 * from; `old`: what is so now; `critical`: a reason is required. Nothing is sent before "confirm".
 */
function ask({ title, subject = "", path, note = "", key, value, choice, body = {}, critical = false, old = "", said: spoken = "reason" }) {
  const dialog = document.getElementById("ask");
  const wrong = el("p", { class: "wrong", role: "alert", hidden: true });
  const what = value
    ? el("input", { name: "value", type: "number", step: "any", required: true, value: value.now, min: value.low, max: value.high, "aria-label": t(title) })
    : choice
      ? el("select", { name: "value", "aria-label": t(title) }, ...choice.map(([v, shown, chosen]) => el("option", { value: v, selected: chosen }, shown)))
      : null;
  const form = el(
    "form",
    {},
    el("h2", {}, t(title), subject ? ` ${subject}` : ""),
    note ? el("p", {}, note) : null,
    what
      ? el("div", { class: "change" }, el("span", { class: "old" }, old), el("span", { "aria-hidden": "true" }, "→"), what, value ? el("span", {}, value.unit) : null)
      : null,
    value ? el("p", { class: "quiet limits" }, t("act.limits", { low: number(value.low, value.ucum), high: number(value.high, value.ucum), unit: value.unit })) : null,
    value?.rate ? el("p", { class: "quiet" }, t("act.ramp", { rate: +(value.rate * 60).toPrecision(3), unit: value.unit })) : null,
    el("label", {}, el("span", {}, t(spoken === "comment" ? "act.comment" : critical ? "act.reason_required" : "act.reason")), el("input", { name: "reason", maxlength: 500, required: critical, autocomplete: "off" })),
    wrong,
    el("div", { class: "buttons" }, el("button", { type: "submit", class: "primary" }, t("act.confirm")), button("act.cancel", () => dialog.close())),
  );
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const sent = { ...body, [spoken]: form.elements.reason.value.trim() };
    if (key) sent[key] = value ? Number(what.value) : what.value;
    const said = await post(`/api/command/${path}`, sent);
    if (said.error) {
      wrong.hidden = false;
      say(wrong, said.error);
      if (said.status === 401) await begin();
      return;
    }
    tell(said.text, false);
    dialog.close();
  });
  dialog.replaceChildren(form);
  if (!dialog.open) dialog.show(); // not modal: the safe stop and the values stay within reach
  (what ?? form.elements.reason).focus();
}

/** What a faceplate offers to who may act: mode, setpoint, output; `now` gives the loop as it is. */
export function loopActions(id, name, now) {
  if (!may("operator")) return [];
  const path = `loop/${id}.${name}`;
  const common = (title, loop) => ({ title, subject: `${word("tag", name)} (${id}.${name})`, critical: loop.critical, path: `${path}/${title.slice(4)}` });
  const mode = () => {
    const loop = now();
    const choice = (loop.modes ?? []).map((m) => [m, word("mode", m), m === loop.target]);
    ask({ ...common("act.mode", loop), key: "mode", old: word("mode", loop.target), choice });
  };
  const setpoint = () => {
    const loop = now();
    const ucum = loop.pv_unit || loop.op_unit;
    const old = loop.local ?? loop.sp;
    const value = { now: old, low: loop.sp_low, high: loop.sp_high, unit: unitOf(ucum, name), ucum, rate: loop.sp_rate_per_s };
    ask({ ...common("act.setpoint", loop), key: "value", body: { old }, old: quantity(old, ucum, name), value });
  };
  const output = () => {
    const loop = now();
    const ucum = loop.op_unit;
    const value = { now: +loop.op.toFixed(4), low: loop.op_low, high: loop.op_high, unit: unitOf(ucum), ucum };
    ask({ ...common("act.output", loop), key: "value", old: quantity(loop.op, ucum), value });
  };
  const { target } = now();
  return [
    button("act.mode", mode),
    ["AUTO", "MANUAL", "OFF"].includes(target) ? button("act.setpoint", setpoint) : null,
    target === "MANUAL" ? button("act.output", output) : null,
  ];
}

const RECIPE = { IDLE: ["start"], RUNNING: ["hold", "step", "abort"], HELD: ["resume", "abort"], ABORTED: ["start"], COMPLETE: ["start"] };

/** What the batch strip offers: yes to what the batch asks, start, hold, resume, next phase, abort. */
export function recipeActions(id, b) {
  if (!may("operator")) return [];
  const body = (action) => (["confirm", "step"].includes(action) ? { action, phase: b.phase } : { action });
  return [...(b.question ? ["confirm"] : []), ...(RECIPE[b.state] ?? [])].map((action) =>
    button(`recipe.${action}`, () =>
      ask({ title: `recipe.${action}`, subject: id, path: `recipe/${id}`, body: body(action), note: action === "confirm" ? b.question : "", critical: action === "step" }),
    ),
  );
}

/** What an interlock offers: to engineers a bypass, to operators its end, and the reset of a latch. */
export function interlockActions(id, name, lock) {
  const subject = word("interlock", name);
  const path = `interlock/${id}.${name}`;
  const offered = [];
  if (lock.bypass && may("operator")) offered.push(button("act.end_bypass", () => ask({ title: "act.end_bypass", subject, path: `${path}/end` })));
  if (!lock.bypass && lock.bypass_max_min > 0 && may("engineer")) {
    const value = { now: Math.min(30, lock.bypass_max_min), low: 1, high: lock.bypass_max_min, unit: unitOf("min"), ucum: "1" };
    offered.push(button("act.bypass", () => ask({ title: "act.bypass", subject, note: t("act.bypass_note", { text: lock.text }), path: `${path}/bypass`, key: "minutes", value, critical: true })));
  }
  if (lock.tripped && lock.latched && may("operator")) offered.push(button("act.reset", () => ask({ title: "act.reset", subject, note: lock.text, path: `${path}/reset` })));
  return offered;
}

/** What an alarm that waits offers. */
export function alarmActions(id) {
  if (!may("operator")) return [];
  return [button("act.acknowledge", () => ask({ title: "act.acknowledge", subject: id, path: `alarm/${id}/acknowledge`, said: "comment" }))];
}

/** What the optimiser's panel offers. */
export function optimiserActions(id, mode) {
  if (!may("operator")) return [];
  return ["off", "shadow", "on"]
    .filter((m) => m !== mode)
    .map((m) => {
      const node = el("button", { type: "button" }, word("optimiser_mode", m));
      node.addEventListener("click", () => ask({ title: "optimiser.title", subject: `${word("optimiser_mode", mode)} → ${word("optimiser_mode", m)}`, path: `optimiser/${id}`, body: { mode: m } }));
      return node;
    });
}
