// A task page: steps, keys, drafts, the guide beside it.
import { say } from "./page.js";
import { startBoard } from "./board.js";
import { startDrafts, startTimer } from "./draft.js";

const form = document.querySelector("form[data-task]");
const submitButton = form.querySelector("[data-submit]");
startTimer(form);
const drafts = startDrafts(form);

// Steps: one output after the other, then the board.
const steps = [...form.querySelectorAll(".step")];
const stepButtons = [...form.querySelectorAll("[data-step]")];
const boardSection = form.querySelector("[data-board]");
const board = boardSection && startBoard(boardSection, drafts.soon);
const ratingPanes = form.querySelector("[data-rating-panes]");
const included = form.querySelector("[data-included]");
let step = 0;

const isAnswered = (section) => {
  const names = new Set([...section.querySelectorAll("input[type=radio]")].map((input) => input.name));
  return [...names].every((name) => section.querySelector(`input[name="${CSS.escape(name)}"]:checked`));
};

function markSteps() {
  stepButtons.forEach((button, i) => {
    if (i === step) button.setAttribute("aria-current", "step");
    else button.removeAttribute("aria-current");
    const section = steps[i];
    button.classList.toggle("done", section !== boardSection && isAnswered(section));
  });
}

function goTo(i, focus = true) {
  if (steps.length === 0) return;
  step = Math.max(0, Math.min(i, steps.length - 1));
  steps.forEach((section, j) => section.classList.toggle("current", j === step));
  const onBoard = steps[step] === boardSection;
  ratingPanes?.classList.toggle("two", !onBoard && stepButtons.length > 0);
  submitButton.hidden = stepButtons.length > 0 && !onBoard;
  const output = steps[step].querySelector("[data-output-text]");
  if (included) included.replaceChildren(...(output ? [output.cloneNode(true)] : []));
  for (const clone of included?.querySelectorAll("[id]") ?? []) clone.removeAttribute("id");
  for (const clone of included?.querySelectorAll("label.more") ?? []) clone.remove();
  for (const clip of included?.querySelectorAll(".clip") ?? []) clip.classList.remove("clip");
  markSteps();
  if (!focus) return;
  if (onBoard) board.focusFirst();
  else {
    steps[step].querySelector("input[type=radio]")?.focus({ preventScroll: true });
    window.scrollTo({ top: 0 });
  }
}
stepButtons.forEach((button, i) => button.addEventListener("click", () => goTo(i)));
form.querySelectorAll("[data-next-step]").forEach((button) => button.addEventListener("click", () => goTo(step + 1)));
form.addEventListener("change", markSteps);
const firstOpen = steps.findIndex((section) => section !== boardSection && !isAnswered(section));
goTo(firstOpen < 0 ? steps.length - 1 : firstOpen, false);

// Questions about an output.
const outputs = [...form.querySelectorAll("[data-output]")];
const isUnrated = (output) => output.querySelector("[data-rating]") && !output.querySelector("[data-rating] input:checked");
const panel = () => {
  if (steps[step] && steps[step] !== boardSection) return steps[step];
  return document.activeElement?.closest?.("[data-output]") ?? outputs.find(isUnrated) ?? outputs[0] ?? form;
};

/** Where outputs stand beside each other: on to the next one with questions; false after the last. */
function nextOutput() {
  const next = outputs[outputs.indexOf(document.activeElement?.closest?.("[data-output]")) + 1];
  const input = document.activeElement?.closest?.("[data-output]") && next?.querySelector("input[type=radio]");
  if (!input) return false;
  input.focus();
  next.scrollIntoView({ block: "nearest" });
  return true;
}
const questions = () => [...panel().querySelectorAll("[data-question]")];
const currentQuestion = () => document.activeElement?.closest?.("[data-question]")
  ?? questions().find((question) => !question.querySelector("input:checked")) ?? questions()[0];

function focusQuestion(question) {
  const input = question?.querySelector("input:checked") ?? question?.querySelector("input");
  input?.focus();
  question?.scrollIntoView({ block: "nearest" });
}

function answerQuestion(question, value) {
  const input = [...(question?.querySelectorAll("input[type=radio]") ?? [])].find((input) => input.value === value);
  if (!input) return false;
  input.checked = true;
  drafts.soon();
  markSteps();
  say(`${question.querySelector(".label").textContent}: ${value}`);
  const all = questions();
  focusQuestion(all[all.indexOf(question) + 1] ?? question);
  return true;
}

function restNo() {
  for (const question of questions()) {
    if (question.querySelector("input:checked")) continue;
    const no = [...question.querySelectorAll("input")].find((input) => input.value === "no");
    if (no) no.checked = true;
  }
  drafts.soon();
  markSteps();
  say("The rest: no");
}
form.querySelectorAll("[data-rest-no]").forEach((button) => button.addEventListener("click", restNo));

function rate(key) {
  const rating = panel().querySelector("[data-rating]");
  const input = [...(rating?.querySelectorAll("input[type=radio]") ?? [])].find((input) => input.value === key);
  if (!input) return false;
  input.checked = true;
  input.focus();
  drafts.soon();
  markSteps();
  say(input.getAttribute("aria-label"));
  return true;
}

/** Digits and letters that the page itself gives to its options. */
function choose(key) {
  const input = [...form.querySelectorAll("input[data-key]")].find((input) => input.dataset.key === key);
  if (!input) return false;
  input.checked = true;
  input.focus();
  drafts.soon();
  return true;
}

function submit() {
  if (board && !board.complete()) return;
  form.requestSubmit(submitButton);
}

const isOnBoard = () => board && steps[step] === boardSection;

function panelKey(event) {
  switch (event.key) {
    case "y": return answerQuestion(currentQuestion(), "yes");
    case "n": return answerQuestion(currentQuestion(), "no");
    case "x": restNo(); return true;
    case "ArrowDown": case "ArrowUp": {
      const all = questions();
      if (all.length === 0) return false;
      const inOne = document.activeElement?.closest?.("[data-question]");
      const at = inOne ? all.indexOf(inOne) + (event.key === "ArrowDown" ? 1 : -1) : 0;
      focusQuestion(all[Math.max(0, Math.min(at, all.length - 1))]);
      return true;
    }
  }
  return rate(event.key);
}

const keysDialog = document.getElementById("keys");
document.querySelector("[data-keys]")?.addEventListener("click", () => keysDialog.showModal());

function generalKey(event) {
  switch (event.key) {
    case "?": keysDialog.showModal(); return true;
    case "g": toggleGuide(); return true;
    case "s": document.querySelector("[data-skip]").open = true;
      document.querySelector("[data-skip] input[type=radio]")?.focus(); return true;
    case "Enter":
      if (!isOnBoard() && stepButtons.length > 0) goTo(step + (event.shiftKey ? -1 : 1));
      else if (isOnBoard() || !nextOutput()) submit();
      return true;
  }
  return false;
}

document.addEventListener("keydown", (event) => {
  if (keysDialog.open || event.defaultPrevented || event.isComposing) return;
  const target = event.target;
  const isText = target.matches("textarea, select, input:not([type=radio], [type=checkbox])");
  if ((event.ctrlKey || event.metaKey) && event.key === "Enter") {
    event.preventDefault();
    if (isOnBoard() || stepButtons.length === 0) submit(); else goTo(step + 1);
    return;
  }
  if (isText || event.ctrlKey || event.metaKey || event.altKey || target.closest("[data-skip]")) return;
  if (event.key === "Enter" && target.closest("button, a, summary")) return;
  const taken = (isOnBoard() ? board.key(event) : panelKey(event)) || choose(event.key) || generalKey(event);
  if (taken) event.preventDefault();
});
submitButton.addEventListener("click", (event) => {
  if (board && !board.complete()) event.preventDefault();
});
// Sent twice is harmless (the form carries its own id), but there is no need to.
form.addEventListener("submit", (event) => {
  if (event.submitter === submitButton) setTimeout(() => { submitButton.disabled = true; });
});
window.addEventListener("pageshow", () => { submitButton.disabled = false; });

// The guide beside the task.
const guide = document.getElementById("guide");
function toggleGuide(show = guide.hidden) {
  guide.hidden = !show;
  document.querySelector("[data-panes]").classList.toggle("with-guide", show);
  sessionStorage.setItem("guide", show ? "shown" : "");
  if (show) guide.scrollIntoView({ block: "nearest" });
}
document.querySelector("[data-guide]")?.addEventListener("click", (event) => {
  event.preventDefault();
  toggleGuide();
});
document.querySelector("[data-guide-close]")?.addEventListener("click", () => toggleGuide(false));
if (sessionStorage.getItem("guide") === "shown") toggleGuide(true);

// Answers side by side or one below the other, remembered.
const stacked = document.querySelector("[data-stacked]");
if (stacked) {
  const apply = () => document.querySelector("[data-answers]").classList.toggle("side", !stacked.checked);
  stacked.checked = localStorage.getItem("stacked") === "yes";
  stacked.addEventListener("change", () => { localStorage.setItem("stacked", stacked.checked ? "yes" : ""); apply(); });
  apply();
}

const text = document.getElementById("text");
const words = document.querySelector("[data-words]");
if (text && words) {
  const count = () => { words.textContent = text.value.split(/\s+/u).filter(Boolean).length; };
  text.addEventListener("input", count);
  count();
}
