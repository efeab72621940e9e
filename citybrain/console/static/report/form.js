// The form: what is wrong with it said beside the field, what is right made into the event that the service takes.

import { instant, local, moment } from "./clock.js";
import { say } from "../said.js";

const REGIONS = ["county", "town", "village"];
const WHERE = ["lng", ...REGIONS, "address"];

export class Form {
  constructor(form, { album, position, type }) {
    Object.assign(this, { form, album, position, type });
    form.noValidate = true; // what is wrong is said beside the field, in the page's words
    this.when = this.field("occurred_at");
    this.when.addEventListener("input", () => delete this.when.dataset.untouched);
    for (const name of ["title", "type", "occurred_at"]) {
      this.field(name).addEventListener("input", () => this.#right(name));
      this.field(name).addEventListener("change", () => this.#right(name));
    }
    for (const name of [...REGIONS, "address"]) this.field(name)?.addEventListener("input", () => this.#right("where"));
    form.addEventListener("located", () => this.#right("where"));
    for (const domain of form.querySelectorAll("[data-domain]")) {
      domain.addEventListener("change", () => {
        this.field("type").value = "";
        this.type.showRecent();
      });
    }
    this.renew();
  }

  field(name) {
    return this.form.elements.namedItem(name);
  }

  text(name) {
    return this.field(name)?.value.trim() ?? "";
  }

  // What is to be sent, or null after saying what is wrong.
  async read(owner) {
    const code = await this.type.code();
    const wrong = [];
    if (!this.text("title") && !this.text("description")) wrong.push(["title", say("need_what")]);
    if (code === null) wrong.push(["type", say("no_type", { text: this.text("type") })]);
    if (!WHERE.some((name) => this.text(name))) wrong.push(["where", say("need_where")]);
    if (!this.when.value) wrong.push(["occurred_at", say("need_time")]);
    if (wrong.length) return this.#wrong(wrong);
    const event = this.#event(code);
    const title = event.title ?? event.description.slice(0, 40);
    const at = moment().toISOString();
    const photos = await this.album.photos();
    return { id: event.source_event_id, owner, kind: "event", title, at, path: "/api/v1/events", body: JSON.stringify(event), photos };
  }

  #event(type) {
    const touched = !("untouched" in this.when.dataset);
    const event = { source_event_id: this.text("source_event_id"), domain: this.text("domain"), type };
    event.title = this.text("title");
    event.description = this.text("description");
    event.occurred_at = touched ? instant(this.when.value) : moment().toISOString();
    const codes = REGIONS.map((name) => this.text(name)).filter(Boolean);
    const location = { datum: this.text("datum"), address: this.text("address") };
    for (const name of ["lng", "lat", "accuracy_m"]) if (this.text(name)) location[name] = Number(this.text(name));
    if (codes.length) location.division_codes = codes;
    const reporter = filled({ name: this.text("name"), phone: this.text("phone") });
    if (Object.keys(reporter).length) event.reporter = reporter;
    return { ...filled(event), location: filled(location) };
  }

  #wrong(found) {
    for (const [name, text] of found) {
      document.getElementById(`${name}-wrong`).textContent = text;
      const field = this.field(name);
      field?.setAttribute("aria-invalid", "true");
      field?.setAttribute("aria-describedby", `${name}-wrong`);
      field?.closest("details")?.setAttribute("open", "");
    }
    this.say(found.map(([, text]) => text).join(" "));
    const first = found[0][0];
    if (first === "where") this.form.querySelector(".by-hand").open = true;
    (first === "where" ? this.form.querySelector("#locate") : this.field(first)).focus();
    return null;
  }

  #right(name) {
    document.getElementById(`${name}-wrong`).textContent = "";
    this.say("");
    this.field(name)?.removeAttribute("aria-invalid");
    this.field(name)?.removeAttribute("aria-describedby");
  }

  // Above the button, where it is seen wherever the form is scrolled to.
  say(text) {
    const line = document.getElementById("form-wrong");
    line.textContent = text;
    line.hidden = !text;
  }

  // For the next report: a number made here, nothing typed, and the time and place anew. The domain stays.
  clear() {
    const domain = this.text("domain");
    for (const name of ["title", "type", "description", "address", "name", "phone"]) this.field(name).value = "";
    for (const name of REGIONS) this.#choose(name, "");
    this.when.dataset.untouched = "";
    this.when.value = local(moment());
    for (const details of this.form.querySelectorAll("details")) details.open = false;
    for (const name of ["title", "type", "where", "occurred_at"]) this.#right(name);
    this.form.querySelector(`[data-domain][value="${domain}"]`).checked = true;
    this.position.clear();
    this.album.fill([]);
    this.renew();
  }

  renew() {
    this.field("source_event_id").value = `web-${uuid()}`;
    this.instead = null;
  }

  // What was refused, to be corrected: a number of its own, since the old one may stand for something else.
  async fill(item) {
    this.clear();
    const event = JSON.parse(item.body);
    const domain = this.form.querySelector(`[data-domain][value="${event.domain}"]`);
    if (domain) domain.checked = true;
    for (const name of ["title", "description"]) this.field(name).value = event[name] ?? "";
    this.field("type").value = event.type ? await this.type.name(event.type) : "";
    this.field("address").value = event.location.address ?? "";
    for (const name of ["name", "phone"]) this.field(name).value = event.reporter?.[name] ?? "";
    delete this.when.dataset.untouched;
    this.when.value = local(new Date(event.occurred_at));
    const { lng, lat, accuracy_m, datum } = event.location;
    if (lng !== undefined) this.position.set({ lng, lat, accuracy_m: accuracy_m ?? "", datum: datum ?? "" });
    await this.album.fill(item.photos);
    this.form.querySelector(".more-fields").open = true;
    this.form.querySelector(".by-hand").open = Boolean(event.location.address || event.location.division_codes);
    this.instead = item.id;
    for (const code of event.location.division_codes ?? []) await this.#chooseSomewhere(code);
  }

  #choose(name, code) {
    const select = this.field(name);
    if (!select || select.value === code) return;
    select.value = code;
    select.dispatchEvent(new Event("change"));
  }

  // What may be chosen below a division comes with a delay, and not at all without a network.
  async #chooseSomewhere(code) {
    const selects = REGIONS.map((name) => this.field(name)).filter(Boolean);
    for (let tries = 0; tries < 20; tries += 1) {
      const select = selects.find((each) => [...each.options].some((option) => option.value === code));
      if (select) return this.#choose(select.name, code);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

const filled = (values) => Object.fromEntries(Object.entries(values).filter(([, value]) => value !== "" && value !== undefined));

// randomUUID exists on HTTPS and on this machine only.
function uuid() {
  if (crypto.randomUUID) return crypto.randomUUID();
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

