// What time it is in the city: by the server's clock where the page came from it, by the phone's otherwise.

const { now, zone } = document.body.dataset;
const ahead = now ? Number(now) - Date.now() : 0;
const parts = new Intl.DateTimeFormat("en-CA", {
  timeZone: zone, year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", hourCycle: "h23",
});

export function moment() {
  return new Date(Date.now() + ahead);
}

// As `datetime-local` has it: 2026-11-22T08:00.
export function local(date) {
  const told = Object.fromEntries(parts.formatToParts(date).map(({ type, value }) => [type, value]));
  return `${told.year}-${told.month}-${told.day}T${told.hour}:${told.minute}`;
}

// RFC 3339 of what somebody wrote as the city's time.
export function instant(text) {
  const wrong = Date.parse(`${text}Z`);
  const shift = Date.parse(`${local(new Date(wrong))}Z`) - wrong;
  return new Date(wrong - shift).toISOString();
}

// 08:05 today, 11-22 08:05 on another day.
export function short(text) {
  const [day, time] = local(new Date(text)).split("T");
  return local(moment()).startsWith(day) ? time : `${day.slice(5)} ${time}`;
}
