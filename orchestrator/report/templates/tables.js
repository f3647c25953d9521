// Tables that are sorted by their headings and copied with one press.  All that is shown or copied is in the page
// already: without this script a table stands in its first order, and its text can be selected.
(() => {
  "use strict";

  const collator = new Intl.Collator("en", { numeric: true });

  // A cell's figure as it was measured; null where nothing was, NaN never.
  function valueOf(cell) {
    const text = cell.tagName === "TH" ? cell.textContent.trim() : cell.dataset.order;
    if (text === undefined) return null;
    const number = Number(text);
    return text !== "" && Number.isFinite(number) ? number : text;
  }

  // What is missing comes last in either order.
  function compare(one, other, sign) {
    if (one === null || other === null) return (one === null) - (other === null);
    if (typeof one === "number" && typeof other === "number") return sign * (one - other);
    return sign * collator.compare(String(one), String(other));
  }

  function sortBy(table, index, order) {
    const sign = order === "descending" ? -1 : 1;
    const rows = [...table.querySelectorAll("tbody tr:not(.group)")];
    rows.forEach((row, number) => { row.dataset.place ??= String(number); });
    const inPlace = (one, other) => one.dataset.place - other.dataset.place;
    if (order === "none") {
      rows.sort(inPlace);
    } else {
      const values = new Map(rows.map((row) => [row, valueOf(row.cells[index])]));
      rows.sort((one, other) => compare(values.get(one), values.get(other), sign) || inPlace(one, other));
    }
    return rows;
  }

  // Grouped as the page had it, or all rows in one body, each with its group's name before its own.
  function lay(table, rows, order) {
    const bodies = [...table.tBodies];
    table.classList.toggle("sorted", order !== "none");
    for (const row of rows) {
      row.dataset.body ??= String(bodies.indexOf(row.parentElement));
      const body = order === "none" ? bodies[Number(row.dataset.body)] : bodies[bodies.length - 1];
      body.append(row);
    }
  }

  function headings(table) {
    const cells = [...table.tHead.rows[0].cells];
    cells.forEach((cell, index) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...cell.childNodes);
      cell.append(button);
      button.addEventListener("click", () => {
        // Figures are looked at for their largest first, names from A on.
        const first = index === 0 || cell.classList.contains("words") ? "ascending" : "descending";
        const second = first === "ascending" ? "descending" : "ascending";
        const now = cell.getAttribute("aria-sort");
        const next = now === first ? second : now === second ? "none" : first;
        cells.forEach((each) => each.removeAttribute("aria-sort"));
        if (next !== "none") cell.setAttribute("aria-sort", next);
        lay(table, sortBy(table, index, next), next);
      });
    });
  }

  async function copy(pre) {
    try {
      await navigator.clipboard.writeText(pre.textContent);
      return true;
    } catch {
      // An old browser, or one that does not trust files: the text is selected for the person to copy.
      pre.closest("details").open = true;
      getSelection().selectAllChildren(pre);
      return document.execCommand("copy");
    }
  }

  function copies(data) {
    let tools = data.querySelector(".tools");
    if (!tools) {
      tools = document.createElement("div");
      tools.className = "tools";
      data.prepend(tools);
    }
    const group = document.createElement("div");
    group.className = "copies";
    group.append("Copy as");
    const said = document.createElement("span");
    said.className = "unseen";
    said.setAttribute("role", "status");
    for (const pre of data.querySelectorAll("pre[data-format]")) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = pre.dataset.format;
      button.addEventListener("click", async () => {
        const done = await copy(pre);
        said.textContent = done ? `Copied as ${pre.dataset.format}.` : "Press Ctrl+C to copy what is selected.";
        button.textContent = done ? "Copied" : "Selected";
        setTimeout(() => { button.textContent = pre.dataset.format; said.textContent = ""; }, 2000);
      });
      group.append(button);
    }
    group.append(said);
    tools.append(group);
  }

  function liven(root) {
    for (const data of root.querySelectorAll(".data:not([data-alive])")) {
      data.dataset.alive = "";
      headings(data.querySelector("table"));
      copies(data);
    }
  }

  document.addEventListener("orch:shown", (event) => {
    const shown = event.target;
    liven(shown === document || !shown.closest(".data") ? shown : shown.closest(".data").parentElement);
  });
})();
