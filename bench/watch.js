// What the bench reads of the page: when its parts were there, how long a key takes, how many cases are told to wait.

const watched = (globalThis.watched = { rows: 0, map: 0, keys: [], newer: [] });

const drawn = () => performance.getEntriesByType("resource").some((each) => each.name.includes("/fragments/points") && each.responseEnd);
const look = () => {
  if (!watched.rows && document.querySelector("tr[data-id]")) watched.rows = performance.now();
  if (!watched.map && document.querySelector(".leaflet-marks-pane canvas") && drawn()) watched.map = performance.now();
  if (!watched.map) requestAnimationFrame(look);
};
requestAnimationFrame(look);

addEventListener(
  "keydown",
  ({ timeStamp }) => {
    const painted = new MessageChannel(); // holds what it needs alone: an event holds the row that it came to
    painted.port1.onmessage = () => {
      watched.keys.push(performance.now() - timeStamp);
      painted.port1.close();
    };
    requestAnimationFrame(() => painted.port2.postMessage(0)); // a message is heard after the frame has been painted
  },
  { capture: true },
);

addEventListener("DOMContentLoaded", () => {
  const button = document.getElementById("newer");
  if (!button) return;
  const count = () => watched.newer.push([Date.now(), Number(button.textContent.match(/\d+/)?.[0] ?? 0)]);
  new MutationObserver(count).observe(button, { childList: true, characterData: true, subtree: true });
});
