// Keeps a page up to date while somebody looks at it. Pages work without.
"use strict";

const EVERY = 5000; // ms from an answer to the next question
const main = document.querySelector("main[data-live]");
const live = document.getElementById("live"); // says whether it is kept up to date, and why not
let etag = null; // of what is shown; unknown until the first answer
let timer = null;
let ended = false;

// Why nothing may be replaced just now, or "".
function obstacle() {
  if (document.hidden) return "while this page is hidden";
  if (!navigator.onLine) return "you are offline";
  const selection = getSelection();
  if (selection && !selection.isCollapsed && main.contains(selection.anchorNode)) {
    return "while text is selected";
  }
  const focused = document.activeElement;
  // A box in which nothing is typed yet gets the focus again. A date has no value while it is typed.
  if (main.contains(focused) && focused.matches("select, [type=date]")) {
    return "while you fill in a form";
  }
  const isTyped = (field) =>
    field.type !== "hidden" &&
    (field.value !== field.defaultValue || field.checked !== field.defaultChecked);
  return Array.from(main.querySelectorAll("input, textarea")).some(isTyped)
    ? "while you fill in a form"
    : "";
}

// Tell only what is new: a screen reader may read it out.
function tell(why) {
  const words = why ? ` · not updated: ${why}` : " · live";
  if (live.textContent !== words) live.textContent = words;
  live.className = why ? "" : "on";
}

function showTime(time) {
  if (time) document.getElementById("as-of").textContent = time;
}

// What the same element is called before and after the content is replaced.
function nameOf(element) {
  if (!element || !main.contains(element) || element === main) return null;
  const tag = element.tagName.toLowerCase();
  const isSame = (each) =>
    each.tagName === element.tagName &&
    each.id === element.id &&
    each.getAttribute("href") === element.getAttribute("href") &&
    (tag === "a" || each.textContent === element.textContent);
  const alike = Array.from(main.getElementsByTagName(tag)).filter(isSame);
  return { isSame, tag, index: alike.indexOf(element) };
}

function find(name) {
  return name && Array.from(main.getElementsByTagName(name.tag)).filter(name.isSame)[name.index];
}

function replace(html) {
  const fresh = new DOMParser().parseFromString(html, "text/html").querySelector("main");
  if (!fresh) return;
  const focused = nameOf(document.activeElement);
  const folds = Array.from(main.querySelectorAll("summary"), (each) => [
    nameOf(each),
    each.parentElement.open,
  ]);
  const { scrollX, scrollY } = window;
  fresh.querySelector("#live").replaceWith(live);
  main.replaceChildren(...fresh.childNodes);
  for (const [name, isOpen] of folds) {
    const summary = find(name);
    if (summary) summary.parentElement.open = isOpen;
  }
  const again = find(focused);
  if (again) again.focus({ preventScroll: true });
  window.scrollTo(scrollX, scrollY);
}

async function ask() {
  const headers = etag ? { "If-None-Match": etag } : {};
  const options = { headers, cache: "no-store", redirect: "manual", credentials: "same-origin" };
  const answer = await fetch(location.href, options);
  if (answer.type === "opaqueredirect" || answer.status === 401 || answer.status === 403) {
    ended = true;
    return "you are signed out";
  }
  if (answer.status === 304) {
    showTime(answer.headers.get("As-Of"));
    return "";
  }
  if (answer.status !== 200) return `the server says ${answer.status}`;
  const html = await answer.text();
  const why = obstacle(); // somebody may have begun to type meanwhile
  if (why) return why;
  replace(html);
  etag = answer.headers.get("ETag");
  return "";
}

async function look() {
  clearTimeout(timer);
  let why = obstacle();
  if (!why) {
    try {
      why = await ask();
    } catch {
      why = "the server cannot be reached";
    }
  }
  tell(why);
  clearTimeout(timer); // another look may have begun while this one waited
  if (!ended) timer = setTimeout(look, EVERY);
}

// What `check` says of the text in the box, while somebody types: one question at a time.
const draft = document.getElementById("draft");
const PAUSE = 600; // ms without a key
let typing = null;
let asking = false;

async function check() {
  const findings = document.getElementById("findings");
  const checked = draft.value;
  asking = true;
  let why = "the server cannot be reached";
  try {
    const fields = new URLSearchParams(new FormData(draft.form));
    const options = { method: "POST", body: fields, redirect: "manual", cache: "no-store" };
    const answer = await fetch(draft.form.action, options);
    why = answer.status ? `the server says ${answer.status}` : "you are signed out";
    const html = answer.ok ? await answer.text() : "";
    const fresh = new DOMParser().parseFromString(html, "text/html").getElementById("findings");
    if (fresh.innerHTML !== findings.innerHTML) findings.replaceChildren(...fresh.childNodes);
  } catch {
    findings.textContent = `Not checked: ${why}.`;
  }
  asking = false;
  if (draft.value !== checked) await check();
}

if (draft) {
  draft.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(() => asking || check(), PAUSE);
  });
}

if (main && live) {
  live.setAttribute("aria-live", "polite");
  tell(obstacle());
  timer = setTimeout(look, EVERY);
  // At once when somebody comes back, and to say so when they leave.
  for (const [target, event] of [
    [document, "visibilitychange"],
    [window, "online"],
    [window, "offline"],
  ]) {
    target.addEventListener(event, () => ended || look());
  }
}
