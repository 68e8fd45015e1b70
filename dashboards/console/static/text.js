// Texts, numbers and times in the chosen language: the only file that makes words.

const STORED = "fermloop.language";
let catalogue = {};
let chosen = "en";

/** The language of the page: "en" or "zh". */
export function language() {
  return chosen;
}

/** A line of the controller in the language of the page; what has none is shown in English. */
export const inWords = (said, key = "text") => (language() === "zh" && said[`${key}_zh`]) || said[key];

/** Whether the reader has chosen a language on this machine. */
export const spoken = () => remembered() !== null;

function remembered() {
  try {
    return localStorage.getItem(STORED);
  } catch {
    return null; // storage may be forbidden; the browser's language then decides each time
  }
}

/** Load the remembered language, or the browser's, or the one given and remember it. */
export async function speak(wanted) {
  const first = remembered() ?? (navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en");
  const next = wanted ?? (first === "zh" ? "zh" : "en");
  const reply = await fetch(`/api/catalogue/${next}`);
  if (!reply.ok) throw new Error(`catalogue ${next}: ${reply.status}`);
  catalogue = await reply.json();
  chosen = next;
  document.documentElement.lang = next === "zh" ? "zh-CN" : "en";
  if (wanted) {
    try {
      localStorage.setItem(STORED, wanted);
    } catch {
      // not remembered; nothing else is lost
    }
  }
  for (const node of document.querySelectorAll("[data-t]")) node.textContent = t(node.dataset.t);
  for (const node of document.querySelectorAll("[data-t-label]")) node.setAttribute("aria-label", t(node.dataset.tLabel));
  for (const node of document.querySelectorAll("[data-t-title]")) node.title = t(node.dataset.tTitle);
}

/** The text of a key, with {names} filled in. A missing one is a fault of the page and says so. */
export function t(key, values = {}) {
  const text = catalogue[key];
  if (text === undefined) {
    console.error(`no text for ${key} in ${chosen}`);
    return key;
  }
  return text.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

/** The word for a name out of the plant: a phase, a mode, a tag. An unknown one stays as it is. */
export function word(group, name) {
  return catalogue[`${group}.${name}`] ?? String(name ?? "");
}

// Digits behind the point by UCUM unit: what the instruments resolve and people read.
const DIGITS = { Cel: 2, "[pH]": 2, "%": 1, "{r}/min": 0, "mL/min": 2, "mL/h": 1, "L/min": 2, "L/h": 2, "m3/h": 0, bar: 3, kW: 1, kg: 3, g: 1, "g/L": 2, L: 3, h: 2, 1: 2 };

/** A number alone: "37.02"; a missing one is a dash, never a zero. */
export function number(value, unit = "1") {
  if (typeof value !== "number" || !Number.isFinite(value)) return "—";
  const most = Math.abs(value) < 1000 ? 3 : Math.abs(value) < 10000 ? 1 : 0; // 58000 kg, 2.400 kg
  const text = value.toFixed(Math.min(DIGITS[unit] ?? 2, most));
  return (Number(text) === 0 ? text.replace("-", "") : text).replace("-", "−");
}

/** A number of a setting with the digits that it needs: "0.0125", "300". */
export function plain(value) {
  if (typeof value !== "number" || !Number.isFinite(value)) return "—";
  return String(+value.toPrecision(4)).replace("-", "−");
}

/** The unit as people write it; that of dissolved oxygen says of what it is a share. */
export function unitOf(unit, name = "") {
  return name === "do" && unit === "%" ? word("unit", "do") : word("unit", unit);
}

/** A number with its unit: "37.02 °C". */
export function quantity(value, unit, name = "") {
  const shown = unitOf(unit, name);
  return shown ? `${number(value, unit)}\u202f${shown}` : number(value, unit);
}

/** A count with thin spaces between thousands. */
export function count(value) {
  if (typeof value !== "number") return "—";
  return String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, "\u202f");
}

/** A length of time in s as people say it: "45 s", "12 min", "3.2 h". */
export function age(seconds) {
  if (typeof seconds !== "number" || !Number.isFinite(seconds)) return "—";
  if (seconds < 120) return t("age.s", { n: Math.max(0, Math.round(seconds)) });
  if (seconds < 7200) return t("age.min", { n: Math.round(seconds / 60) });
  return t("age.h", { n: (seconds / 3600).toFixed(1) });
}

const two = (n) => String(n).padStart(2, "0");

/** Plant time, s since 1970 UTC, as date and time of day where the reader sits. */
export function dateTime(seconds) {
  if (typeof seconds !== "number") return "—";
  const d = new Date(seconds * 1000);
  return `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())} ${timeOfDay(seconds, true)}`;
}

/** "14:03", or "14:03:05" with seconds. */
export function timeOfDay(seconds, withSeconds = false) {
  const d = new Date(seconds * 1000);
  const short = `${two(d.getHours())}:${two(d.getMinutes())}`;
  return withSeconds ? `${short}:${two(d.getSeconds())}` : short;
}
