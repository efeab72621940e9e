// What happens, as it happens: from the worker that all tabs share, or from a stream of this tab's own where a browser
// has no shared workers.

import { Source } from "./source.js";

export function listen(visitor, types, hear) {
  if (!globalThis.SharedWorker) {
    const source = new Source(types, hear);
    addEventListener("pagehide", () => source.close());
  } else {
    const worker = new SharedWorker(new URL("stream-worker.js", import.meta.url), { type: "module", name: visitor });
    worker.port.onmessage = ({ data }) => hear(data);
    worker.port.postMessage({ types });
    addEventListener("pagehide", () => worker.port.postMessage({ bye: true }));
  }
  addEventListener("pageshow", (event) => {
    if (event.persisted) location.reload();
  });
}
