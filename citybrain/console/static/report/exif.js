// Where a camera says a photo was taken: found in the original, and written alone into the smaller one, because the
// service compares it with the reported place (and forgets it). Owner, camera and time stay on the phone.

const GPS_IFD = 0x8825;
const [LAT_REF, LAT, LNG_REF, LNG] = [1, 2, 3, 4];
const [ASCII, LONG, RATIONAL] = [2, 4, 5];

// The APP1 segment to put behind the two first bytes of a JPEG, or null.
export function positionOf(buffer) {
  try {
    const tiff = tiffOf(new DataView(buffer));
    return tiff && segment(gpsOf(tiff));
  } catch {
    return null; // a damaged header is no position, and no reason to lose the photo
  }
}

function tiffOf(view) {
  if (view.getUint16(0) !== 0xffd8) return null;
  for (let at = 2; at + 4 <= view.byteLength && view.getUint8(at) === 0xff; at += 2 + view.getUint16(at + 2)) {
    const marker = view.getUint8(at + 1);
    if (marker === 0xda) return null;
    if (marker === 0xe1 && view.getUint32(at + 4) === 0x45786966 && view.getUint16(at + 8) === 0) {
      return new DataView(view.buffer, at + 10, view.getUint16(at + 2) - 8);
    }
  }
  return null;
}

function gpsOf(tiff) {
  const little = tiff.getUint16(0) === 0x4949;
  const first = entries(tiff, tiff.getUint32(4, little), little);
  if (!first.has(GPS_IFD)) return null;
  const gps = entries(tiff, tiff.getUint32(first.get(GPS_IFD), little), little);
  const degrees = (tag) => {
    const at = tiff.getUint32(gps.get(tag), little);
    return Array.from({ length: 6 }, (_, index) => tiff.getUint32(at + 4 * index, little));
  };
  const side = (tag) => tiff.getUint8(gps.get(tag));
  return { latSide: side(LAT_REF), lat: degrees(LAT), lngSide: side(LNG_REF), lng: degrees(LNG) };
}

// Tag → where its value, or the offset of its value, stands.
function entries(tiff, at, little) {
  const found = new Map();
  for (let index = 0; index < tiff.getUint16(at, little); index += 1) {
    const entry = at + 2 + 12 * index;
    found.set(tiff.getUint16(entry, little), entry + 8);
  }
  return found;
}

const IFD0_AT = 8;
const GPS_AT = IFD0_AT + 2 + 12 + 4;
const LAT_AT = GPS_AT + 2 + 4 * 12 + 4;
const LNG_AT = LAT_AT + 24;
const END = LNG_AT + 24;

function segment(gps) {
  if (!gps) return null;
  const bytes = new Uint8Array(10 + END);
  bytes.set([0xff, 0xe1, 0, 8 + END, 0x45, 0x78, 0x69, 0x66, 0, 0]);
  const tiff = new DataView(bytes.buffer, 10);
  tiff.setUint32(0, 0x4d4d002a);
  tiff.setUint32(4, IFD0_AT);
  table(tiff, IFD0_AT, [[GPS_IFD, LONG, 1, GPS_AT]]);
  table(tiff, GPS_AT, [
    [LAT_REF, ASCII, 2, gps.latSide << 24],
    [LAT, RATIONAL, 3, LAT_AT],
    [LNG_REF, ASCII, 2, gps.lngSide << 24],
    [LNG, RATIONAL, 3, LNG_AT],
  ]);
  gps.lat.forEach((number, index) => tiff.setUint32(LAT_AT + 4 * index, number));
  gps.lng.forEach((number, index) => tiff.setUint32(LNG_AT + 4 * index, number));
  return bytes;
}

function table(tiff, at, rows) {
  tiff.setUint16(at, rows.length);
  rows.forEach(([tag, type, count, value], index) => {
    const entry = at + 2 + 12 * index;
    tiff.setUint16(entry, tag);
    tiff.setUint16(entry + 2, type);
    tiff.setUint32(entry + 4, count);
    tiff.setUint32(entry + 8, value);
  });
}
