// Tables in <div class="filterable">: a field above each column filters, a click on a heading sorts.
document.addEventListener("DOMContentLoaded", () => {
  for (const table of document.querySelectorAll(".filterable table")) {
    const rows = [...table.tBodies[0].rows];
    const heads = [...table.tHead.rows[0].cells];
    const text = (row, i) => row.cells[i].textContent.trim();
    const number = (value) => parseFloat(value.replace("−", "-"));
    const fields = heads.map(() => "");
    const matches = (value, wanted) => {
      const bound = wanted.match(/^([<>])\s*(-?[\d.]+)$/);
      if (bound) return bound[1] === "<" ? number(value) < +bound[2] : number(value) > +bound[2];
      return value.toLowerCase().includes(wanted.toLowerCase());
    };
    const filter = () => rows.forEach((row) => (row.hidden = !fields.every((wanted, i) => !wanted || matches(text(row, i), wanted))));
    const line = table.tHead.insertRow();
    heads.forEach((head, i) => {
      const field = document.createElement("input");
      field.type = "search";
      field.placeholder = "filter";
      field.setAttribute("aria-label", `Filter ${head.textContent}`);
      field.addEventListener("input", () => { fields[i] = field.value.trim(); filter(); });
      line.insertCell().append(field);
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") === "ascending";
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const key = (row) => { const value = text(row, i), n = number(value); return Number.isNaN(n) ? value : n; };
        const order = (a, b) => (typeof a === typeof b ? (a < b ? -1 : a > b ? 1 : 0) : typeof a === "number" ? -1 : 1);
        rows.sort((a, b) => order(key(a), key(b)) * (down ? -1 : 1)).forEach((row) => table.tBodies[0].append(row));
      });
    });
  }
});
