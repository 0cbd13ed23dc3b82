
/* What lies in scripts: each is loaded once, when it is asked for. */
const site = JSON.parse(one("#data").textContent) ?? {};
const waiting = new Map();

function load(stem) {
  if (!waiting.has(stem)) {
    const entry = {};
    entry.promise = new Promise((resolve, reject) => Object.assign(entry, { resolve, reject }));
    waiting.set(stem, entry);
    document.head.append(made("script", { src: `data/${stem}.js`, onerror: () => entry.reject(new Error(stem)) }));
  }
  return waiting.get(stem).promise;
}

window.arrived = ([stem, content]) => waiting.get(stem).resolve(content);

const fill = (list, names, chosen) => list.replaceChildren(...names.map((name, i) => new Option(name, i, false, i === chosen)));
const choice = (names, name) => Math.max(0, names.indexOf(name));
const absentText = "This table cannot be loaded: keep the folder “data” beside the page.";

/* What is chosen stands in the address, so that it can be sent to others. */
const address = new URLSearchParams(location.hash.slice(1));
function remember(facts) {
  try {
    history.replaceState(null, "", `#${new URLSearchParams(facts)}`);
  } catch {} // some browsers forbid it for pages from disk
}

/* Leaderboards */
if (one("#boards")) {
  const EVERY = "all";
  const [board, metric, column] = ["board", "metric", "column"].map((name) => one(`#${name}`));
  const place = one("#board-table");
  const chosen = () => site.boards[board.value];
  const titles = (list) => list.map((entry) => entry.title);
  let turn = 0;

  function options(metricTitle, columnTitle) {
    const { metrics, conditions } = chosen();
    fill(metric, titles(metrics), choice(titles(metrics), metricTitle));
    const names = [...titles(conditions), EVERY];
    fill(column, names, choice(names, columnTitle));
  }

  async function show() {
    const mine = ++turn;
    const { title, metrics, conditions } = chosen();
    const { stem, title: name } = metrics[metric.value];
    const condition = conditions[column.value];
    remember({ board: title, metric: name, condition: condition?.title ?? EVERY });
    let text = "";
    try {
      text = await load(stem);
    } catch {
      if (mine === turn) place.textContent = absentText;
      return;
    }
    if (mine !== turn) return; // something else was chosen meanwhile
    place.innerHTML = text;
    const table = one("table", place);
    table.classList.add(condition ? "ranked" : "every");
    if (condition) rank(table, condition.title, name.includes("↑"));
  }

  /* One column, best first, in each part of the table. */
  function rank(table, title, higher) {
    const heads = all(".heads th", table);
    const number = heads.findIndex((head, i) => i && head.dataset.condition.trim() === title);
    const groups = one(".groups", table);
    if (groups) groups.hidden = true;
    if (number < 0) return;
    heads[number].firstChild.textContent = title;
    for (const row of all("tr:not(.groups, .title)", table)) {
      [...row.cells].forEach((cell, i) => (cell.hidden = i > 0 && i !== number));
    }
    for (const row of all("tbody tr:not(.title)", table)) {
      row.classList.toggle("placed", !Number.isNaN(parseFloat(row.cells[number].textContent.replace("∞", "Infinity"))));
    }
    sortBy(heads[number], higher ? "descending" : "ascending");
  }

  fill(board, titles(site.boards), choice(titles(site.boards), address.get("board")));
  options(address.get("metric"), address.get("condition"));
  board.addEventListener("change", () => {
    options(metric.selectedOptions[0].text, column.selectedOptions[0].text);
    show();
  });
  for (const list of [metric, column]) list.addEventListener("change", show);
  show();
}

/* Two methods beside each other */
if (one("#pairs")) {
  const [board, metric, a, b] = ["board", "metric", "a", "b"].map((name) => one(`#${name}`));
  const chosen = () => site.compared[board.value];
  const titles = (list) => list.map((entry) => entry.title);
  let turn = 0;

  function options(wanted) {
    const { labels, metrics } = chosen();
    fill(metric, titles(metrics), choice(titles(metrics), wanted.metric));
    fill(a, labels, choice(labels, wanted.a));
    const other = labels.indexOf(wanted.b);
    fill(b, labels, other < 0 ? labels.length - 1 : other);
  }

  /* The pair of a method before another one, as they are listed. */
  const place = (i, j, count) => i * count - (i * (i + 1)) / 2 + (j - i - 1);

  function row({ title, values, pairs }, decimals) {
    const [i, j] = [Number(a.value), Number(b.value)];
    const told = (x) => (x == null ? "n/a" : Number.isFinite(x) ? x.toFixed(decimals) : x);
    const signed = (x) => (x > 0 ? "+" : "") + x.toFixed(decimals);
    const pair = i === j ? [0, null, null, null, null] : pairs[place(Math.min(i, j), Math.max(i, j), values.length)];
    let [apart, low, high] = i <= j ? pair : [pair[0], pair[2], pair[1]].map((x) => (x == null ? null : -x));
    if (apart == null && Number.isFinite(values[i]) && Number.isFinite(values[j])) apart = values[j] - values[i];
    const p = pair[3];
    const cell = made("td");
    const text = apart == null ? "n/a" : signed(apart);
    cell.append(p != null && p < site.level ? made("b", { textContent: text }) : text);
    if (low != null) cell.append(made("small", { textContent: ` [${signed(low)}, ${signed(high)}]` }));
    const numbers = [values[i], values[j]].map((x) => made("td", { textContent: told(x) }));
    const line = made("tr", {}, made("th", { scope: "row", textContent: title }), ...numbers, cell);
    line.append(made("td", { textContent: p == null ? "n/a" : p.toFixed(4) }));
    line.append(made("td", { textContent: pair[4] || "n/a" }));
    return line;
  }

  /* The image browser shows what is compared, where it has pictures of it. */
  function picture(list, name) {
    const found = [...(one(`#images #${list}`)?.options ?? [])].find((option) => option.text === name);
    if (!found) return;
    found.selected = true;
    found.parentElement.dispatchEvent(new Event("change"));
  }

  function follow() {
    const { board: name, labels } = chosen();
    picture("dataset", name);
    picture("left", labels[a.value]);
    picture("right", labels[b.value]);
  }

  async function show() {
    const mine = ++turn;
    const { title, labels, metrics } = chosen();
    const { stem, title: name, decimals } = metrics[metric.value];
    remember({ board: title, metric: name, a: labels[a.value], b: labels[b.value] });
    const [body, none] = [one("#pairs-rows"), one("#pairs-none")];
    try {
      const found = await load(stem);
      if (mine !== turn) return;
      body.replaceChildren(...found.map((entry) => row(entry, decimals)));
      none.textContent = "";
    } catch {
      if (mine === turn) none.textContent = absentText;
    }
  }

  fill(board, titles(site.compared), choice(titles(site.compared), address.get("board")));
  options(Object.fromEntries(address));
  board.addEventListener("change", () => {
    options({ metric: metric.selectedOptions[0].text, a: a.selectedOptions[0].text, b: b.selectedOptions[0].text });
    show();
  });
  for (const list of [metric, a, b]) list.addEventListener("change", show);
  for (const list of [board, a, b]) list.addEventListener("change", follow);
  show();
  follow();
}
