// One stream for all tabs of a browser: HTTP/1.1 allows six connections a host, and every tab would hold one for good.

import { Source } from "./source.js";

const tabs = new Set();
let source;
let state = null; // what a new tab is told at once

function tell(message) {
  if (message.type === "pulse" || message.type === "lost" || message.type === "ended") state = message;
  for (const tab of tabs) tab.postMessage(message);
}

onconnect = ({ ports: [tab] }) => {
  tabs.add(tab);
  tab.onmessage = ({ data }) => {
    if (data.bye) {
      tabs.delete(tab);
    } else if (!source || state?.type === "ended") {
      source?.close();
      source = new Source(data.types, tell);
    } else if (state) {
      tab.postMessage(state);
    }
  };
};
