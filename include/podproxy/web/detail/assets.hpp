#ifndef PODPROXY_WEB_DETAIL_ASSETS_HPP
#define PODPROXY_WEB_DETAIL_ASSETS_HPP

#include <string_view>

namespace podproxy::web::detail {

inline constexpr std::string_view style_css = R"css(:root {
  color-scheme: light dark;
  --back: #f6f7f9; --card: #ffffff; --text: #1b2027; --soft: #5b6673; --line: #dfe3e8;
  --good: #117a43; --busy: #8a5a00; --bad: #b3261e; --link: #0b57d0;
}
@media (prefers-color-scheme: dark) {
  :root {
    --back: #12161b; --card: #1b2128; --text: #e6e9ed; --soft: #9aa5b1; --line: #313a44;
    --good: #5bd08c; --busy: #f0b64a; --bad: #ff8a80; --link: #8ab4f8;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--back); color: var(--text); font: 15px/1.45 system-ui, sans-serif; }
header, main, footer { max-width: 72rem; margin: 0 auto; padding: 0 1rem; }
header { display: flex; flex-wrap: wrap; gap: .25rem 1rem; align-items: baseline; padding-top: 1.25rem; }
h1 { font-size: 1.35rem; margin: 0; }
h2 { font-size: 1.05rem; margin: 1.75rem 0 .5rem; }
.version, footer, .hint, .empty { color: var(--soft); }
#note { color: var(--bad); margin-left: auto; }
.health { margin: .75rem 0 0; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)); gap: .75rem; margin: 1rem 0 0; padding: 0; }
.figures div { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; padding: .6rem .8rem; }
.figures dt { color: var(--soft); font-size: .85rem; }
.figures dd { margin: 0; font-size: 1.2rem; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
.table { overflow-x: auto; background: var(--card); border: 1px solid var(--line); border-radius: .5rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .5rem .8rem; border-top: 1px solid var(--line); font-variant-numeric: tabular-nums; }
thead th { border-top: 0; color: var(--soft); font-weight: 500; font-size: .85rem; white-space: nowrap; }
td { overflow-wrap: break-word; max-width: 26rem; }
.hint { display: block; font-size: .85rem; min-width: 7rem; }
.good { color: var(--good); } .busy { color: var(--busy); } .bad { color: var(--bad); } .quiet { color: var(--soft); }
.good::before, .busy::before, .bad::before, .quiet::before { margin-right: .4em; }
.good::before { content: "\25CF"; } .busy::before { content: "\25D0"; } .bad::before { content: "\25B2"; } .quiet::before { content: "\25CB"; }
.buttons { white-space: nowrap; }
button { font: inherit; color: var(--text); background: var(--back); border: 1px solid var(--line); border-radius: .4rem; padding: .15rem .7rem; cursor: pointer; }
button:hover:enabled { border-color: var(--soft); }
button:disabled { opacity: .5; cursor: default; }
:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; }
html:not(.js) button { display: none; }
footer { padding-top: 1.5rem; padding-bottom: 2rem; font-size: .85rem; }
a { color: var(--link); }
)css";

inline constexpr std::string_view script_js = R"js("use strict";
(() => {
  const root = document.documentElement;
  const note = document.getElementById("note");
  const every = Number(root.dataset.refresh) * 1000;
  let timer = 0;
  root.classList.add("js");

  async function refresh(focus) {
    clearTimeout(timer);
    try {
      const answer = await fetch("/", { headers: { Accept: "text/html" }, cache: "no-store" });
      if (!answer.ok) throw new Error(answer.status + " " + answer.statusText);
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("main");
      const shown = document.querySelector("main");
      if (fresh && fresh.innerHTML !== shown.innerHTML) {
        focus = focus || (document.activeElement && document.activeElement.dataset.path);
        const scrolled = [...shown.querySelectorAll(".table")].map((table) => table.scrollLeft);
        shown.replaceChildren(...fresh.childNodes);
        shown.querySelectorAll(".table").forEach((table, i) => { table.scrollLeft = scrolled[i] || 0; });
        if (focus) for (const b of shown.querySelectorAll("button")) if (b.dataset.path === focus) b.focus({ preventScroll: true });
      }
      note.textContent = "";
    } catch (error) {
      note.textContent = "Not up to date: " + (error.message || "no answer");
    }
    if (!document.hidden) timer = setTimeout(() => refresh(), every);
  }

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("button[data-path]");
    if (!button || (button.dataset.question && !confirm(button.dataset.question))) return;
    button.disabled = true;
    let failed = "";
    try {
      const answer = await fetch(button.dataset.path, { method: "POST", headers: { "X-Podproxy-Action": "1" } });
      if (!answer.ok) failed = (await answer.json()).error || answer.statusText;
    } catch (error) {
      failed = error.message || "no answer";
    }
    button.disabled = false;
    await refresh(button.dataset.path);
    if (failed) note.textContent = failed;
  });
  document.addEventListener("visibilitychange", () => { if (!document.hidden) refresh(); });
  timer = setTimeout(() => refresh(), every);
})();
)js";

inline constexpr std::string_view icon_svg =
    R"svg(<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><rect width="16" height="16" rx="4" fill="#0b57d0"/><path d="M4 8h8M9 5l3 3-3 3" fill="none" stroke="#fff" stroke-width="2" stroke-linecap="round" stroke-linejoin="round"/></svg>)svg";

} // namespace podproxy::web::detail

#endif
