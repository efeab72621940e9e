// A photo as the camera made it to one that goes through a bad network: upright, 1920 pixels at most, JPEG. Of what a
// camera writes beside the picture only its position stays.

import { positionOf } from "./exif.js";

const SIDE = 1920;
const QUALITY = 0.8;

// Rejects what is no picture that this browser can draw.
export async function smaller(file) {
  const buffer = await file.arrayBuffer();
  const picture = await createImageBitmap(new Blob([buffer], { type: file.type }), { imageOrientation: "from-image" });
  const scale = Math.min(1, SIDE / Math.max(picture.width, picture.height));
  const canvas = drawn(picture, Math.round(picture.width * scale), Math.round(picture.height * scale));
  picture.close();
  const jpeg = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", QUALITY));
  if (!jpeg) throw new Error("the canvas is too large for this phone");
  const position = positionOf(buffer);
  const parts = position ? [jpeg.slice(0, 2), position, jpeg.slice(2)] : [jpeg];
  return { photo: new Blob(parts, { type: "image/jpeg" }), preview: preview(canvas) };
}

export async function previewOf(photo) {
  const picture = await createImageBitmap(photo);
  return preview(picture);
}

function preview(picture) {
  const scale = 144 / Math.min(picture.width, picture.height);
  return drawn(picture, Math.round(picture.width * scale), Math.round(picture.height * scale));
}

function drawn(picture, width, height) {
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, width);
  canvas.height = Math.max(1, height);
  const pen = canvas.getContext("2d", { alpha: false });
  pen.fillStyle = "#fff"; // what is transparent in a PNG would turn black
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.drawImage(picture, 0, 0, canvas.width, canvas.height);
  return canvas;
}
