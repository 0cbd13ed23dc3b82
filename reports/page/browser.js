/* Images */
const browser = one("#images") && (() => {
  const { albums, uris, numbers, folders } = JSON.parse(one("#pictures").textContent);
  const NEARBY = 9;
  const sides = ["left", "right"];
  const select = Object.fromEntries(["dataset", "condition", "score", "order", ...sides].map((name) => [name, one(`#${name}`)]));
  const stage = one("#stage");
  const split = one("#split");
  const absent = albums.map((album) => album.missing.map((list) => new Set(list)));
  const state = { album: 0, image: 0, left: 1, right: 0, score: 0, order: 0 };
  let order = []; // the images as they follow each other

  /* Address of a picture, or "" where the method has none. */
  function address(variant, image) {
    const missing = absent[state.album][variant];
    if (missing.has(image)) return "";
    if (folders) return `${folders[state.album][variant]}/${encodeURIComponent(albums[state.album].names[image])}`;
    const before = albums[state.album].missing[variant].filter((i) => i < image).length;
    return `data:image/png;base64,${uris[numbers[state.album][variant][image - before]]}`;
  }

  /* What a method scored with an image, or "" where nobody knows. */
  const score = (variant, image) => albums[state.album].scores[state.score]?.of[variant][image] ?? "";
  const value = (text) => parseFloat(text.replace("∞", "Infinity"));

  /* By the score of the method on the right, else of the one on the left; images without one come last. */
  function arrange() {
    const { names, scores } = albums[state.album];
    order = names.map((_, i) => i);
    const variant = [state.right, state.left].find((side) => scores[state.score]?.of[side].some(Boolean));
    if (!state.order || variant === undefined) return;
    const sign = scores[state.score].higher === (state.order === 1) ? 1 : -1;
    const keys = order.map((i) => value(score(variant, i)));
    const compare = (a, b) => (keys[a] === keys[b] ? 0 : sign * (keys[a] < keys[b] ? -1 : 1));
    order.sort((a, b) => Number.isNaN(keys[a]) - Number.isNaN(keys[b]) || (Number.isNaN(keys[a]) ? 0 : compare(a, b)) || a - b);
  }

  const options = (list, names, chosen) => list.replaceChildren(...names.map((name, i) => new Option(name, i, false, i === chosen)));

  /* Pixels of a picture that is shown enlarged stay sharp. */
  function load(image, source, alt) {
    image.hidden = !source;
    image.alt = source ? alt : "";
    if (!source) return image.removeAttribute("src");
    image.onload = () => image.classList.toggle("small", image.naturalWidth < image.clientWidth / 1.5);
    if (image.getAttribute("src") !== source) image.src = source;
  }

  function show() {
    arrange();
    const place = order.indexOf(state.image);
    const album = albums[state.album];
    const count = album.names.length;
    const name = album.names[state.image].replace(/\.png$/, "");
    for (const side of sides) {
      const title = album.variants[state[side]];
      const source = address(state[side], state.image);
      load(one(`#${side}-image`), source, `${title}, image ${name}`);
      const told = source ? score(state[side], state.image) : "n/a";
      one(`#${side}-tag`).textContent = told ? `${title}: ${told}` : title;
      select[side].value = state[side];
    }
    select.score.value = state.score;
    select.order.selectedIndex = state.order;
    one("#number").value = place + 1;
    one("#number").max = count;
    one("#total").textContent = count.toLocaleString("en");
    const text = album.texts[state.image];
    one("#where").textContent = `${name}: ${album.dataset}, ${album.condition}${text ? `: “${text}”` : ""}`;
    one("#previous").disabled = one("#next").disabled = count === 1;
    strip(album, count, place);
    variants(album, name);
    for (const side of sides) { // so that the next picture is there when it is asked for
      const ahead = address(state[side], order[(place + 1) % count]);
      if (folders && ahead) new Image().src = ahead;
    }
  }

  function strip(album, count, place) {
    const first = Math.max(0, Math.min(place - (NEARBY >> 1), count - NEARBY));
    const buttons = order.slice(first, first + NEARBY).map((number, i) => {
      const image = made("img");
      load(image, address(0, number) || address(1, number), "");
      const button = made("button", { type: "button", ariaLabel: `Image ${first + i + 1}`, onclick: () => go(first + i) }, image);
      button.setAttribute("aria-current", number === state.image);
      return button;
    });
    const focused = one("#strip").contains(document.activeElement);
    one("#strip").replaceChildren(...buttons);
    if (focused) buttons[place - first].focus({ preventScroll: true });
  }

  function variants(album, name) {
    const box = one("#variants");
    while (box.children.length > album.variants.length) box.lastChild.remove();
    album.variants.forEach((title, v) => {
      if (!box.children[v]) {
        const parts = [made("img", { loading: "lazy" }), made("i", { className: "absent", textContent: "n/a" }), made("span")];
        const button = made("button", { type: "button", className: "tile" }, ...parts);
        button.addEventListener("click", (event) => choose(event.shiftKey ? "left" : "right", v));
        box.append(button);
      }
      const tile = box.children[v];
      const [image, blank, label] = tile.children;
      const source = address(v, state.image);
      load(image, source, "");
      blank.hidden = Boolean(source);
      const told = source && score(v, state.image);
      label.textContent = told ? `${title}: ${told}` : title;
      const side = sides.filter((side) => state[side] === v).join(", ");
      if (side) tile.dataset.side = side;
      else delete tile.dataset.side;
      tile.ariaLabel = `${title}, image ${name}${side ? `, shown ${side}` : ""}`;
    });
  }

  const wrap = (number, count) => ((number % count) + count) % count;

  /* To a place in the order; a step from where one is. */
  function go(place) {
    state.image = order[wrap(place, order.length)];
    show();
  }
  const step = (by) => go(order.indexOf(state.image) + by);

  /* Another score or order: from its first image on. */
  function rank(key, number, count) {
    if (!count) return;
    state[key] = wrap(number, count);
    arrange();
    go(state.order ? 0 : order.indexOf(state.image));
  }
  const rankBy = { score: (number) => rank("score", number, albums[state.album].scores.length), order: (number) => rank("order", number, 3) };

  function choose(side, variant) {
    state[side] = wrap(variant, albums[state.album].variants.length);
    show();
  }

  function swap() {
    [state.left, state.right] = [state.right, state.left];
    show();
  }

  /* Another album: the same image and the same methods where it has them. */
  function open(number, first = false) {
    const before = albums[state.album];
    const album = albums[(state.album = number)];
    const image = album.names.indexOf(before.names[state.image]);
    state.image = image < 0 ? Math.min(state.image, album.names.length - 1) : image;
    for (const side of sides) {
      const variant = album.variants.indexOf(before.variants[state[side]]);
      state[side] = variant < 0 ? (side === "left" ? 1 : 0) : variant;
    }
    const wanted = album.scores.findIndex((other) => other.title === before.scores[state.score]?.title);
    state.score = Math.max(0, wanted);
    options(select.score, album.scores.map((other) => `${other.title} ${other.higher ? "↑" : "↓"}`), state.score);
    for (const place of all(".scored")) place.hidden = !album.scores.length;
    if (first) state.right = album.variants.length > 2 ? album.variants.length - 1 : 0;
    const datasets = [...new Set(albums.map((other) => other.dataset))];
    options(select.dataset, datasets, datasets.indexOf(album.dataset));
    const here = albums.filter((other) => other.dataset === album.dataset);
    options(select.condition, here.map((other) => other.condition), here.indexOf(album));
    for (const side of sides) options(select[side], album.variants, state[side]);
    show();
  }

  function openCondition(step) {
    const here = albums.filter((other) => other.dataset === albums[state.album].dataset);
    open(albums.indexOf(here[wrap(here.indexOf(albums[state.album]) + step, here.length)]));
  }

  function openDataset(name) {
    const here = albums.filter((other) => other.dataset === name);
    open(albums.indexOf(here.find((other) => other.condition === albums[state.album].condition) ?? here[0]));
  }

  function divide(percent) {
    split.value = percent;
    stage.style.setProperty("--split", `${split.value}%`);
  }

  const drag = (event) => {
    const box = stage.getBoundingClientRect();
    divide((100 * (event.clientX - box.left)) / box.width);
  };
  stage.addEventListener("pointerdown", (event) => {
    stage.setPointerCapture(event.pointerId);
    drag(event);
  });
  stage.addEventListener("pointermove", (event) => stage.hasPointerCapture(event.pointerId) && drag(event));
  split.addEventListener("input", () => divide(split.value));
  select.dataset.addEventListener("change", (event) => openDataset(event.target.selectedOptions[0].text));
  select.condition.addEventListener("change", (event) => {
    const here = albums.filter((other) => other.dataset === albums[state.album].dataset);
    open(albums.indexOf(here[event.target.value]));
  });
  for (const side of sides) select[side].addEventListener("change", (event) => choose(side, Number(event.target.value)));
  one("#swap").addEventListener("click", swap);
  for (const key of ["score", "order"]) select[key].addEventListener("change", (event) => rankBy[key](event.target.selectedIndex));
  one("#previous").addEventListener("click", () => step(-1));
  one("#next").addEventListener("click", () => step(1));
  one("#number").addEventListener("change", (event) => {
    const count = albums[state.album].names.length;
    go(Math.min(count, Math.max(1, Math.round(event.target.value) || 1)) - 1);
  });
  open(0, true);

  const datasets = [...new Set(albums.map((album) => album.dataset))];
  return {
    ArrowLeft: () => step(-1),
    ArrowRight: () => step(1),
    s: () => rankBy.score(state.score + 1),
    S: () => rankBy.score(state.score - 1),
    o: () => rankBy.order(state.order + 1),
    O: () => rankBy.order(state.order - 1),
    a: () => choose("left", state.left + 1),
    A: () => choose("left", state.left - 1),
    b: () => choose("right", state.right + 1),
    B: () => choose("right", state.right - 1),
    c: () => openCondition(1),
    C: () => openCondition(-1),
    d: () => openDataset(datasets[wrap(datasets.indexOf(albums[state.album].dataset) + 1, datasets.length)]),
    D: () => openDataset(datasets[wrap(datasets.indexOf(albums[state.album].dataset) - 1, datasets.length)]),
    x: swap,
    ",": () => divide(Number(split.value) - 5),
    ".": () => divide(Number(split.value) + 5),
  };
})();
