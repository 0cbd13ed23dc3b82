/* Filters: words with commas between them; a table is filtered when it comes near the screen. */
const filters = one("#filters");
{
  const button = one("#filter-button");
  const conditions = new Set(all("#known-condition option").map((option) => option.value.toLowerCase()));
  let wanted = {};
  let turn = 0;

  const fits = (text, words) => !words.length || words.some((word) => text.toLowerCase().includes(word));

  function columnsOf(table) {
    const heads = all(".heads th", table).slice(1);
    const names = heads.map((head) => head.dataset.condition.trim());
    return names.some((name) => conditions.has(name.toLowerCase())) ? names : [];
  }

  function filter(table) {
    table.turn = turn;
    const names = columnsOf(table);
    const shown = names.map((name) => fits(name, wanted.condition));
    const heads = one(".heads", table);
    const groups = one(".groups", table);
    let column = 0;
    for (const group of groups && names.length ? all("th", groups) : []) {
      group.span ??= group.colSpan;
      const visible = shown.slice(column, (column += group.span)).filter(Boolean).length;
      group.hidden = !visible;
      group.colSpan = visible || 1;
    }
    shown.forEach((visible, i) => (heads.cells[i + 1].hidden = !visible));
    let rows = 0;
    for (const body of table.tBodies) {
      const data = body.dataset;
      const here = fits(data.dataset, data.dataset ? wanted.dataset : []) && fits(data.metric, data.metric ? wanted.metric : []);
      let found = 0;
      for (const row of here ? all("tr:not(.title)", body) : []) {
        const name = row.cells[0].textContent;
        row.hidden = !(fits(name, wanted.method) && (names.length || table.id !== "table-published" || fits(name, wanted.condition)));
        found += !row.hidden;
        shown.forEach((visible, i) => (row.cells[i + 1].hidden = !visible));
      }
      body.hidden = !found;
      rows += found;
    }
    const some = rows && (!names.length || shown.includes(true));
    table.parentElement.hidden = !some;
    table.parentElement.nextElementSibling.hidden = Boolean(some);
    return some ? rows : 0;
  }

  const visible = (table) => table.id === "table-main" || !table.closest("details:not([open])");

  function apply() {
    turn += 1;
    wanted = Object.fromEntries(
      [...new FormData(filters)].map(([name, text]) => [name.slice(3), text.toLowerCase().split(",").map((word) => word.trim()).filter(Boolean)]),
    );
    const active = Object.values(wanted).filter((words) => words.length).length;
    const rows = all("table").filter(visible).map(filter)[0] ?? 0;
    one("#found").value = active ? `${rows} ${rows === 1 ? "row" : "rows"} in the main table` : "";
    button.textContent = active ? `Filter (${active})` : "Filter";
  }

  /* Tables of a large report lie in scripts of their own: each is loaded when its place is opened. */
  const late = (table) => turn && table.turn !== turn && filter(table);
  const look = () => all(".late").filter((place) => !place.closest("details:not([open])")).forEach(bring);

  function bring(place) {
    place.classList.remove("late");
    const missing = () => (place.textContent = "This table cannot be loaded: keep the folder “data” beside the page.");
    document.head.append(made("script", { src: `data/${place.dataset.stem}.js`, onerror: missing }));
  }

  window.arrived = ([stem, text]) => {
    one(`[data-stem="${stem}"]`).outerHTML = text;
    if (turn) apply();
  };

  for (const details of all("details")) {
    details.addEventListener("toggle", () => {
      if (!details.open) return;
      look();
      all("table", details).filter(visible).forEach(late);
    });
  }
  filters.addEventListener("input", apply);
  filters.addEventListener("reset", (event) => {
    event.preventDefault(); // the browser would empty the fields after this
    for (const field of all("input", filters)) field.value = "";
    apply();
  });
  look();
  filters.addEventListener("submit", (event) => event.preventDefault());
  button.addEventListener("click", () => button.setAttribute("aria-expanded", filters.classList.toggle("open")));

  const openAll = one("#open-all");
  const sections = all("details.table");
  const open = (yes) => sections.forEach((section) => (section.open = yes));
  openAll?.addEventListener("click", () => {
    const yes = sections.some((section) => !section.open);
    open(yes);
    openAll.textContent = yes ? "Close all" : "Open all";
  });
  addEventListener("beforeprint", () => open(true));
}

/* Keys: not while somebody types, and not together with the browser's own. */
{
  const help = one("#help");
  const keys = {
    ...browser,
    "?": () => help.showModal(),
    t: () => one("#theme-button").click(),
    "/": () => {
      filters.classList.add("open");
      one("#filter-button").setAttribute("aria-expanded", true);
      filters.elements["by-method"].focus();
    },
  };
  one("#help-button").addEventListener("click", () => help.showModal());
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || help.open || event.target.closest("input, select, textarea")) return;
    const scrolled = event.target.closest(".scroll");
    if (event.key.startsWith("Arrow") && scrolled && scrolled.scrollWidth > scrolled.clientWidth) return;
    const act = keys[event.key] ?? keys[event.key.toLowerCase()];
    if (!act) return;
    event.preventDefault();
    act();
  });
}
