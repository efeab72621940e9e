// One view at a time, chosen at the bottom where the thumb is; the address says which, so that back works.

const links = [...document.querySelectorAll(".views a")];

export function show() {
  const views = [...document.querySelectorAll(".view")];
  const link = links.find((each) => each.hash === location.hash && document.querySelector(each.hash)) ?? links[0];
  for (const view of views) view.classList.toggle("chosen", `#${view.id}` === link.hash);
  for (const each of links) {
    each.hidden = !document.querySelector(each.hash);
    if (each === link) each.setAttribute("aria-current", "page");
    else each.removeAttribute("aria-current");
  }
  document.body.dataset.view = link.hash.slice(1);
  return document.querySelector(link.hash);
}

export function count(id, number) {
  const bubble = document.getElementById(`${id}-count`);
  bubble.textContent = number;
  bubble.hidden = !number;
}

addEventListener("hashchange", () => {
  const view = show();
  scrollTo(0, 0);
  (view.querySelector("h2") ?? document.querySelector("h1")).focus({ preventScroll: true });
});
