// The question before a command: old and new values with unit and limits, and the reason.

import { el, say } from "./dom.js";
import { begin, button, post, tell } from "./session.js";
import { number, plain, t } from "./text.js";

const dialog = document.getElementById("ask");
dialog.addEventListener("keydown", (event) => {
  if (event.key === "Escape") dialog.close();
});

/** What is typed or chosen: `choice` is a list of [value, text], `type` that of an input. */
function input(f, name) {
  const label = f.label ?? "";
  if (f.choice) {
    const chosen = (v) => v === f.now;
    return el("select", { name, "aria-label": label }, ...f.choice.map(([v, shown, refused]) => el("option", { value: v, selected: chosen(v), disabled: Boolean(refused), title: refused }, shown)));
  }
  if (f.type === "number" || !f.type)
    return el("input", { name, type: "number", step: "any", required: !f.optional, value: f.now ?? "", min: f.low, max: f.high, "aria-label": label });
  return el("input", { name, type: f.type, required: true, maxlength: 128, autocomplete: f.auto ?? "off", value: f.now ?? "", "aria-label": label });
}

function limits(f) {
  if (f.low === undefined) return null;
  const shown = (v) => (f.ucum ? number(v, f.ucum) : plain(v));
  if (f.high === undefined) return t("act.least", { low: shown(f.low), unit: f.unit });
  return t("act.limits", { low: shown(f.low), high: shown(f.high), unit: f.unit });
}

function row(f, node, several) {
  return [
    el(
      "div",
      { class: several ? "change several" : "change" },
      several ? el("span", { class: "name" }, f.label) : null,
      f.old === undefined ? null : el("span", { class: "old" }, f.old),
      f.old === undefined ? null : el("span", { "aria-hidden": "true" }, "→"),
      node,
      f.unit ? el("span", {}, f.unit) : null,
    ),
    limits(f) ? el("p", { class: "quiet limits" }, limits(f)) : null,
    f.rate ? el("p", { class: "quiet" }, t("act.ramp", { rate: +(f.rate * 60).toPrecision(3), unit: f.unit })) : null,
  ];
}

function sent(fields, nodes, body) {
  const all = { ...body };
  fields.forEach((f, i) => {
    const text = nodes[i].value;
    if (f.aside || (f.optional && text === "")) return;
    const value = f.choice || (f.type && f.type !== "number") ? text : Number(text);
    if (f.group) all[f.group] = { ...all[f.group], [f.key]: value };
    else all[f.key] = value;
  });
  return all;
}

/**
 * Ask before a command. Nothing is sent before "confirm".
 *
 * `path`: the command; `to`: where else it goes, or says so of what was filled in. `fields`: what is to be changed, each with `key`,
 * `label`, `old`, `now`, `unit`, limits (`low`, `high`), `choice` or `type`; one that is `aside` is not sent. `reason`: "optional",
 * "required", "comment" or null. `changed` is called when a choice changes, `done` after the command was obeyed, `check` returns what is
 * wrong with what was filled in.
 */
export function ask({ title, subject = "", path, to = `/api/command/${path}`, note = "", fields = [], body = {}, reason = "optional", changed, done, check }) {
  const wrong = el("p", { class: "wrong", role: "alert", hidden: true });
  const nodes = fields.map((f) => input(f, fields.length === 1 ? "value" : f.key));
  const why = { optional: "act.reason", required: "act.reason_required", comment: "act.comment" }[reason];
  const form = el(
    "form",
    {},
    el("h2", {}, t(title), subject ? ` ${subject}` : ""),
    note ? el("p", { class: "note" }, note) : null,
    ...fields.flatMap((f, i) => row(f, nodes[i], fields.length > 1)),
    why ? el("label", {}, el("span", {}, t(why)), el("input", { name: "reason", maxlength: 500, required: reason === "required", autocomplete: "off" })) : null,
    wrong,
    el("div", { class: "buttons" }, el("button", { type: "submit", class: "primary" }, t("act.confirm")), button("act.cancel", () => dialog.close())),
  );
  const refuse = (text) => {
    wrong.hidden = false;
    say(wrong, text);
  };
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const filled = Object.fromEntries(fields.map((f, i) => [f.key, nodes[i].value]));
    const asked = sent(fields, nodes, body);
    if (why) asked[reason === "comment" ? "comment" : "reason"] = form.elements.reason.value.trim();
    const mistake = check?.(filled);
    if (mistake) return refuse(mistake);
    const said = await post(typeof to === "function" ? to(filled) : to, asked);
    if (said.error) {
      refuse(said.error);
      if (said.status === 401) await begin();
      return;
    }
    tell(said.text ?? t("act.done"));
    dialog.close();
    done?.();
  });
  form.addEventListener("change", (event) => {
    if (event.target.tagName === "SELECT") changed?.(event.target.name, event.target.value);
  });
  dialog.replaceChildren(form);
  if (!dialog.open) dialog.show(); // not modal: the safe stop and the values stay within reach
  (nodes[0] ?? form.elements.reason ?? form.querySelector("button")).focus();
}
