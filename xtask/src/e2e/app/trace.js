// Runs beside a page's own script, in the app and in the viewer: notes when the app's state, and what is shared in the
// room, become something else.
(() => {
  const trace = { app: [], room: [], most: 0 };
  window.ycTrace = trace;
  const now = () => performance.timeOrigin + performance.now();
  const note = (list, value) => {
    if (list.at(-1)?.[0] !== value) list.push([value, now()]);
  };
  setInterval(() => {
    if (window.ycApp) note(trace.app, `${ycApp.state()} ${ycApp.path() ?? "-"}`);
    if (window.ycViewer) {
      const shares = ycViewer.shares();
      trace.most = Math.max(trace.most, shares.length);
      note(trace.room, shares.map(({ native }) => (native ? "native" : "browser")).join(" and ") || "nothing");
    }
  }, 10);
})();
