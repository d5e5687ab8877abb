// Runs in the viewer's page before the page's own script. It reads the frame number out of every
// decoded picture and notes when the picture was there; the measuring side joins that with the sender's
// trace of when each number was captured.
(() => {
  const marker = { width: 416, height: 16, block: 16, bits: 24 };
  // Where the width of the captured screen is told, the number is read in pictures that were scaled down, too.
  const probe = {
    frames: [],
    shown: [],
    unreadable: 0,
    pictures: 0,
    firstPictureAt: null,
    errors: [],
    sourceWidth: null,
  };
  window.ycProbe = probe;

  const now = () => performance.timeOrigin + performance.now();

  // The luma of each block's middle; red is dark and green is bright in luma, which frames the number.
  const decode = (luma) => {
    const red = luma(0);
    const green = luma(marker.bits + 1);
    if (red > 110 || green < 120 || green > 225) return null;
    let number = 0;
    for (let bit = 0; bit < marker.bits; bit += 1) {
      const value = luma(bit + 1);
      if (value > 90 && value < 166) return null;
      number = number * 2 + (value >= 166 ? 1 : 0);
    }
    return number;
  };

  const read = async (frame) => {
    const scale = probe.sourceWidth ? Math.min(1, frame.visibleRect.width / probe.sourceWidth) : 1;
    // Chroma planes have half the pixels: sides are even.
    const side = (length) => 2 * Math.ceil((length * scale) / 2);
    const [width, height] = [side(marker.width), side(marker.height)];
    if (frame.visibleRect.width < width) return null;
    const rect = { x: frame.visibleRect.x, y: frame.visibleRect.y, width, height };
    const bytes = new Uint8Array(frame.allocationSize({ rect }));
    const [plane] = await frame.copyTo(bytes, { rect });
    const planar = /^(I4|NV)/.test(frame.format);
    const row = plane.offset + Math.floor((marker.height * scale) / 2) * plane.stride;
    return decode((block) => {
      const x = Math.floor((block + 0.5) * marker.block * scale);
      if (planar) return bytes[row + x];
      const at = row + 4 * x;
      const [first, green, third] = [bytes[at], bytes[at + 1], bytes[at + 2]];
      const [red, blue] = frame.format.startsWith("BGR") ? [third, first] : [first, third];
      return 16 + (0.2126 * red + 0.7152 * green + 0.0722 * blue) * (219 / 255);
    });
  };

  const watch = (video) => {
    const onFrame = async () => {
      const at = now();
      video.requestVideoFrameCallback(onFrame);
      probe.pictures += 1;
      probe.shown.push(at);
      probe.firstPictureAt ??= at;
      // The element hands out no frame while it changes from one source to the next.
      if (video.readyState < HTMLMediaElement.HAVE_CURRENT_DATA) return;
      let frame;
      try {
        frame = new VideoFrame(video);
        const number = await read(frame);
        if (number === null) probe.unreadable += 1;
        else probe.frames.push([number, at]);
      } catch (error) {
        if (probe.errors.length < 10) probe.errors.push(String(error));
      } finally {
        frame?.close();
      }
    };
    video.requestVideoFrameCallback(onFrame);
  };

  // The next decoded picture as the page shows it: RGBA, after the browser's own colour conversion.
  probe.grab = () =>
    new Promise((resolve, reject) => {
      const video = document.querySelector("video");
      if (!video) return reject(new Error("no video on the page"));
      video.requestVideoFrameCallback(() => {
        const canvas = new OffscreenCanvas(video.videoWidth, video.videoHeight);
        const context = canvas.getContext("2d", { willReadFrequently: true });
        context.drawImage(video, 0, 0);
        const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
        const reader = new FileReader();
        reader.onload = () =>
          resolve({ width: canvas.width, height: canvas.height, rgba: reader.result.split(",")[1] });
        reader.onerror = () => reject(reader.error);
        reader.readAsDataURL(new Blob([data]));
      });
    });

  const known = new WeakSet();
  const look = () => {
    for (const video of document.querySelectorAll("video")) {
      if (!known.has(video)) {
        known.add(video);
        watch(video);
      }
    }
  };
  new MutationObserver(look).observe(document, { childList: true, subtree: true });
  look();
})();
