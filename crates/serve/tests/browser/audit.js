// Looks at the page as somebody would who can't see it well, or can't use a mouse. Returns what is wrong, a line each.
// After the rules of WCAG 2.2 that a program can check: names (4.1.2, 1.1.1, 3.3.2), contrast of text (1.4.3) and of
// the edges of controls (1.4.11), headings and landmarks (1.3.1), language (3.1.1), width without scrolling sideways
// (1.4.10), ids that are unique.
const found = [];
const say = (rule, element, more = "") => {
  const where = element.id ? `#${element.id}` : element.outerHTML.slice(0, 90).replace(/\s+/g, " ");
  found.push(`${rule}: ${where} ${more}`);
};
const isShown = (element) => element.checkVisibility({ opacityProperty: false, visibilityProperty: true });

function nameOf(element) {
  const label = element.getAttribute("aria-label");
  if (label?.trim()) return label.trim();
  const ids = element.getAttribute("aria-labelledby");
  if (ids) return ids.split(/\s+/).map((id) => document.getElementById(id)?.textContent ?? "").join(" ").trim();
  if (element.labels?.length) return [...element.labels].map((label) => label.textContent).join(" ").trim();
  if (element.tagName === "FIELDSET") return element.querySelector("legend")?.textContent.trim() ?? "";
  if (/^(A|BUTTON|SUMMARY)$/.test(element.tagName)) return element.textContent.trim();
  return element.getAttribute("title") ?? "";
}

for (const element of document.querySelectorAll("a[href], button, input:not([type=hidden]), select, textarea, summary, progress, fieldset, [role=radiogroup], aside, dialog[open]")) {
  if (isShown(element) && !nameOf(element)) say("no name", element);
}
for (const element of document.querySelectorAll("nav, section[aria-labelledby], [aria-labelledby]")) {
  for (const id of (element.getAttribute("aria-labelledby") ?? "").split(/\s+/).filter(Boolean)) {
    if (!document.getElementById(id)) say("label missing", element, id);
  }
}
for (const label of document.querySelectorAll("label[for]")) {
  if (!document.getElementById(label.htmlFor)) say("label for nothing", label);
}
const ids = [...document.querySelectorAll("[id]")].map((element) => element.id);
for (const id of new Set(ids.filter((id, i) => ids.indexOf(id) !== i))) found.push(`id twice: ${id}`);
if (!document.documentElement.lang) found.push("no language");
if (!document.title.trim()) found.push("no title");
if (document.querySelectorAll("main").length !== 1) found.push("not one main");
if ([...document.querySelectorAll("h1")].filter(isShown).length !== 1) found.push("not one h1");
for (const image of document.querySelectorAll("img:not([alt]), svg:not([role=img]):not([aria-hidden]):not([aria-label])")) {
  if (isShown(image) && !image.querySelector("title")) say("picture without a name", image);
}
for (const table of document.querySelectorAll("table")) {
  if (table.closest(".prose")) continue;
  for (const cell of table.querySelectorAll("th:not([scope])")) say("head without scope", cell);
}

// Contrast, with everything that lies behind a text.
const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
function channels(colour) {
  canvas.clearRect(0, 0, 1, 1);
  canvas.fillStyle = colour;
  canvas.fillRect(0, 0, 1, 1);
  const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
  return [r, g, b, a / 255];
}
const over = (top, bottom) => [0, 1, 2].map((i) => top[i] * top[3] + bottom[i] * (1 - top[3])).concat(1);
function behind(element) {
  const layers = [];
  for (let e = element; e; e = e.parentElement) layers.push(channels(getComputedStyle(e).backgroundColor));
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  return layers.reverse().reduce((below, layer) => over(layer, below), dark ? [18, 18, 18, 1] : [255, 255, 255, 1]);
}
const luminance = (colour) => {
  const [r, g, b] = colour.slice(0, 3).map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
function contrast(a, b) {
  const [high, low] = [luminance(a), luminance(b)].sort((x, y) => y - x);
  return (high + 0.05) / (low + 0.05);
}
const seen = new Set();
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
for (let node = walker.nextNode(); node; node = walker.nextNode()) {
  const element = node.parentElement;
  if (!node.textContent.trim() || seen.has(element) || !isShown(element) || element.closest("svg, :disabled, .skip-link, .visually-hidden, option")) continue;
  seen.add(element);
  const style = getComputedStyle(element);
  const back = behind(element);
  const ratio = contrast(over(channels(style.color), back), back);
  const size = parseFloat(style.fontSize);
  const isLarge = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
  if (ratio < (isLarge ? 3 : 4.5)) say("contrast", element, `${ratio.toFixed(2)} "${node.textContent.trim().slice(0, 30)}"`);
}
for (const control of document.querySelectorAll("input[type=text], input[type=password], input[type=number], textarea, select, button:not(.link):not(.main), .pill span")) {
  if (!isShown(control) || control.disabled) continue;
  const style = getComputedStyle(control);
  const outside = behind(control.parentElement);
  const edge = contrast(over(channels(style.borderTopColor), outside), outside);
  const filled = contrast(behind(control), outside);
  if (Math.max(edge, filled) < 3) say("edge of a control", control, Math.max(edge, filled).toFixed(2));
}
if (document.documentElement.scrollWidth > document.documentElement.clientWidth + 1) {
  const wide = [...document.querySelectorAll("main *")].filter((e) => e.getBoundingClientRect().right > innerWidth + 1 && !e.closest(".scroll, .board, pre, svg"));
  found.push(`wider than the window: ${document.documentElement.scrollWidth} of ${innerWidth}; ${wide.slice(0, 3).map((e) => e.outerHTML.slice(0, 80)).join(" | ")}`);
}
// Small targets (2.5.8: 24 by 24 pixels, links within text apart).
for (const target of document.querySelectorAll("button:not(.link), .pill, select, input[type=text]")) {
  if (!isShown(target)) continue;
  const { width, height } = target.getBoundingClientRect();
  if (width < 23.5 || height < 23.5) say("small target", target, `${width.toFixed(0)}x${height.toFixed(0)}`);
}
return found;
