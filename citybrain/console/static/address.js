// Selection and map extent stand in the address beside the filters, so that a link opens what its sender saw.

const asked = new URLSearchParams(location.search);

export const chosenCase = () => asked.get("case");

export function extent() {
  const [zoom, lat, lng] = (asked.get("map") ?? "").split("/").map(Number);
  return [zoom, lat, lng].every(Number.isFinite) && lat ? { zoom, at: [lat, lng] } : null;
}

export function keep(name, value) {
  if ((asked.get(name) ?? null) === value) return;
  if (value) asked.set(name, value);
  else asked.delete(name);
  const query = asked.toString().replaceAll("%2F", "/");
  history.replaceState(null, "", location.pathname + (query && `?${query}`));
}

// Without what only this reader's screen shows.
export function filters() {
  const kept = new URLSearchParams(asked);
  for (const name of ["case", "map", "cursor"]) kept.delete(name);
  return kept;
}
