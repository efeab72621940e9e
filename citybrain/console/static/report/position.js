// Where the phone is, with how surely, in words, and how old that is by now.

import { say } from "../said.js";

const POOR = 100; // metres
const OLD = 2 * 60_000;
const ASKED = { enableHighAccuracy: true, timeout: 15_000, maximumAge: 10_000 };
const FIELDS = ["lng", "lat", "accuracy_m", "datum"];

export class Position {
  #at = 0;
  #text = "";
  #asked = 0;

  constructor(form, datum) {
    this.form = form;
    this.datum = datum;
    this.button = form.querySelector("#locate");
    this.away = form.querySelector("#forget");
    this.said = form.querySelector("#located");
    this.button.addEventListener("click", () => this.locate());
    this.away.addEventListener("click", () => {
      this.clear();
      this.button.focus();
    });
    setInterval(() => this.#show(), 30_000);
  }

  // Without being asked, only where that opens no question.
  async locateIfAllowed() {
    const allowed = await navigator.permissions?.query({ name: "geolocation" }).catch(() => null);
    if (allowed?.state === "granted" && isSecureContext && !this.form.elements.lng.value) this.locate();
  }

  locate() {
    if (!isSecureContext || !navigator.geolocation) return this.#byHand(say("locate_https"));
    const mine = ++this.#asked;
    this.#tell(say("locating"));
    const found = (position) => mine === this.#asked && this.#found(position.coords);
    const failed = (error) => mine === this.#asked && this.#byHand(say(`locate_${error.code}`));
    navigator.geolocation.getCurrentPosition(found, failed, ASKED);
  }

  async #found({ longitude, latitude, accuracy }) {
    const metres = Math.max(1, Math.min(Math.round(accuracy), 100_000));
    const spot = { lng: longitude.toFixed(7), lat: latitude.toFixed(7), accuracy_m: metres, datum: this.datum };
    this.#put(spot);
    const asked = this.#asked;
    const text = say(metres > POOR ? "accuracy_poor" : "accuracy", { n: metres });
    this.#tell(text);
    const place = metres > POOR ? "" : await this.#place(spot);
    if (place && asked === this.#asked && this.form.elements.lng.value) this.#tell(say("accuracy_place", { place, n: metres }));
  }

  // What is there, so that a wrong position is seen before it is sent; nothing without a network.
  async #place({ lng, lat, datum }) {
    const query = new URLSearchParams({ lng, lat, datum });
    const answer = await fetch(`/api/v1/locate?${query}`, { signal: AbortSignal.timeout?.(8_000) }).catch(() => null);
    const place = answer?.ok ? await answer.json().catch(() => null) : null;
    if (!place) return "";
    const names = ["county", "town", "village"].map((level) => place[level]?.name).filter(Boolean);
    return names.join(" ") || say("outside_city");
  }

  set(location) {
    this.#put({ lng: "", lat: "", accuracy_m: "", datum: "", ...location });
    this.#tell(location.lng ? say("accuracy", { n: location.accuracy_m ?? "?" }) : "");
  }

  clear() {
    this.#asked += 1;
    this.set({});
  }

  #put(values) {
    for (const name of FIELDS) this.form.elements[name].value = values[name];
    this.#at = Date.now();
    this.away.hidden = values.lng === "";
    this.button.textContent = say(values.lng === "" ? "locate" : "relocate");
    if (values.lng !== "") this.form.dispatchEvent(new CustomEvent("located"));
  }

  #tell(text) {
    this.#text = text;
    this.#show();
  }

  #show() {
    const age = Date.now() - this.#at;
    const old = this.form.elements.lng.value && age > OLD ? say("minutes_old", { n: Math.floor(age / 60_000) }) : "";
    if (this.said.textContent !== this.#text + old) this.said.textContent = this.#text + old;
  }

  #byHand(text) {
    this.#tell(text);
    this.form.querySelector(".by-hand").open = true;
  }
}
