// Who is logged in: the log-in form, what is sent in his name, and what is answered.

import { el, say } from "./dom.js";
import { inWords, language, t } from "./text.js";

const RANK = { viewer: 1, operator: 2, engineer: 3 };
let user = null; // { name, role, csrf, fresh, language }
let changed = () => {};

/** Who is logged in, or null. */
export const who = () => user;
/** Whether the user may do what needs at least this role. */
export const may = (role) => user !== null && RANK[user.role] >= RANK[role];

/** Send something in the user's name; an answer with `error` was not obeyed. */
export async function post(path, body) {
  const headers = { "content-type": "application/json", "x-csrf-token": user?.csrf ?? "" };
  let reply;
  try {
    reply = await fetch(path, { method: "POST", headers, body: JSON.stringify(body) });
  } catch {
    return { error: t("act.unreachable") };
  }
  const said = await reply.json().catch(() => ({}));
  if (!reply.ok) return { error: inWords(said, "error") ?? String(reply.status), status: reply.status };
  return { ...said, text: inWords(said, "text") };
}

/** Ask for something; throws what the refusal says. */
export async function look(path) {
  const reply = await fetch(path);
  const said = await reply.json();
  if (!reply.ok) throw new Error(inWords(said, "error"));
  return said;
}

/** Give a command to the controller and tell its answer; returns whether it obeyed. */
export async function command(path, body) {
  const said = await post(`/api/command/${path}`, body);
  tell(said.error ?? said.text, Boolean(said.error));
  if (said.status === 401) await begin();
  return !said.error;
}

let fading;
/** Show the answer to a command for a while. */
export function tell(text, wrong = false) {
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

/** A button with a text of the catalogue. */
export function button(key, act, attributes = {}) {
  const node = el("button", { type: "button", ...attributes }, t(key));
  node.addEventListener("click", act);
  return node;
}

/** End the session. */
export async function leave() {
  await post("/api/logout", {});
  user = null;
  location.reload();
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
