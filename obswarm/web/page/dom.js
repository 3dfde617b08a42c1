// Elements from values. All texts become text nodes: nothing that a target or a load test says is taken for markup.

/* Make an element. Attributes: `on…` are listeners, true and false set and leave out an attribute, `value`, `checked`,
   `selected` and `disabled` are properties. Children are nodes, texts, or lists of both; null is left out. */
export const h = (name, attributes = {}, ...children) => {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (key === "value" || key === "checked" || key === "selected" || key === "disabled") made[key] = value;
    else made.setAttribute(key, value === true ? "" : String(value));
  }
  append(made, children);
  return made;
};

const append = (parent, children) => {
  for (const child of children.flat(Infinity)) {
    if (child !== null && child !== undefined && child !== false)
      parent.append(child instanceof Node ? child : String(child));
  }
};

/* Replace the children of an element. */
export const fill = (parent, ...children) => {
  parent.replaceChildren();
  append(parent, children);
};

/* Set the text of an element, if it is another one: screen readers and selections stay undisturbed. */
export const setText = (element, text) => {
  if (element.textContent !== text) element.textContent = text;
};

const { shown } = globalThis.obswarmCharts;
export const { clock, short } = globalThis.obswarmCharts;

/* A value with its unit: number, seconds, ratio, bytes, per_second, bytes_per_second, count. */
export const format = (unit, value) => {
  if (value === null || value === undefined) return "–";
  return unit === "count" ? value.toLocaleString("en") : shown(unit, value);
};

/* A moment as local time; with the date, if it is another day. */
export const moment = (time_s) => {
  const at = new Date(time_s * 1000),
    time = at.toLocaleTimeString("en-GB");
  return at.toDateString() === new Date().toDateString() ? time : `${at.toLocaleDateString("en-CA")} ${time}`;
};

/* `1 worker`, `2 workers`. */
export const counted = (number, what) => `${number.toLocaleString("en")} ${what}${number === 1 ? "" : "s"}`;

export const endpointLabel = ({ method, name }) => (method ? `${method} ${name}` : name);
