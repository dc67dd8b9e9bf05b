const form = document.querySelector("form");
const articles = [...document.querySelectorAll("article")];
const none = document.querySelector(".none");

function show() {
  const { profile, verdict, find } = Object.fromEntries(new FormData(form));
  const words = find.trim().toLowerCase();
  let shown = 0;
  for (const article of articles) {
    const verdicts = [...article.querySelectorAll("section")].map((s) => s.dataset.verdict);
    article.hidden =
      (profile && article.dataset.profile !== profile) ||
      (verdict && !verdicts.includes(verdict)) ||
      (words && !article.textContent.toLowerCase().includes(words));
    shown += !article.hidden;
  }
  none.hidden = shown > 0;
}

function follow() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!target) return;
  form.reset();
  show();
  for (let node = target; node; node = node.parentElement) if (node.tagName === "DETAILS") node.open = true;
  target.scrollIntoView();
}

form.addEventListener("input", show);
form.addEventListener("submit", (event) => event.preventDefault());
addEventListener("hashchange", follow);
show();
follow();
