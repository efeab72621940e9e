// The report form on a phone: its position by one tap, the types of the chosen domain, and one event however often
// the button is tapped.

const form = document.getElementById("report");
const field = (name) => form.elements.namedItem(name);
const button = document.getElementById("locate");
const forget = document.getElementById("forget");
const said = document.getElementById("located");

const WHY = {
  1: "没有定位权限。请在浏览器设置中允许，或在下面选择区划。",
  2: "暂时定不了位。请到开阔处再试，或在下面选择区划。",
  3: "定位超时。请再试一次，或在下面选择区划。",
};

function put({ lng = "", lat = "", accuracy_m = "", datum = "" }) {
  field("lng").value = lng;
  field("lat").value = lat;
  field("accuracy_m").value = accuracy_m;
  field("datum").value = datum;
  forget.hidden = lng === "";
}

function byHand(text) {
  said.textContent = text;
  form.querySelector(".by-hand").open = true;
}

button.addEventListener("click", () => {
  if (!isSecureContext || !navigator.geolocation) {
    byHand("此网址不允许定位（需要 HTTPS）。请在下面选择区划，或填写地址。");
    return;
  }
  said.textContent = "正在定位…";
  button.disabled = true;
  navigator.geolocation.getCurrentPosition(
    ({ coords }) => {
      button.disabled = false;
      const accuracy = Math.min(Math.round(coords.accuracy), 100_000);
      put({ lng: coords.longitude.toFixed(7), lat: coords.latitude.toFixed(7), accuracy_m: accuracy, datum: "wgs84" });
      said.textContent = `已定位，精度约 ${accuracy} 米。`;
      button.textContent = "重新定位";
    },
    (error) => {
      button.disabled = false;
      byHand(WHY[error.code] ?? WHY[2]);
    },
    { enableHighAccuracy: true, timeout: 15_000, maximumAge: 10_000 },
  );
});

forget.addEventListener("click", () => {
  put({});
  said.textContent = "";
  button.textContent = "使用当前位置";
  button.focus();
});

for (const domain of form.querySelectorAll("[data-domain]")) {
  domain.addEventListener("change", () => {
    field("type").setAttribute("list", `types-${domain.value}`);
    field("type").value = "";
  });
}

// A page may have stood open for an hour: unless somebody set it, the time is that of the tap, by the server's clock.
const when = field("occurred_at");
when.addEventListener("input", () => delete when.dataset.untouched);

let sent = false;
form.addEventListener("submit", (event) => {
  const somewhere = ["lng", "county", "town", "village", "address"].some((name) => field(name)?.value);
  if (!somewhere) {
    event.preventDefault();
    byHand("请先定位，或在下面选择区划，或填写地址。");
    button.focus();
    return;
  }
  if (sent) {
    event.preventDefault();
    return;
  }
  sent = true;
  if ("untouched" in when.dataset) {
    const opened = new Date(`${when.value}Z`).getTime();
    when.value = new Date(opened + performance.now()).toISOString().slice(0, 16);
  }
  document.getElementById("send").textContent = "正在上报…";
});
addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});
