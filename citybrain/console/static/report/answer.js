// One request to the service, and what its answer means for what waits on the phone: `ok`, `refused` (this one will
// never be taken as it is), `later` (after so many seconds), `ended` (sign in again) or `unheard` (no answer).

const PATIENCE = { text: 30_000, photo: 180_000 };
const LATER = new Set([408, 425, 429, 500, 502, 503, 504]);

export async function ask(path, { csrf, body, photo } = {}) {
  const headers = { Accept: "application/json" };
  if (csrf) headers["X-CSRF-Token"] = csrf;
  if (body) headers["Content-Type"] = "application/json";
  const method = body || photo ? "POST" : "GET";
  const signal = AbortSignal.timeout?.(photo ? PATIENCE.photo : PATIENCE.text); // older phones wait as the network does
  try {
    const answer = await fetch(path, { method, headers, body: body ?? photo, signal, cache: "no-store", redirect: "manual" });
    const told = await answer.json().catch(() => null);
    return { means: meaning(answer, told), status: answer.status, told, seconds: wait(answer.headers) };
  } catch {
    return { means: "unheard" };
  }
}

function meaning({ ok, status }, told) {
  if (status === 0 || (ok && told === null)) return "unheard"; // a portal of the network answered in its place
  if (ok) return "ok";
  if (status === 401) return "ended";
  return LATER.has(status) ? "later" : "refused";
}

// Retry-After: seconds or a date; null where there is none.
function wait(headers) {
  const text = headers.get("Retry-After");
  if (!text) return null;
  const seconds = /^\d+$/.test(text) ? Number(text) : (Date.parse(text) - Date.now()) / 1000;
  return Number.isFinite(seconds) ? Math.max(1, Math.ceil(seconds)) : null;
}
