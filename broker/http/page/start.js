// Brings the page's modules in. One that is lost on the way (the network changes, the broker starts anew) would leave a
// page that says "Connecting" for good: a browser asks for no module a second time. So the whole page is asked for
// again, once somebody answers here. How often that has happened is kept in the history's entry, which a reload keeps.
const tries = history.state?.tries ?? 0;
const pause = () => new Promise((done) => setTimeout(done, Math.min(30000, 500 * 2 ** tries)));
const answers = () => fetch("/", { cache: "no-store" }).then((answer) => answer.ok, () => false);

async function again(error) {
  const said = document.createElement("p");
  said.className = "loading";
  said.setAttribute("role", "status");
  said.textContent = `A part of this page could not be loaded: ${error.message}. Trying again`;
  document.getElementById("app").replaceChildren(said);
  history.replaceState({ tries: tries + 1 }, "");
  do await pause();
  while (!(await answers()));
  location.reload();
}

import("/app.js").then(() => tries > 0 && history.replaceState(null, ""), again);
