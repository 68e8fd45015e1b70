// The pages beside the process: the audit trail and the plant's users. What needs attention stays above each.

import { ask } from "./ask.js";
import { el, shape } from "./dom.js";
import { button, look, may, who } from "./session.js";
import { dateTime, inWords, language, t, word } from "./text.js";

const SHOWN = 200;
const PAGES = { process: "viewer", audit: "operator", users: "engineer" };
const node = document.getElementById("page");
const filter = { who: "", subject: "" };
let page = "process";
let drawn = ""; // what the page was drawn for

/** Draw the choice of pages and the one that is chosen, where user or language have changed. */
export function update() {
  if (!who() || !may(PAGES[page])) page = "process";
  const wanted = JSON.stringify([page, who()?.name, who()?.role, language()]);
  if (wanted === drawn) return;
  drawn = wanted;
  const offered = Object.keys(PAGES).filter((name) => who() && may(PAGES[name]));
  const nav = document.getElementById("pages");
  nav.hidden = offered.length < 2;
  nav.replaceChildren(...offered.map((name) => button(`page.${name}`, () => ((page = name), update()), { "aria-pressed": String(name === page) })));
  document.getElementById("process").hidden = page !== "process";
  node.hidden = page === "process";
  node.replaceChildren();
  if (page === "audit") audit();
  if (page === "users") users();
}

/** Show what is loaded, or why it could not be; nothing if another page was chosen meanwhile. */
async function load(path, body, made) {
  const before = drawn;
  try {
    const found = await look(path);
    if (drawn === before) body.replaceChildren(...made(found));
  } catch (error) {
    if (drawn === before) body.replaceChildren(el("p", { class: "wrong", role: "alert" }, error.message));
  }
}

const head = (key) => el("th", { scope: "col" }, t(key));

// ---- audit trail

function act(a) {
  const { data } = a;
  const [source, name] = a.source.split(":");
  const refused = inWords(data, "refused");
  return el(
    "tr",
    { class: refused ? "refused" : "" },
    el("td", {}, dateTime(a.time)),
    el("td", {}, el("b", {}, name || word("source", source)), data.role ? ` ${word("role", data.role)}` : ""),
    el("td", {}, inWords(a), refused ? el("small", {}, shape("warn"), refused) : null),
    el("td", {}, data.why ?? ""),
  );
}

function audit() {
  const standing = el("p", { id: "chain", role: "status" }, t("audit.verifying"));
  const table = el("table", {});
  const field = (key) => {
    const input = el("input", { name: key, type: "search", value: filter[key], maxlength: 64 });
    input.addEventListener("change", () => {
      filter[key] = input.value.trim();
      rows();
    });
    return el("label", {}, t(`audit.${key}`), input);
  };
  const rows = () =>
    load(`/api/audit?${new URLSearchParams({ ...filter, limit: SHOWN })}`, table, ({ acts }) => [
      el("tr", {}, ...["audit.time", "audit.by", "audit.what", "audit.why"].map(head)),
      ...(acts.length ? acts.map(act) : [el("tr", {}, el("td", { colspan: 4 }, t("audit.none")))]),
    ]);
  node.append(el("div", { class: "toolbar" }, el("h2", {}, t("page.audit")), field("who"), field("subject"), button("audit.again", rows)), standing, table);
  rows();
  load("/api/audit/verdict", standing, (v) => [
    shape(v.ok ? "GOOD" : "BAD"),
    v.ok ? t("audit.ok", { n: v.count, head: v.head.slice(0, 12) }) : t("audit.broken", { n: v.count, fault: v.fault }),
  ]);
}

// ---- users

const ROLES = ["viewer", "operator", "engineer"];

function users() {
  const table = el("table", {});
  const again = () => load("/api/users", table, ({ users: all }) => [el("tr", {}, ...["users.name", "users.role", "users.state"].map(head), el("td", {})), ...all.map((u) => person(u, again))]);
  node.append(el("div", { class: "toolbar" }, el("h2", {}, t("page.users")), button("users.make", () => make(again))), el("p", { class: "quiet" }, t("users.note")), table);
  again();
}

const roles = (now) => ({ key: "role", label: t("users.role"), now, choice: ROLES.map((r) => [r, word("role", r)]) });
const secret = { key: "password", type: "password", auto: "new-password" };

function make(done) {
  const name = { key: "name", label: t("users.name"), type: "text", aside: true };
  const fields = [name, roles("operator"), { ...secret, label: t("door.password") }];
  ask({ title: "users.make", to: (filled) => `/api/users/${encodeURIComponent(filled.name)}`, fields, body: { what: "made" }, done });
}

function person(u, done) {
  const to = `/api/users/${encodeURIComponent(u.name)}`;
  const change = (what, fields = []) => button(`users.${what}`, () => ask({ title: `users.${what}`, subject: u.name, to, fields, body: { what }, done }));
  return el(
    "tr",
    { "data-user": u.name },
    el("td", {}, el("b", {}, u.name), u.name === who().name ? ` (${t("users.you")})` : ""),
    el("td", {}, word("role", u.role)),
    el("td", {}, u.refused ? shape("warn") : null, inWords(u, "refused") || t("users.open")),
    el(
      "td",
      { class: "acts" },
      change("role", [{ ...roles(u.role), old: word("role", u.role) }]),
      change("password", [{ ...secret, label: t("door.new") }]),
      u.refused ? change("unlocked") : change("locked"),
      change("removed"),
    ),
  );
}
