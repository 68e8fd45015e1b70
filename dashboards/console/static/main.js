// Puts the page together: language, live values, trends, and what is said when they are not live.

import { bar } from "./act.js";
import { alarms } from "./alarms.js";
import { say, shape, show } from "./dom.js";
import * as detail from "./detail.js";
import { faceplates } from "./faceplates.js";
import { LOST_S, watch } from "./live.js";
import * as pages from "./pages.js";
import * as panels from "./panels.js";
import * as session from "./session.js";
import { age, language, speak, spoken, t } from "./text.js";
import * as trends from "./trends.js";

const STILL_S = 15; // wall s without plant time moving, after which the page says so
let snapshot = null;
let heardS = null; // wall s since the last snapshot
let reactorId = location.hash.slice(1);

function chooseReactor(id) {
  reactorId = id;
  history.replaceState(null, "", `#${id}`);
  render();
}

function render() {
  if (!snapshot || !session.who()) return bar();
  panels.header(snapshot);
  const state = snapshot.state;
  if (!state) return bar();
  const ids = Object.keys(state.reactors);
  if (!ids.length) return;
  if (!ids.includes(reactorId)) reactorId = ids[0];
  const reactor = state.reactors[reactorId];
  panels.reactors(ids, reactorId, chooseReactor);
  bar(reactorId, reactor);
  panels.batch(reactorId, reactor.batch ?? {});
  const troubles = panels.attention(state, reactor);
  faceplates(document.getElementById("loops"), reactorId, reactor, state.time, state.alarms ?? []);
  panels.optimiser(reactor.optimiser, state, reactorId);
  panels.estimate(reactor.estimate);
  panels.interlocks(reactor.interlocks, reactorId, state.time);
  alarms(state);
  detail.update(state);
  panels.devices(state.devices);
  panels.tags(reactor.tags, state.time);
  panels.footer(state);
  trends.update(snapshot, reactorId);
  document.title = `${troubles ? `(${troubles}) ` : ""}${reactorId} · ${snapshot.site} · ${t("app.title")}`;
}

/** How live the page is: [state of the link, words for the banner]. */
function liveness() {
  if (!snapshot) return heardS === null && performance.now() < 4000 ? ["waiting", ""] : ["lost", t("banner.waiting")];
  const c = snapshot.controller;
  const old = (c.answered_s_ago ?? 0) + heardS;
  if (heardS > LOST_S) return ["lost", t("banner.lost", { age: age(old) })];
  if (c.answered_s_ago === null) return ["silent", t("banner.never")];
  if (!c.answering) return ["silent", t("banner.silent", { age: age(old) })];
  if (c.moved_s_ago > STILL_S) return ["silent", t("banner.still", { age: age(c.moved_s_ago) })];
  return ["good", ""];
}

const LINK = { waiting: "link.waiting", good: "link.good", silent: "link.silent", lost: "link.lost" };

function vital() {
  if (!session.who()) return;
  const [kind, words] = liveness();
  document.body.className = kind;
  show(document.getElementById("link"), [kind, language()], () => [shape(kind === "good" ? "GOOD" : kind === "waiting" ? "UNCERTAIN" : "device"), t(LINK[kind])]);
  const banner = document.getElementById("banner");
  banner.hidden = !words;
  say(banner, words);
}

function theme(wanted) {
  const night = wanted === "night" || (wanted === null && matchMedia("(prefers-color-scheme: dark)").matches);
  document.documentElement.dataset.theme = night ? "night" : "day";
  if (watching) trends.repaint();
}

function relabelled() {
  if (watching) trends.relabel();
  pages.update();
  render();
  vital();
}

async function start() {
  await speak();
  let stored = null;
  try {
    stored = localStorage.getItem("fermloop.theme");
  } catch {
    // the browser's preference then decides
  }
  theme(stored);
  document.getElementById("theme").addEventListener("click", () => {
    const next = document.documentElement.dataset.theme === "night" ? "day" : "night";
    theme(next);
    try {
      localStorage.setItem("fermloop.theme", next);
    } catch {
      // not remembered
    }
  });
  document.getElementById("language").addEventListener("click", async () => {
    await speak(language() === "zh" ? "en" : "zh");
    if (session.who()) session.post("/api/language", { language: language() }); // for the next machine that he logs in at
    relabelled();
    if (!document.getElementById("door").hidden) await session.begin(entered);
  });
  document.getElementById("tags").addEventListener("toggle", render);
  session.stayAwake();
  await session.begin(entered);
}

let watching = false;
/** Somebody has come or gone: what is live is only for who has logged in. */
function entered() {
  document.getElementById("main").hidden = !session.who();
  pages.update();
  const wanted = session.who()?.language;
  if (wanted && wanted !== language() && !spoken()) speak(wanted).then(relabelled);
  render();
  vital();
  if (watching || !session.who()) return;
  watching = true;
  trends.begin();
  watch(
    (news) => {
      snapshot = news;
      heardS = 0;
      render();
      vital();
    },
    (since) => {
      heardS = since;
      vital();
    },
    () => session.begin().catch(() => {}), // the console was started anew, or the session is over
  );
}

start();
