// Fetches a page of ours as a document; null where the session is over, a redirect led elsewhere, or nobody answered.

export async function fetched(address, options = {}) {
  return read(await fetch(address, { headers: { Accept: "text/html" }, ...options }));
}

export async function read(answer) {
  if (answer.status === 401 || new URL(answer.url).pathname === "/login") return null;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  return { page, status: answer.status };
}
