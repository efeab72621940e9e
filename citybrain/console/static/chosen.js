// Photos that are chosen in a form: how large they are is told before they are sent, and what is too much is not sent.

import { say } from "./said.js";

const MIB = 2 ** 20;

export function weigh(root) {
  root.addEventListener("change", ({ target }) => {
    if (target.type === "file" && "most" in target.dataset) tell(target);
  });
}

function tell(input) {
  const most = Number(input.dataset.most);
  const heaviest = Number(input.dataset.bytes);
  const files = [...input.files];
  const wrong = files
    .filter((file) => file.size > heaviest)
    .map((file) => say("photo_heavy", { name: file.name, size: sized(file.size), most: sized(heaviest) }));
  if (files.length > most) wrong.unshift(say("photo_many", { n: files.length, most }));
  input.setCustomValidity(wrong.join("\n"));
  const sizes = files.map((file) => say("photo_size", { name: file.name, size: sized(file.size) }));
  const all = files.reduce((sum, file) => sum + file.size, 0);
  const sum = files.length > 1 ? [say("photos_sum", { n: files.length, size: sized(all) })] : [];
  const lines = wrong.length ? wrong : [...sizes, ...sum];
  const told = input.form.querySelector(".chosen");
  told.classList.toggle("wrong", wrong.length > 0);
  told.replaceChildren(...lines.map((line) => Object.assign(document.createElement("p"), { textContent: line })));
}

function sized(bytes) {
  return bytes < MIB / 10 ? `${Math.ceil(bytes / 1024)} KiB` : `${(bytes / MIB).toFixed(1)} MiB`;
}
