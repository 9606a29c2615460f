// The chat page's script: answers appear as they are written, Enter sends, digits compare. Without it every turn is a form.
"use strict";
document.documentElement.classList.add("js");

const form = document.getElementById("say");
if (form) listen(form);
document.addEventListener("keydown", compareByDigit);

function compareByDigit(event) {
  if (event.target.matches("textarea, input, select") || event.ctrlKey || event.metaKey || event.altKey) return;
  const button = document.querySelector(`.verdicts button[data-key="${CSS.escape(event.key)}"]`);
  if (button) button.click();
}

function listen(form) {
  const text = document.getElementById("text");
  text.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    form.requestSubmit();
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (text.value.trim()) say(form, text);
  });
}

async function say(form, text) {
  const problem = document.getElementById("problem");
  const halt = document.getElementById("halt");
  const send = document.getElementById("send");
  const stopper = new AbortController();
  problem.hidden = true;
  send.disabled = text.readOnly = true;
  halt.hidden = false;
  halt.onclick = () => stopper.abort();
  const turn = beginTurn(text.value);
  document.getElementById("status").textContent = "The answer is being written";
  try {
    await receive(form, text.value, stopper.signal, turn.bodies);
    // The page itself shows the answers as they are to be read.
    location.reload();
  } catch (error) {
    turn.section.remove();
    send.disabled = text.readOnly = false;
    halt.hidden = true;
    if (error.name !== "AbortError") {
      problem.textContent = error.message;
      problem.hidden = false;
    }
    document.getElementById("status").textContent = "";
    text.focus();
  }
}

function beginTurn(asked) {
  const conversation = document.getElementById("conversation");
  const names = conversation.dataset.names.split("\n");
  const section = element("section", "exchange");
  const question = element("div", "asked prose");
  question.append(element("p", "growing", asked));
  const answers = element("div", names.length > 1 ? "answers two" : "answers");
  const bodies = names.map((name) => {
    const article = element("article", "sheet answer");
    const body = element("p", "growing");
    article.append(element("h2", "", name), body);
    answers.append(article);
    return body;
  });
  section.append(question, answers);
  conversation.append(section);
  section.scrollIntoView({ block: "end" });
  return { section, bodies };
}

async function receive(form, asked, signal, bodies) {
  const response = await fetch(form.dataset.stream, {
    method: "POST", signal, body: new URLSearchParams({ text: asked }),
  });
  if (!response.ok) throw new Error((await response.json()).error.message);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) throw new Error("The connection broke off.");
    const events = (rest + value).split("\n\n");
    rest = events.pop();
    for (const event of events) {
      if (!event.startsWith("data: ")) continue;
      if (event === "data: [DONE]") return;
      const { side, text, error } = JSON.parse(event.slice(6));
      if (error) throw new Error(error.message);
      bodies[side].textContent += text;
    }
  }
}

function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}
