// What every page has: the mark that script runs, dialogs, and a question before what can't be undone.
document.documentElement.classList.add("js");

export const live = document.querySelector("[data-live]");

/** Says it to whoever looks or listens. */
export function say(text) {
  if (live) live.textContent = text;
}

for (const form of document.querySelectorAll("form[data-confirm]")) {
  form.addEventListener("submit", (event) => {
    if (!window.confirm(form.dataset.confirm)) event.preventDefault();
  });
}

for (const button of document.querySelectorAll("[data-copy]")) {
  button.addEventListener("click", async () => {
    const source = document.getElementById(button.dataset.copy);
    source.select();
    await navigator.clipboard?.writeText(source.value);
    button.textContent = "Copied";
  });
}
