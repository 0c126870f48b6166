/* The whole script of a report: theme, sorting, filters, downloads. It asks the network for nothing. */
(function () {
  "use strict";

  const themes = ["auto", "light", "dark"];
  const button = document.getElementById("theme");

  function remembered() {
    try { return localStorage.getItem("mribench-theme"); } catch { return null; } // some browsers forbid it to files
  }

  function setTheme(name) {
    if (name === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = name;
    button.querySelector("span").textContent = name;
    try { localStorage.setItem("mribench-theme", name); } catch { /* it is forgotten, no more */ }
  }

  function nextTheme() {
    const now = document.documentElement.dataset.theme || "auto";
    setTheme(themes[(themes.indexOf(now) + 1) % themes.length]);
  }

  function save(name, type, text) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: type }));
    link.download = name;
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }

  /* Tables */

  function written(cell) {
    return (cell.querySelector(".v") ?? cell).textContent; // without what stands below it or is only heard
  }

  function key(row, column) {
    const cell = row.cells[column];
    if (cell.dataset.v !== undefined) return Number(cell.dataset.v);
    const text = written(cell).trim();
    return cell.matches(".missing, .failed, .nothing") || text === "" ? null : text;
  }

  function compare(first, second) {
    if (typeof first === "number" && typeof second === "number") return first - second;
    return String(first).localeCompare(String(second), "en", { numeric: true });
  }

  function sort(table, head, original) {
    const body = table.tBodies[0];
    const column = Number(head.dataset.column);
    const next = { none: "ascending", ascending: "descending", descending: "none" }[head.getAttribute("aria-sort")];
    table.querySelectorAll("th[aria-sort]").forEach((other) => other.setAttribute("aria-sort", "none"));
    head.setAttribute("aria-sort", next);
    table.classList.toggle("sorted", next !== "none");
    const sign = next === "descending" ? -1 : 1;
    const rows = original.slice();
    if (next !== "none") {
      rows.sort((a, b) => {
        const [x, y] = [key(a, column), key(b, column)];
        if (x === null || y === null) return (x === null) - (y === null); // what is missing comes last, always
        return sign * compare(x, y);
      });
    }
    body.append(...rows);
  }

  function hiddenChips(card) {
    return new Set(Array.from(card.querySelectorAll('.chip[aria-pressed="false"]'), (chip) => chip.dataset.chip));
  }

  const off = new Set(); // the methods that the reader hides everywhere

  function showColumns(card, rows) {
    const chips = hiddenChips(card);
    const hidden = new Set();
    for (const head of card.querySelectorAll("th[data-column]")) {
      const gone = chips.has(head.dataset.chip) || off.has(head.dataset.row);
      if (gone) hidden.add(Number(head.dataset.column));
      if (head.hidden === gone) continue;
      head.hidden = gone;
      for (const row of rows) row.cells[head.dataset.column].hidden = gone;
    }
    for (const head of card.querySelectorAll("th[data-start]")) {
      const [start, width] = [Number(head.dataset.start), Number(head.dataset.width)];
      const left = Array.from({ length: width }, (_, place) => start + place).filter((column) => !hidden.has(column)).length;
      head.hidden = left === 0;
      head.colSpan = Math.max(1, left);
    }
  }

  function showRows(card, rows) {
    const words = card.querySelector('input[type="search"]').value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of rows) {
      const content = Array.from(row.cells, written).join(" ").toLowerCase();
      const gone = (row.dataset.rows ?? "").split(" ").some((name) => off.has(name));
      row.hidden = gone || !words.every((word) => content.includes(word));
      shown += row.hidden ? 0 : 1;
    }
    const all = `${rows.length} row${rows.length === 1 ? "" : "s"}`;
    card.querySelector(".count").textContent = shown === rows.length ? all : `${shown} of ${all}`;
  }

  function quoted(text) {
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  }

  const beside = {
    se: "SE", low: "low", high: "high", n: "n", nTotal: "n_total", status: "status", jobsDone: "jobs_done",
    jobsExpected: "jobs_expected",
  }; // the data of a cell that a download has in columns of their own

  function value(cell) {
    if (cell.dataset.v !== undefined) return cell.dataset.v;
    return cell.matches("td.failed, td.missing, td.nothing") ? "" : written(cell).trim();
  }

  function csv(card) {
    const heads = Array.from(card.querySelectorAll("th[data-column]"))
      .filter((head) => !head.hidden)
      .sort((a, b) => a.dataset.column - b.dataset.column);
    const rows = Array.from(card.querySelectorAll("tbody tr")).filter((row) => !row.hidden);
    const plan = [];
    for (const head of heads) {
      const place = Number(head.dataset.column);
      const cells = rows.map((row) => row.cells[place]);
      plan.push([head.dataset.full, value, place]);
      for (const [name, title] of Object.entries(beside)) {
        const there = cells.some((cell) => cell.dataset[name] !== undefined);
        if (there) plan.push([`${head.dataset.full} ${title}`, (cell) => cell.dataset[name] ?? "", place]);
      }
    }
    const lines = [plan.map(([name]) => name), ...rows.map((row) => plan.map(([, read, place]) => read(row.cells[place])))];
    return lines.map((line) => line.map(quoted).join(",") + "\r\n").join("");
  }

  function enliven(card) {
    const table = card.querySelector("table");
    const original = Array.from(table.tBodies[0].rows);
    const search = card.querySelector('input[type="search"]');
    table.querySelectorAll("th[data-column] .sort").forEach((each) => {
      each.addEventListener("click", () => sort(table, each.closest("th"), original));
    });
    search.addEventListener("input", () => showRows(card, original));
    card.querySelectorAll(".chip").forEach((chip) => {
      chip.addEventListener("click", () => {
        chip.setAttribute("aria-pressed", String(chip.getAttribute("aria-pressed") !== "true"));
        showColumns(card, original);
      });
    });
    card.querySelector(".csv").addEventListener("click", () => save(`${card.dataset.name}.csv`, "text/csv", csv(card)));
    const refresh = () => { showRows(card, original); showColumns(card, original); };
    refresh();
    return refresh;
  }

  /* Methods, chosen once for all tables and figures */

  function choose(refreshers) {
    const buttons = Array.from(document.querySelectorAll(".method"));
    const all = document.querySelector(".methods .all");
    const apply = () => {
      buttons.forEach((each) => each.setAttribute("aria-pressed", String(!off.has(each.dataset.row))));
      document.querySelectorAll("svg [data-row]").forEach((part) => part.classList.toggle("faded", off.has(part.dataset.row)));
      refreshers.forEach((refresh) => refresh());
      all.hidden = off.size === 0;
    };
    buttons.forEach((each) => each.addEventListener("click", () => {
      if (!off.delete(each.dataset.row)) off.add(each.dataset.row);
      apply();
    }));
    all?.addEventListener("click", () => { off.clear(); apply(); buttons[0].focus(); });
  }

  /* Figures: what is saved has colours and a font of its own */

  function svg(figure) {
    const drawn = figure.querySelector("svg");
    const style = getComputedStyle(drawn);
    const copy = drawn.cloneNode(true);
    copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
    copy.setAttribute("color", style.color);
    copy.setAttribute("font-family", "Helvetica, Arial, sans-serif");
    copy.querySelectorAll(".faded").forEach((part) => part.setAttribute("opacity", "0.1"));
    return copy.outerHTML.replace(/var\((--[\w-]+)\)/g, (_, name) => style.getPropertyValue(name).trim());
  }

  /* Where the reader is */

  function follow() {
    const links = new Map(Array.from(document.querySelectorAll("nav a"), (link) => [link.hash.slice(1), link]));
    const watcher = new IntersectionObserver((entries) => {
      for (const entry of entries.filter((each) => each.isIntersecting)) {
        links.forEach((link) => link.removeAttribute("aria-current"));
        links.get(entry.target.id)?.setAttribute("aria-current", "true");
      }
    }, { rootMargin: "-10% 0px -80% 0px" });
    document.querySelectorAll("main > section").forEach((section) => watcher.observe(section));
  }

  const theme = remembered();
  setTheme(themes.includes(theme) ? theme : "auto");
  button.addEventListener("click", nextTheme);
  choose(Array.from(document.querySelectorAll(".table-card"), enliven));
  document.querySelectorAll(".figure-card .svg").forEach((each) => {
    const figure = each.closest("figure");
    each.addEventListener("click", () => save(`${figure.dataset.name}.svg`, "image/svg+xml", svg(figure)));
  });
  document.querySelectorAll(".tools, .chips, .methods, #theme").forEach((each) => { each.hidden = false; });
  follow();
})();
