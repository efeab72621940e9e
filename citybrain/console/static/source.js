// The event stream itself: opened once, resumed after the last event that was heard, opened anew where the browser
// gives up. `tell` hears {type, data}, and of the connection {type: "lost"} and {type: "ended"}.

const AGAIN = 3_000;

export class Source {
  #position = "";
  #stream;

  constructor(types, tell) {
    this.types = types;
    this.tell = tell;
    this.open();
  }

  open() {
    this.#stream = new EventSource(`/api/v1/stream${this.#position && `?last_event_id=${this.#position}`}`);
    for (const type of ["pulse", ...this.types]) {
      this.#stream.addEventListener(type, (event) => {
        this.#position = event.lastEventId || this.#position;
        this.tell({ type, data: JSON.parse(event.data) });
      });
    }
    this.#stream.onerror = () => {
      this.tell({ type: "lost" });
      if (this.#stream.readyState === EventSource.CLOSED) setTimeout(() => this.#reopen(), AGAIN);
    };
  }

  async #reopen() {
    const answer = await fetch("/api/v1/session").catch(() => null);
    if (answer?.status === 401) this.tell({ type: "ended" });
    else this.open();
  }

  close() {
    this.#stream.close();
  }
}
