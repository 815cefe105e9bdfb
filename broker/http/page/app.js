// The page: a frame with navigation, and one view at a time chosen by the address after #.
import { html, render, useEffect, useErrorBoundary, useReducer, useRef, useState } from "/vendor/htm-preact.js";
import { current, run, state, subscribe } from "/live.js";
import { problems } from "/format.js";
import { MapView } from "/view-map.js";
import { TopicsView, TopicView } from "/view-topics.js";
import { MessagesView } from "/view-messages.js";
import { ConfigView, EventsView, GroupsView, QuorumView } from "/views.js";

const VIEWS = [
  { name: "map", title: "Cluster", icon: "M3 6h7v7H3zM14 6h7v7h-7zM8.5 17h7v4h-7z", view: MapView },
  { name: "topics", title: "Topics", icon: "M4 5h16v3H4zM4 11h16v3H4zM4 17h10v3H4z", view: TopicsView },
  { name: "messages", title: "Messages", icon: "M4 4h16v12H9l-5 4z", view: MessagesView },
  { name: "groups", title: "Groups", icon: "M8 11a3 3 0 1 0 0-6 3 3 0 0 0 0 6zm8 0a3 3 0 1 0 0-6 3 3 0 0 0 0 6zM2 19c0-3 2.5-5 6-5s6 2 6 5zm13.5 0H22c0-3-2.5-5-6-5-.6 0-1.2 0-1.7.2 1 1.2 1.4 2.8 1.2 4.8z", view: GroupsView },
  { name: "events", title: "Events", icon: "M13 2 4 14h6l-1 8 9-12h-6z", view: EventsView },
  { name: "config", title: "Settings", icon: "M4 6h9v2H4zm13 0h3v2h-3zm-3-2h2v6h-2zM4 16h3v2H4zm7 0h9v2h-9zm-3-2h2v6H8z", view: ConfigView },
  { name: "quorum", title: "Quorum", icon: "M12 3l9 5v8l-9 5-9-5V8zm0 4.2L7 10v4l5 2.8 5-2.8v-4z", view: QuorumView },
];

function useLive() {
  const [, again] = useReducer((n) => n + 1, 0);
  useEffect(() => subscribe(again), []);
}

// A part of an address that was mistyped ("100%") is taken as it is.
function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function useRoute() {
  const read = () => location.hash.replace(/^#\/?/, "").split("/").map(decoded);
  const [route, set] = useState(read());
  useEffect(() => {
    let at = read()[0];
    const on = () => {
      const next = read();
      set(next);
      if (next[0] === at) return; // another topic or partition of the same view: the keys stay where it was chosen
      at = next[0];
      document.getElementById("view")?.focus({ preventScroll: true });
      scrollTo(0, 0);
    };
    addEventListener("hashchange", on);
    return () => removeEventListener("hashchange", on);
  }, []);
  return route;
}

const THEMES = ["auto", "light", "dark"];
// A browser that keeps nothing for us throws instead of answering: then a choice lasts as long as the page.
function kept(use) {
  try {
    return use(localStorage);
  } catch {
    return null;
  }
}
function useTheme() {
  const [theme, set] = useState(kept((storage) => storage.getItem("theme")) ?? "auto");
  useEffect(() => {
    kept((storage) => storage.setItem("theme", theme));
    if (theme === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
  }, [theme]);
  return [theme, () => set(THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length])];
}

function Link() {
  const broker = current();
  if (state.link === "live") return html`<span class="link live" role="status"><i></i>live${broker ? html`<span> from broker ${broker.id}</span>` : ""}</span>`;
  return html`<span class="link lost" role="status"><i></i>${state.link === "lost" ? "looking for another broker" : "connecting"}</span>`;
}

function Health() {
  const found = problems(state);
  if (found.length === 0) return html`<span class="pill good">healthy</span>`;
  return html`<a class="pill bad" href="#/map" title=${found.join("; ")}>${found[0]}${found.length > 1 ? ` +${found.length - 1}` : ""}</a>`;
}

// The browser keeps the focus within it, closes it with Escape, and gives the focus back.
function Help({ closed }) {
  const dialog = useRef(null);
  useEffect(() => dialog.current.showModal(), []);
  const close = () => dialog.current.close();
  return html`<dialog class="help" ref=${dialog} aria-label="Keys" onClose=${closed} onClick=${(e) => e.target === e.currentTarget && close()}>
    <div class="card">
      <h2>Keys</h2>
      <dl>
        ${VIEWS.map((v, i) => html`<div><dt><kbd>${i + 1}</kbd></dt><dd>${v.title}</dd></div>`)}
        <div><dt><kbd>/</kbd></dt><dd>filter</dd></div>
        <div><dt><kbd>t</kbd></dt><dd>light, dark, or as the system</dd></div>
        <div><dt><kbd>?</kbd></dt><dd>this</dd></div>
      </dl>
      <button onClick=${close}>Close</button>
    </div>
  </dialog>`;
}

function App() {
  useLive();
  const route = useRoute();
  const [theme, nextTheme] = useTheme();
  const [help, setHelp] = useState(false);
  const at = VIEWS.find((v) => v.name === route[0]) ?? (route[0] === "topic" ? VIEWS[1] : VIEWS[0]);
  useEffect(() => {
    document.title = `${at.title} · Naru`;
  }, [at]);
  useEffect(() => {
    const on = (e) => {
      if (help || e.ctrlKey || e.metaKey || e.altKey || /^(INPUT|SELECT|TEXTAREA)$/.test(e.target.tagName)) return;
      if (VIEWS[e.key - 1]) location.hash = `#/${VIEWS[e.key - 1].name}`;
      if (e.key === "?") setHelp(true);
      if (e.key === "t") nextTheme();
      if (e.key === "/") {
        e.preventDefault();
        document.querySelector("[data-filter]")?.focus();
      }
    };
    addEventListener("keydown", on);
    return () => removeEventListener("keydown", on);
  });
  // Without this an error while one view is drawn would be the end of the whole page: nothing is drawn after it.
  // What looks at the same data outside of the view is left out meanwhile: failing again at once it would never end.
  const [broken, mend] = useErrorBoundary((e) => console.error(e));
  useEffect(() => {
    if (!broken) return;
    const timer = setTimeout(mend, 2000);
    return () => clearTimeout(timer);
  }, [broken]);
  const View = at.view;
  return html`
    <a class="skip" href="#view" onClick=${(e) => (e.preventDefault(), document.getElementById("view").focus())}>Skip to the content</a>
    <header>
      <a class="brand" href="#/map"><img src="/icon.svg" alt="" width="26" height="26" /><b>Naru</b></a>
      <${Link} />
      <span class="grow"></span>
      ${state.cluster && !broken && html`<${Health} />`}
      <button class="icon" onClick=${nextTheme} aria-label=${`Colours: ${theme}`} title=${`Colours: ${theme}`}>${{ auto: "◐", light: "☀", dark: "☾" }[theme]}</button>
      <button class="icon keys" onClick=${() => setHelp(true)} aria-label="Keys" title="Keys">?</button>
    </header>
    <nav aria-label="Views">
      ${VIEWS.map(
        (v) => html`<a href=${`#/${v.name}`} aria-current=${v === at ? "page" : undefined}><svg viewBox="0 0 24 24" aria-hidden="true"><path d=${v.icon} /></svg><span>${v.title}</span></a>`,
      )}
    </nav>
    <main id="view" tabindex="-1">
      ${broken
        ? html`<p class="problem" role="alert">This view could not be drawn: ${broken.message}. Trying again</p>`
        : state.cluster === null
        ? html`<p class="loading">${state.refusal ?? (state.link === "lost" ? "No broker answers. Trying again" : "Connecting to the cluster")}</p>`
        : route[0] === "topic"
          ? html`<${TopicView} key=${route[1]} name=${route[1]} />`
          : html`<${View} key=${at.name} route=${route} />`}
    </main>
    ${help && html`<${Help} closed=${() => setHelp(false)} />`}
  `;
}

const root = document.getElementById("app");
root.textContent = "";
render(html`<${App} />`, root);
run();
