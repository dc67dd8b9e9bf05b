const form = document.querySelector("form");
const articles = [...document.querySelectorAll("article")];
const none = document.querySelector(".none");
const names = ["profile", "verdict", "find"];

function show() {
  const { profile, verdict, find } = Object.fromEntries(new FormData(form));
  const words = find.trim().toLowerCase();
  let shown = 0;
  for (const article of articles) {
    const sections = [...article.querySelectorAll("section")];
    const meant = sections.filter(
      (s) => (!verdict || s.dataset.verdict === verdict) && (!profile || s.dataset.profile === profile),
    );
    article.hidden = !meant.length || (words && !article.textContent.toLowerCase().includes(words));
    for (const section of sections) section.hidden = !meant.includes(section);
    shown += !article.hidden;
  }
  none.hidden = shown > 0;
  form.querySelector("output").textContent = `${shown} of ${articles.length} requirements`;
}

// What is filtered stands in the address, so that a copied link shows the same.
function remember() {
  const chosen = new URLSearchParams([...new FormData(form)].filter(([, value]) => value));
  const query = chosen.size ? `?${chosen}` : location.pathname;
  try {
    history.replaceState(null, "", query);
  } catch {
    // some browsers do not let a file change its address
  }
}

function recall() {
  const chosen = new URLSearchParams(location.search);
  for (const name of names) form.elements[name].value = chosen.get(name) ?? "";
}

function follow() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!target) return;
  if (target.closest("article")?.hidden || target.hidden) {
    form.reset();
    show();
  }
  for (let node = target; node; node = node.parentElement) if (node.tagName === "DETAILS") node.open = true;
  target.scrollIntoView();
}

form.addEventListener("input", () => {
  show();
  remember();
});
form.addEventListener("submit", (event) => event.preventDefault());
addEventListener("hashchange", follow);
recall();
show();
follow();
