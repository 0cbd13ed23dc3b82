"use strict";

const one = (selector, root = document) => root.querySelector(selector);
const all = (selector, root = document) => [...root.querySelectorAll(selector)];

function made(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

/* Light and dark: the system's choice until the switch is used. */
{
  const button = one("#theme-button");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const root = document.documentElement;
  const dark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
  const show = () => button.setAttribute("aria-pressed", dark());
  try {
    const kept = localStorage.getItem("facebench-theme");
    if (kept === "dark" || kept === "light") root.dataset.theme = kept;
  } catch {} // some browsers keep nothing for pages from disk
  button.addEventListener("click", () => {
    root.dataset.theme = dark() ? "light" : "dark";
    try {
      localStorage.setItem("facebench-theme", root.dataset.theme);
    } catch {}
    show();
  });
  system.addEventListener("change", show);
  show();
}
