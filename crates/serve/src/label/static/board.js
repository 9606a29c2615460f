// The ranking board. The radio buttons of each card are the truth; cards stand where their radio says. Dragging,
// clicking and keys all end in `setRank`.
import { say } from "./page.js";

export function startBoard(section, changed) {
  const cards = [...section.querySelectorAll("[data-card]")];
  const columns = [...section.querySelectorAll("[data-rank]")];
  const ranks = columns.map((column) => column.dataset.rank).filter((rank) => rank !== "");

  const letter = (card) => card.dataset.card;
  const rankOf = (card) => card.querySelector("input:checked")?.value ?? "";
  const columnOf = (rank) => columns.find((column) => column.dataset.rank === rank);
  const inOrder = () => columns.flatMap((column) => [...column.querySelectorAll("[data-card]")]);

  function place(card) {
    const here = columnOf(rankOf(card)).querySelector(".cards-here");
    if (card.parentElement !== here) {
      // Moving an element takes the focus away from what is in it.
      const focused = card.contains(document.activeElement) ? document.activeElement : null;
      const after = [...here.children].find((other) => letter(other) > letter(card));
      here.insertBefore(card, after ?? null);
      focused?.focus({ preventScroll: true });
    }
    for (const column of columns) {
      const count = column.querySelectorAll("[data-card]").length;
      column.querySelector("[data-count]").textContent = count || "";
    }
  }

  function setRank(card, rank) {
    const input = [...card.querySelectorAll("input[type=radio]")].find((input) => input.value === rank);
    if (!input) return;
    input.checked = true;
    place(card);
    say(rank ? `Output ${letter(card)}: rank ${rank}` : `Output ${letter(card)}: not ranked`);
    changed();
  }

  const unranked = () => inOrder().filter((card) => rankOf(card) === "");

  for (const card of cards) {
    card.addEventListener("change", (event) => {
      if (event.target.type === "radio") setRank(card, event.target.value);
    });
    card.querySelector(".handle").parentElement.draggable = true;
    card.addEventListener("dragstart", (event) => {
      event.dataTransfer.setData("text/plain", letter(card));
      event.dataTransfer.effectAllowed = "move";
      event.dataTransfer.setDragImage(card, 20, 20);
      card.classList.add("dragging");
    });
    card.addEventListener("dragend", () => card.classList.remove("dragging"));
  }
  for (const column of columns) {
    const dragged = () => cards.find((card) => card.classList.contains("dragging"));
    column.addEventListener("dragover", (event) => {
      if (!dragged()) return;
      event.preventDefault();
      column.classList.add("over");
    });
    column.addEventListener("dragleave", (event) => {
      if (!column.contains(event.relatedTarget)) column.classList.remove("over");
    });
    column.addEventListener("drop", (event) => {
      event.preventDefault();
      column.classList.remove("over");
      const card = dragged();
      if (card) setRank(card, column.dataset.rank);
    });
  }

  function focus(card) {
    card?.focus();
    card?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  /** A key pressed while the board is worked on; true when it was for the board. */
  function key(event) {
    const current = document.activeElement?.closest?.("[data-card]") ?? unranked()[0] ?? inOrder()[0];
    const order = inOrder();
    const at = order.indexOf(current);
    const rank = ranks.indexOf(rankOf(current));
    switch (event.key) {
      case "ArrowDown": focus(order[Math.min(at + 1, order.length - 1)]); return true;
      case "ArrowUp": focus(order[Math.max(at - 1, 0)]); return true;
      case "ArrowRight": setRank(current, ranks[Math.min(rank + 1, ranks.length - 1)]); focus(current); return true;
      case "ArrowLeft": setRank(current, rank > 0 ? ranks[rank - 1] : ""); focus(current); return true;
      case "0": case "Backspace": case "Delete": setRank(current, ""); focus(current); return true;
      case "b": {
        const box = section.querySelector("input[name=all_bad]");
        if (!box) return false;
        box.checked = !box.checked;
        say(box.checked ? "All are bad" : "Not all are bad");
        changed();
        return true;
      }
    }
    if (ranks.includes(event.key)) {
      // The next card is found before this one moves away.
      const next = order.slice(at + 1).concat(order.slice(0, at)).find((card) => card !== current && rankOf(card) === "");
      setRank(current, event.key);
      focus(next ?? current);
      return true;
    }
    return false;
  }

  /** Whether it can be submitted; otherwise says what is missing and goes there. */
  function complete() {
    const excused = section.querySelector("input[name=all_bad]:checked, input[name=partial]:checked");
    const missing = unranked();
    if (missing.length === 0 || excused) return true;
    say(`Not ranked yet: output ${missing.map(letter).join(", ")}`);
    focus(missing[0]);
    return false;
  }

  cards.forEach(place);
  return { key, complete, focusFirst: () => focus(unranked()[0] ?? inOrder()[0]) };
}
