/* Sorting: inside each part of a table; "n/a" stays last; the third click brings back the first order. */
const sortBy = (() => {
  const next = { none: "ascending", ascending: "descending", descending: "none" };
  const words = new Intl.Collator("en", { numeric: true });
  const number = (cell) => parseFloat(cell.textContent.replace("∞", "Infinity"));
  document.addEventListener("click", (event) => {
    const head = event.target.closest(".heads button")?.parentElement;
    if (head) sort(head, next[head.getAttribute("aria-sort")]);
  });

  function sort(head, order) {
    const table = head.closest("table");
    for (const row of table.rows) row.place ??= row.rowIndex;
    const column = head.cellIndex;
    for (const other of all(".heads th", table)) other.setAttribute("aria-sort", "none");
    head.setAttribute("aria-sort", order);
    const sign = order === "descending" ? -1 : 1;
    for (const body of table.tBodies) {
      const rows = all("tr:not(.title)", body);
      const keyed = rows.map((row) => ({ row, key: column ? number(row.cells[column]) : row.cells[0].textContent }));
      keyed.sort((a, b) => {
        if (order === "none") return a.row.place - b.row.place;
        if (!column) return sign * words.compare(a.key, b.key) || a.row.place - b.row.place;
        const late = Number.isNaN(a.key) - Number.isNaN(b.key);
        if (late || Number.isNaN(a.key)) return late || a.row.place - b.row.place;
        return (a.key === b.key ? 0 : sign * (a.key < b.key ? -1 : 1)) || a.row.place - b.row.place;
      });
      body.append(...keyed.map(({ row }) => row));
    }
  }
  return sort;
})();
