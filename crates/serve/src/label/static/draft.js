// Drafts: what stands in the form is saved as one types, and how long one has worked on it.
const SAVE_AFTER_MS = 700;

/** Counts the seconds in which the page was looked at, on from those the form already carries. */
export function startTimer(form) {
  const field = form.querySelector("[data-seconds]");
  const shown = document.querySelector("[data-timer]");
  let seconds = Number(field.value) || 0;
  let last = performance.now();
  const tick = () => {
    const now = performance.now();
    if (document.visibilityState === "visible") seconds += (now - last) / 1000;
    last = now;
    field.value = seconds.toFixed(1);
    const whole = Math.floor(seconds);
    if (shown) shown.textContent = `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
  };
  tick();
  setInterval(tick, 500);
}

/** Saves the form a moment after each change; returns a function that saves at once. */
export function startDrafts(form) {
  const state = document.querySelector("[data-draft-state]");
  let waiting = null;
  let over = false;
  const tell = (text) => { if (state) state.textContent = text; };

  async function save(keepalive = false) {
    clearTimeout(waiting);
    waiting = null;
    if (over || !form.dataset.draft) return;
    try {
      const response = await fetch(form.dataset.draft, {
        method: "POST",
        headers: { Accept: "application/json" },
        body: new URLSearchParams(new FormData(form)),
        keepalive,
      });
      const answer = await response.json().catch(() => ({}));
      tell(response.ok ? "Draft saved" : `Draft not saved: ${answer.error ?? response.status}`);
    } catch {
      tell("Draft not saved: no connection");
    }
  }

  const soon = () => {
    if (!form.dataset.draft) return;
    tell("…");
    clearTimeout(waiting);
    waiting = setTimeout(save, SAVE_AFTER_MS);
  };
  form.addEventListener("input", soon);
  form.addEventListener("submit", () => { over = true; clearTimeout(waiting); });
  window.addEventListener("pageshow", (event) => { if (event.persisted) over = false; });
  window.addEventListener("pagehide", () => { if (waiting !== null) save(true); });
  return { save, soon };
}
