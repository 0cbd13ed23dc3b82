"use strict";
const { study, person, kind, questions, pictures } = JSON.parse(document.getElementById("data").textContent);
const FORMAT = "votes 1", KEY = `facebench-study-${study}-${person}`;
const at = (id) => document.getElementById(id);
const decoded = new Map(); // number of a layer -> its picture; those of the question that is shown and of the next
let answers = questions.map(() => null); // positions from the best on, of each question; null: not answered
let chosen = []; // of the question that is shown
let current = -1, looked = 0;

/* What is kept: in the browser where it lets us, and in files */
function record() {
  return { format: FORMAT, study, person, answers };
}
function keep() {
  try {
    localStorage.setItem(KEY, JSON.stringify(record()));
  } catch {
    say("This browser keeps nothing: save your answers to a file before you close the page.");
  }
}
function kept() {
  try {
    return JSON.parse(localStorage.getItem(KEY));
  } catch {
    return null;
  }
}
function fits(found) {
  const wanted = (i) => (kind === "ranking" ? questions[i].shown.length : 1);
  const answer = (one, i) => one === null || (Array.isArray(one) && one.length === wanted(i) && new Set(one).size === one.length
    && one.every((p) => Number.isInteger(p) && p >= 0 && p < questions[i].shown.length));
  return found && found.format === FORMAT && found.study === study && found.person === person
    && Array.isArray(found.answers) && found.answers.length === questions.length && found.answers.every(answer);
}
function download() {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([JSON.stringify(record()) + "\n"], { type: "application/json" }));
  link.download = `votes-${person}.json`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  say(`Saved as ${link.download}, where your browser keeps downloads.`, true);
}
async function load(file) {
  let found = null;
  try {
    found = JSON.parse(await file.text());
  } catch { /* no JSON: it does not fit */ }
  if (!fits(found)) return say("This file does not belong to this page: its answers are of other questions.");
  answers = found.answers;
  keep();
  say(`Loaded ${answers.filter(Boolean).length} answers.`, true);
  go();
}
function say(text, good = false) {
  at("message").textContent = text;
  at("message").classList.toggle("good", good);
}

/* Pictures: layers drawn over each other, pixel by pixel as they were scored */
function layer(number) {
  if (!decoded.has(number)) {
    const image = new Image();
    image.src = `data:image/webp;base64,${pictures[number]}`;
    decoded.set(number, image.decode().then(() => image));
  }
  return decoded.get(number);
}
async function paint(canvas, layers) {
  const found = await Promise.all(layers.map(layer));
  canvas.width = found[0].naturalWidth;
  canvas.height = found[0].naturalHeight;
  for (const image of found) canvas.getContext("2d").drawImage(image, 0, 0);
}
function used(question) {
  return question ? [...question.shown.flat(), ...question.beside.flatMap((one) => one.layers)] : [];
}
function forget() {
  const needed = new Set([...used(questions[current]), ...used(questions[current + 1])]);
  for (const number of decoded.keys()) if (!needed.has(number)) decoded.delete(number);
  needed.forEach(layer);
}

/* Questions */
function go() {
  current = answers.findIndex((answer) => answer === null);
  for (const id of ["start", "question", "end"]) at(id).hidden = id !== (current < 0 ? "end" : "question");
  at("keep").disabled = false;
  if (current >= 0) ask();
}
function element(tag, properties = {}, ...inside) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...inside);
  return made;
}
async function ask() {
  const question = questions[current];
  chosen = [];
  looked = 0;
  at("progress").value = answers.filter(Boolean).length;
  at("number").textContent = `Question ${current + 1} of ${questions.length}.`;
  at("text").hidden = !question.text;
  at("text").textContent = question.text;
  const waiting = [];
  const canvas = (layers, label) => {
    const made = element("canvas", {});
    if (label) { made.setAttribute("role", "img"); made.setAttribute("aria-label", label); }
    waiting.push(paint(made, layers));
    return made;
  };
  at("beside").replaceChildren(...question.beside.map((one) =>
    element("figure", {}, canvas(one.layers, one.title), element("figcaption", { textContent: one.title }))));
  at("options").replaceChildren(...question.shown.map((layers, i) => {
    const button = element("button", { type: "button", className: "choice", onclick: () => choose(i) }, canvas(layers), element("span", { className: "rank" }));
    button.setAttribute("aria-label", `Picture ${i + 1}`);
    const large = element("button", { type: "button", textContent: "Large", onclick: () => enlarge(i) });
    large.setAttribute("aria-label", `Picture ${i + 1}, large`);
    return element("div", { className: "option" }, button, element("div", { className: "below" }, element("kbd", { textContent: i + 1 }), large));
  }));
  show();
  forget();
  await Promise.all(waiting);
  at("options").dataset.ready = current; // all pictures are there
}
function choose(i) {
  if (kind !== "ranking") chosen = [i];
  else if (chosen.includes(i)) chosen = chosen.filter((one) => one !== i);
  else {
    chosen = [...chosen, i];
    const left = questions[current].shown.map((_, p) => p).filter((p) => !chosen.includes(p));
    if (left.length === 1) chosen.push(left[0]); // the last place
  }
  looked = i;
  show();
}
function complete() {
  return current >= 0 && chosen.length === (kind === "ranking" ? questions[current].shown.length : 1);
}
function show() {
  [...at("options").children].forEach((option, i) => {
    const place = chosen.indexOf(i), button = option.querySelector(".choice");
    button.setAttribute("aria-pressed", place >= 0);
    button.querySelector(".rank").textContent = place < 0 ? "" : kind === "ranking" ? place + 1 : "✓";
  });
  at("next").disabled = !complete();
  at("clear").disabled = !chosen.length;
  at("status").textContent = !chosen.length ? ""
    : kind === "ranking" ? `From the best on: ${chosen.map((i) => `picture ${i + 1}`).join(", ")}` : `Picture ${chosen[0] + 1}`;
}
function next() {
  if (!complete()) return;
  answers[current] = chosen;
  say("");
  keep();
  go();
  if (current >= 0) at("number").scrollIntoView({ block: "nearest" });
}
function clear() {
  chosen = [];
  show();
}
function enlarge(i) {
  looked = i;
  paint(at("large").querySelector("canvas"), questions[current].shown[i]);
  at("large").showModal();
}

at("agree").onchange = (event) => { at("begin").disabled = !event.target.checked; };
at("begin").onclick = () => { keep(); go(); };
at("next").onclick = next;
at("clear").onclick = clear;
at("save").onclick = at("keep").onclick = download;
at("load").onchange = (event) => { const [file] = event.target.files; event.target.value = ""; if (file) load(file); };
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || at("question").hidden) return;
  const count = questions[current].shown.length, digit = Number(event.key);
  if (at("large").open) {
    if (event.key.toLowerCase() === "z") at("large").close();
    return;
  }
  if (digit >= 1 && digit <= count) choose(digit - 1);
  else if (count === 2 && event.key === "ArrowLeft") choose(0);
  else if (count === 2 && event.key === "ArrowRight") choose(1);
  else if (event.key === "Enter" && !event.target.closest("button:not(.choice, #next), .button, input")) next(); // space chooses
  else if (event.key === "Backspace") clear();
  else if (event.key.toLowerCase() === "z") enlarge(looked);
  else return;
  event.preventDefault();
});

const before = kept();
if (fits(before)) {
  answers = before.answers;
  go();
} else {
  at("start").hidden = false;
  at("keep").disabled = true;
}
