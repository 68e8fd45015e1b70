// The few lines of DOM that every panel needs. Text is always set as text, never as markup.

/** An element with attributes (class, hidden, …) and children: nodes or strings. */
export function el(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === true) node.setAttribute(key, "");
    else if (value !== false && value != null) node.setAttribute(key, value);
  }
  node.append(...children.filter((child) => child != null));
  return node;
}

/** Set text only where it differs, so that a selection or a screen reader is not disturbed. */
export function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

const shown = new WeakMap();

/** Replace the children of a node, but only when what they show (any JSON) has changed. */
export function show(node, what, make) {
  const key = JSON.stringify(what);
  if (shown.get(node) === key) return;
  shown.set(node, key);
  node.replaceChildren(...make().filter((child) => child != null));
}

/** Say again what moves with time in a node, and leave its buttons alone: a click must not be lost. */
export function retell(node, text) {
  for (const part of node.querySelectorAll("[data-moment]")) say(part, text(Number(part.dataset.moment), part.dataset.more));
}

/** The shape of a quality, beside its word: colour alone says nothing. */
export function shape(kind) {
  return el("span", { class: `shape ${kind}`, "aria-hidden": "true" });
}
